"""The stages of a feature over HTTP: what is refused before scale, on every way in, and what the pilot serves."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

import wavegate
from support import control_plane
from support.pages import pages_for
from support.people import identity, person
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.answers import FeedbackAnswer, Source
from wavegate_controller.domain.delivery import ConnectedClient
from wavegate_controller.domain.errors import Forbidden, StaleVersion
from wavegate_controller.domain.measurement import Value
from wavegate_controller.domain.passport import Outcome, Stage
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service import passports
from wavegate_controller.service.auditing import note
from wavegate_controller.service.explain import explain_decision
from wavegate_controller.service.feedback import keep
from wavegate_controller.service.pilots import watch_pilots
from wavegate_controller.service.readiness import DRILLED
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.web import make_web

KEY = "ai-summaries"
PEOPLE = ["ann", "bob", "cleo", "dan", "eve"]
DISCOVERY = dict.fromkeys(
    ("problem", "business_owner", "sponsor", "success_metric", "target", "data", "data_quality", "budget"), "said"
)
FEASIBLE = {"question": "q", "result": "r", "assessment": "feasible", "left_out": "l"}
PILOT = {"people": PEOPLE, "department": "support", "region": "nordics", "must_change": ["names in full"]}
ITEMS = ("infrastructure", "monitoring", "security", "integrations", "documentation", "training", "support", "rollback")
COLLEAGUE = {"department": "support", "region": "nordics"}


@pytest.fixture
def world(any_database_url):
    with control_plane.world(any_database_url) as world:
        world.services = replace(world.services, needs_stages=True)
        yield world


@pytest.fixture
def api(world):
    return control_plane.client(world.services)


class Walk:
    """Goes through the stages as somebody would who uses the API."""

    def __init__(self, api):
        self.api = api
        self.api.post("/api/v1/flags", json={"key": KEY}).json  # noqa: B018 - the flag is what is wanted

    @property
    def passport(self):
        return self.api.get(f"/api/v1/flags/{KEY}/passport").json

    def write(self, stage, **part):
        return self.api.put(f"/api/v1/flags/{KEY}/passport/{stage}", json=part | {"actor": "ada"})

    def leave(self, outcome="go", reason="it reads well", **further):
        document = {"outcome": outcome, "reason": reason, "actor": "ada"} | further
        return self.api.post(f"/api/v1/flags/{KEY}/passport/decisions", json=document)

    def to(self, stage):
        """Up to that stage, by what each before it asks for."""
        for name, part in (("discovery", DISCOVERY), ("proof_of_concept", FEASIBLE), ("pilot", PILOT)):
            if self.passport["passport"]["stage"] == stage:
                break
            assert self.write(name, **part).status_code == 200
            assert self.leave().status_code == 200
        assert self.passport["passport"]["stage"] == stage


@pytest.fixture
def walk(api):
    return Walk(api)


def serve(world, person_key, **attributes):
    with wavegate.Client.offline(world.ruleset) as gate:
        return gate.details(KEY, person_key, **attributes)


def test_a_flag_begins_in_discovery_and_says_what_it_lacks(walk):
    shown = walk.passport

    assert (shown["passport"]["stage"], shown["held"], shown["begun"], shown["version"]) == (
        "discovery",
        True,
        False,
        0,
    )
    assert [each["field"] for each in shown["missing"]] == [f"discovery.{name}" for name in DISCOVERY]


@pytest.mark.parametrize("stage", ["discovery", "proof_of_concept", "pilot", "production_ready"])
def test_a_rollout_is_drafted_but_not_started_before_scale(walk, api, stage):
    walk.to(stage)
    created = api.post("/api/v1/rollouts", json={"flag": KEY, "actor": "ada"})

    started = api.post(f"/api/v1/rollouts/{KEY}/start", json={"actor": "ada"})

    assert created.status_code == 201
    assert started.status_code == 409
    assert f"is in {stage}, and percentages of users are for scale" in started.json["detail"]
    assert api.get(f"/api/v1/rollouts/{KEY}").json["state"] == "draft"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"rules": [{"if": {"attribute": "country", "operator": "exists"}, "serve": "on"}]}, "rules[0] serves more"),
        ({"allow": {"on": [f"user-{number}" for number in range(21)]}}, "name 21 people"),
        ({"pilot": {"variant": "on", "keys": PEOPLE}}, "pilot comes before its stage"),
        ({"default_variant": "on"}, "everybody gets"),
        ({"variants": {"on": True, "off": True}}, "everybody gets"),
    ],
)
def test_no_change_of_a_flag_gives_it_to_more_than_a_pilot(walk, api, change, problem):
    changed = api.patch(f"/api/v1/flags/{KEY}", json=change | {"actor": "ada"})

    assert changed.status_code == 409
    assert problem in changed.json["detail"]
    assert api.get(f"/api/v1/flags/{KEY}").json["version"] == 1
    created = api.post("/api/v1/flags", json={"key": "other"} | change)
    # What a new flag serves to everybody is what there is: nothing is new about it.
    assert created.status_code == (201 if "everybody" in problem else 409)


def test_files_go_no_other_way(walk, api):
    rule = {"if": {"attribute": "country", "operator": "exists"}, "serve": "on"}
    wide = {"apiVersion": "wavegate/v1", "kind": "Flag", "spec": {"key": KEY, "rules": [rule]}}
    started = {"apiVersion": "wavegate/v1", "kind": "Rollout", "spec": {"flag": KEY, "start": True}}

    answers = [
        api.post("/api/v1/configuration/apply", json={"documents": [document], "actor": "ada"})
        for document in (wide, started)
    ]

    assert [each.status_code for each in answers] == [409, 409]
    assert "rules[0] serves more" in answers[0].json["detail"]
    assert "percentages of users are for scale" in answers[1].json["detail"]
    flag = api.get(f"/api/v1/flags/{KEY}").json
    assert (flag["rules"], flag["rollout"]) == ([], None)


def test_what_was_rolled_back_in_scale_does_not_come_back_outside_of_it(walk, api):
    walk.leave("override", to="scale")
    api.post("/api/v1/rollouts", json={"flag": KEY, "actor": "ada"})
    for event in ("start", "roll_back"):
        api.post(f"/api/v1/rollouts/{KEY}/{event}", json={"actor": "ada"})
    assert walk.leave("back", to="pilot").status_code == 200

    for event in ("undo", "restart"):
        refused = api.post(f"/api/v1/rollouts/{KEY}/{event}", json={"actor": "ada", "comment": "again"})
        assert refused.status_code == 409
        assert "percentages of users are for scale" in refused.json["detail"]
    assert api.get(f"/api/v1/rollouts/{KEY}").json["percent"] == 0


def test_a_skip_is_refused_and_an_overriding_admin_is_seen_for_ever(walk, api):
    skipped = walk.leave(to="scale")
    early = walk.leave()
    over = walk.leave("override", reason="a law asks for it", to="scale")

    assert skipped.status_code == 422
    assert "no stage is skipped" in skipped.json["detail"]
    assert early.status_code == 409
    assert "discovery.problem: is empty" in early.json["detail"]
    assert over.status_code == 200
    (decision,) = over.json["passport"]["decisions"]
    assert "discovery.problem: is empty" in decision["missing"]
    api.post("/api/v1/rollouts", json={"flag": KEY, "actor": "ada"})
    assert api.post(f"/api/v1/rollouts/{KEY}/start", json={"actor": "ada"}).status_code == 200
    assert [each["overridden"] for each in api.get("/api/v1/passports").json["features"]] == [True]


def test_a_flag_may_be_exempt_from_the_start_with_a_reason(api):
    made = api.post("/api/v1/flags", json={"key": "ops", "exempt": "a switch for operators"})
    unreasoned = api.post("/api/v1/flags", json={"key": "other", "exempt": " "})

    assert made.status_code == 201
    shown = api.get("/api/v1/flags/ops/passport").json["passport"]
    assert (shown["stage"], shown["decisions"][0]["reason"]) == ("scale", "a switch for operators")
    assert unreasoned.status_code == 422
    assert api.get("/api/v1/flags/other").status_code == 404


def test_in_its_stage_the_pilot_is_served_to_its_people_while_they_are_of_the_department(world, walk, api):
    walk.to("proof_of_concept")
    walk.write("proof_of_concept", **FEASIBLE)
    walk.write("pilot", **PILOT)
    assert world.ruleset.flags[KEY].pilot is None

    walk.leave()

    assert serve(world, "ann", **COLLEAGUE).variant == "on"
    assert serve(world, "ann", department="sales", region="nordics").variant == "off"
    assert serve(world, "zoe", **COLLEAGUE).variant == "off"
    left = api.post(f"/api/v1/flags/{KEY}/pilot/leave", json={"targeting_key": "ann", "actor": "ada"})
    assert left.json["pilot"]["opted_out"] == ["ann"]
    assert serve(world, "ann", **COLLEAGUE).variant == "off"
    # Who has left stays out when the others change.
    walk.write("pilot", **PILOT | {"people": [*PEOPLE, "fay"]})
    assert serve(world, "fay", **COLLEAGUE).variant == "on"
    assert serve(world, "ann", **COLLEAGUE).variant == "off"


@pytest.mark.parametrize(("outcome", "to"), [("no_go", None), ("back", "discovery")])
def test_a_pilot_ends_with_its_stage_unless_it_is_left_with_a_go(world, walk, outcome, to):
    walk.to("pilot")
    walk.write("pilot", **PILOT)
    assert serve(world, "ann", **COLLEAGUE).variant == "on"

    left = walk.leave(outcome, reason="nobody used it", **({"to": to} if to else {}))

    assert left.status_code == 200
    assert serve(world, "ann", **COLLEAGUE).variant == "off"


def test_people_of_two_departments_too_few_and_too_many_are_refused_by_field(walk):
    walk.to("pilot")

    for part, field in (
        ({"people": PEOPLE[:4]}, "people"),
        ({"people": [f"user-{number}" for number in range(21)]}, "people"),
        ({"department": "support, sales"}, "department"),
    ):
        refused = walk.write("pilot", **PILOT | part)
        assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, field)
    assert walk.passport["passport"]["pilot"]["people"] == []


def ready(world, walk):
    """Everything that the checklist asks for."""
    walk.to("production_ready")
    line = {"owner": "ada", "is_done": True, "evidence": ["a note"]}
    walk.write("production_ready", items=dict.fromkeys(ITEMS, line), apps=["shop"], met={"names in full": "prompt 14"})
    clients = [
        ConnectedClient(instance=f"i-{n}", sdk="python", app="shop", revision=1, held_seconds=1, streaming=True)
        for n in range(2)
    ]
    world.services.fleets.clients = lambda environment: clients
    world.metrics.count("on", 10)
    walk.api.post("/api/v1/rollouts", json={"flag": KEY, "actor": "ada"})
    walk.api.post(f"/api/v1/flags/{KEY}/passport/acknowledgements", json={"item": "support", "actor": "ada"})
    with world.services.store.transaction() as work:
        note(work, by=person(), action=DRILLED, subject=KEY, environment="production", now=world.clock.now())


def test_what_can_be_seen_is_checked_and_the_rest_needs_evidence(world, walk):
    ready(world, walk)

    shown = walk.passport

    assert shown["missing"] == []
    assert {each["item"]: each["check"] for each in shown["findings"]} == dict.fromkeys(
        ("infrastructure", "monitoring", "integrations", "support", "rollback"), "green"
    )
    assert walk.leave().json["passport"]["stage"] == "scale"


def test_a_check_that_turns_red_shows_it_and_holds_the_stage(world, walk):
    ready(world, walk)
    world.clock.advance(days=31)
    world.metrics.away = True

    refused = walk.leave()

    assert refused.status_code == 409
    assert (
        "production_ready.rollback: the last drill was on 2026-01-01, more than 30 days ago" in refused.json["detail"]
    )
    assert "production_ready.monitoring: gates without an answer" in refused.json["detail"]


def test_an_app_that_is_connected_and_never_asks_for_the_flag_does_not_count_as_integrated(world, walk):
    ready(world, walk)
    world.metrics.value = Value(value=0.0)

    (finding,) = [each for each in walk.passport["findings"] if each["item"] == "integrations"]

    assert finding["check"] == "red"
    assert finding["detail"] == "connected, but the metrics server has not seen the flag asked for by: shop"
    assert any('wavegate_client_info{app="shop"}' in each for each in world.metrics.queries)


LATENCY = {"type": "threshold", "name": "latency", "query": "p95", "operator": "<", "limit": 0.5}


def in_scale(world, walk, **plan):
    """A rollout that is in its first wave, of a feature that came to scale by green checks."""
    ready(world, walk)
    assert walk.leave().json["passport"]["stage"] == "scale"
    walk.api.post(f"/api/v1/rollouts/{KEY}/cancel", json={"actor": "ada"})
    waves = [{"percent": share, "bake": "1m", "target": "1m"} for share in (10, 50, 100)]
    document = {"flag": KEY, "plan": {"waves": waves, "gates": [LATENCY]} | plan, "actor": "ada"}
    rollout = walk.api.post("/api/v1/rollouts", json=document).json["id"]
    assert walk.api.post(f"/api/v1/rollouts/{KEY}/start", json={"actor": "ada"}).status_code == 200
    return rollout


def looks(world, rollout, *, minutes=2):
    """What the reconciler decided last."""
    decision = None
    for _ in range(minutes * 4):
        world.clock.advance(seconds=15)
        decision = reconcile(world.services, rollout) or decision
    return decision


def test_a_check_that_turns_red_in_scale_holds_the_next_wave_by_name_where_the_plan_says_so(world, walk, api):
    rollout = in_scale(world, walk, on_red_check="hold")
    world.services.fleets.clients = lambda environment: []

    held = looks(world, rollout)

    shown = api.get(f"/api/v1/rollouts/{KEY}").json
    latest = api.get(f"/api/v1/rollouts/{KEY}/decisions").json["items"][0]
    assert (held.event, held.reason) == (Event.TICK, "red_check")
    assert "integrations (not connected: shop)" in held.sentence
    assert (shown["percent"], latest["reason"], latest["sentence"]) == (10, "red_check", held.sentence)
    assert explain_decision(world.services, latest["id"], by=person()).agrees
    pages = Flask("pages")
    pages.register_blueprint(make_web(world.services, identity(world.services)))
    page = pages.test_client().get(f"/flags/{KEY}").text
    assert "Readiness has turned red" in page
    assert "No wave is left upwards by itself" in page
    promoted = api.post(f"/api/v1/rollouts/{KEY}/promote", json={"actor": "ada", "comment": "the shop restarts"})
    assert promoted.json["percent"] == 50
    entry = api.get("/api/v1/audit?action=rollout.promote").json["items"][0]
    assert "the shop restarts (red since it came to scale: infrastructure" in entry["evidence"]["sentence"]


def test_a_red_check_keeps_no_rollout_from_going_back(world, walk):
    rollout = in_scale(world, walk, on_red_check="hold")
    world.services.fleets.clients = lambda environment: []
    world.metrics.value = Value(value=0.9)

    assert looks(world, rollout, minutes=1).event is Event.ROLL_BACK


@pytest.mark.parametrize("on_red_check", ["hold", "show"])
def test_waves_go_on_while_the_checks_are_green_or_the_plan_only_shows_them(world, walk, on_red_check):
    rollout = in_scale(world, walk, on_red_check=on_red_check)
    if on_red_check == "show":
        world.services.fleets.clients = lambda environment: []

    looks(world, rollout)

    assert world.rollout(rollout).weight > 10_000


def test_who_came_to_scale_by_an_override_is_not_held_by_checks_that_were_never_made(world, walk, api):
    walk.leave("override", reason="a law asks for it", to="scale")
    plan = {"waves": [{"percent": 10, "bake": "1m"}, {"percent": 100, "bake": "1m"}], "on_red_check": "hold"}
    document = {"flag": KEY, "plan": plan | {"gates": [LATENCY]}, "actor": "ada"}
    rollout = api.post("/api/v1/rollouts", json=document).json["id"]
    api.post(f"/api/v1/rollouts/{KEY}/start", json={"actor": "ada"})

    looks(world, rollout)

    assert world.rollout(rollout).weight == 100_000


def test_only_its_owner_says_that_they_own_an_item_and_a_new_owner_must_say_so_anew(world, walk, api):
    ready(world, walk)
    path = f"/api/v1/flags/{KEY}/passport/acknowledgements"

    refused = api.post(path, json={"item": "support", "actor": "eve"})
    items = walk.passport["passport"]["production_ready"]["items"]
    forged = items["support"] | {"owner": "eve", "acknowledged_by": "eve"}
    walk.write("production_ready", items=items | {"support": forged}, apps=["shop"], met={"names in full": "p"})

    assert refused.status_code == 409
    assert "owned by 'ada', and you sign as 'eve'" in refused.json["detail"]
    assert [each["field"] for each in walk.passport["missing"]] == ["production_ready.support"]


def test_of_two_who_decide_at_once_one_is_told_that_the_other_was_faster(world, walk):
    walk.write("discovery", **DISCOVERY)
    version = walk.passport["version"]

    first = walk.leave(version=version)
    second = walk.leave("no_go", version=version)

    assert first.status_code == 200
    assert second.status_code == 409
    assert "changed by somebody else meanwhile" in second.json["detail"]
    assert walk.passport["passport"]["has_ended"] is False


def test_a_decision_is_about_what_was_looked_at_though_nobody_names_a_version(world, walk, monkeypatch):
    walk.write("discovery", **DISCOVERY)
    looked = passports.get_passport

    def and_meanwhile(services, key, *, by):
        seen = looked(services, key, by=by)
        monkeypatch.setattr(passports, "get_passport", looked)
        walk.write("discovery", **DISCOVERY | {"sponsor": ""})
        return seen

    monkeypatch.setattr(passports, "get_passport", and_meanwhile)

    with pytest.raises(StaleVersion):
        passports.decide(world.services, KEY, Outcome.GO, by=person(), reason="it reads well")


def test_a_draft_is_no_reason_to_stay_in_scale_and_waits_there(walk, api):
    walk.leave("override", to="scale")
    api.post("/api/v1/rollouts", json={"flag": KEY, "actor": "ada"})

    back = walk.leave("back", to="pilot")

    assert back.json["passport"]["stage"] == "pilot"
    assert api.post(f"/api/v1/rollouts/{KEY}/start", json={"actor": "ada"}).status_code == 409


def test_stages_that_an_override_skipped_were_not_entered(walk, api):
    walk.leave("override", to="scale")

    counts = {each["stage"]: each["reached"] for each in api.get("/api/v1/passports").json["stages"]}

    assert counts == {"discovery": 1, "proof_of_concept": 0, "pilot": 0, "production_ready": 0, "scale": 1}


def test_a_feature_does_not_leave_scale_under_a_running_rollout(walk, api):
    walk.leave("override", to="scale")
    api.post("/api/v1/rollouts", json={"flag": KEY, "actor": "ada"})
    api.post(f"/api/v1/rollouts/{KEY}/start", json={"actor": "ada"})

    refused = walk.leave("back", to="pilot")

    assert refused.status_code == 409
    assert "roll it back first" in refused.json["detail"]


@pytest.mark.parametrize(
    ("outcome", "to", "weakest"),
    [
        (Outcome.GO, None, Role.APPROVER),
        (Outcome.NO_GO, None, Role.ENGINEER),
        (Outcome.BACK, Stage.DISCOVERY, Role.ENGINEER),
        (Outcome.OVERRIDE, Stage.SCALE, Role.ADMIN),
    ],
)
def test_who_may_decide(world, walk, outcome, to, weakest):
    walk.to("proof_of_concept")
    walk.write("proof_of_concept", **FEASIBLE)
    weaker = {Role.ENGINEER: Role.VIEWER, Role.APPROVER: Role.ENGINEER, Role.ADMIN: Role.APPROVER}[weakest]

    with pytest.raises(Forbidden):
        passports.decide(world.services, KEY, outcome, by=person(role=weaker), reason="because", to=to)
    passports.decide(world.services, KEY, outcome, by=person(role=weakest), reason="because", to=to)


def test_the_portfolio_says_where_features_are_what_blocks_them_and_where_they_end(world, walk, api):
    walk.to("pilot")
    api.post("/api/v1/flags", json={"key": "dead"})
    world.clock.advance(days=3)
    api.post("/api/v1/flags/dead/passport/decisions", json={"outcome": "no_go", "reason": "no data", "actor": "ada"})

    shown = api.get("/api/v1/passports").json

    assert [(each["flag"], each["stage"], each["days"], each["has_ended"]) for each in shown["features"]] == [
        (KEY, "pilot", 3.0, False),
        ("dead", "discovery", 3.0, True),
    ]
    assert shown["features"][0]["missing"][0]["field"] == "pilot.department"
    counts = {each["stage"]: (each["reached"], each["ended"]) for each in shown["stages"]}
    assert counts["discovery"] == (2, 1)
    assert counts["pilot"] == (1, 0)
    assert counts["scale"] == (0, 0)


def test_the_portfolio_says_what_blocks_features_in_scale_without_a_question_for_each(world, walk, api):
    rollout = in_scale(world, walk, on_red_check="hold")
    for key in ("other", "third"):
        api.post("/api/v1/flags", json={"key": key, "exempt": "older than stages"})
    world.metrics.queries.clear()
    green = api.get("/api/v1/passports").json
    world.services.fleets.clients = lambda environment: []
    looks(world, rollout)
    world.metrics.queries.clear()

    red = api.get("/api/v1/passports").json

    blocks = {each["flag"]: each["blocks"] for each in red["features"]}
    assert {each["flag"]: each["blocks"] for each in green["features"]}[KEY] == []
    assert blocks[KEY][0].startswith("red_check: all gates pass; red since it came to scale")
    assert "integrations: not connected: shop" in blocks[KEY]
    assert blocks["other"] == ["no rollout has started"]
    assert world.metrics.queries == []
    went_on = {each["stage"]: each["went_on"] for each in red["stages"]}
    assert (went_on["discovery"], went_on["pilot"], went_on["scale"]) == (pytest.approx(1 / 3), 1.0, None)
    page = pages_for(world.services).get("/portfolio").text
    assert "red_check: all gates pass" in page
    assert "33 %" in page


def test_every_step_is_in_the_audit(world, walk, api):
    walk.to("pilot")
    walk.write("pilot", **PILOT)
    walk.leave("no_go", reason="nobody used it")

    entries = api.get("/api/v1/audit").json["items"]

    told = [(each["action"], each["reason"]) for each in reversed(entries) if each["action"] != "environment.create"]
    assert told == [
        ("flag.create", ""),
        ("stage.write", ""),
        ("stage.go", "it reads well"),
        ("stage.write", ""),
        ("stage.go", "it reads well"),
        ("stage.write", ""),
        ("flag.pilot", "the pilot of its stage"),
        ("stage.no_go", "nobody used it"),
        ("flag.pilot", "the feature is in pilot"),
    ]


def test_a_decision_keeps_what_was_seen_when_it_was_made(world, walk, api):
    walk.to("pilot")
    walk.write("pilot", **PILOT)
    world.metrics.value = Value(value=12.0)
    world.clock.advance(hours=30)
    kept = walk.leave("no_go", reason="nobody used it").json["passport"]["decisions"][-1]

    document = api.get(f"/api/v1/flags/{KEY}/passport/document?stage=pilot").json["markdown"]
    entry = next(each for each in api.get("/api/v1/audit").json["items"] if each["action"] == "stage.no_go")

    # The pilot ends with its stage, and what it has shown is not lost with it.
    assert "no pilot is served now" in document
    assert kept["evidence"][0] == "5 people take part; left: 0"
    assert kept["evidence"][1] == "12 people used it, on 24 person-days"
    assert kept["evidence"][2] == "12 bad outcomes among 12 requests: the true rate may still be 100 %"
    assert f"seen then: {kept['evidence'][2]}" in document
    assert entry["evidence"]["seen"] == kept["evidence"]


def test_what_production_readiness_was_left_on_stays_when_a_check_turns_red(world, walk, api):
    ready(world, walk)
    walk.leave()
    world.clock.advance(days=31)

    shown = walk.passport

    assert {"item": "rollback", "check": "red"}.items() <= shown["findings"][-1].items()
    assert "rollback green: drilled on 2026-01-01" in shown["passport"]["decisions"][-1]["evidence"]


def test_where_stages_are_optional_only_what_has_begun_is_held(world):
    api = control_plane.client(replace(world.services, needs_stages=False))
    walk = Walk(api)
    api.post("/api/v1/flags", json={"key": "other"})
    walk.write("discovery", **DISCOVERY)
    for key in (KEY, "other"):
        api.post("/api/v1/rollouts", json={"flag": key, "actor": "ada"})

    started = [api.post(f"/api/v1/rollouts/{key}/start", json={"actor": "ada"}).status_code for key in (KEY, "other")]

    assert started == [409, 200]
    assert api.get("/api/v1/passports").json["outside"] == ["other"]


def test_a_passport_says_how_long_it_has_been_where_it_is(world, walk):
    world.clock.advance(hours=36)
    walk.write("discovery", **DISCOVERY)
    walk.leave()
    world.clock.advance(hours=12)

    found = passports.portfolio(world.services, by=person())

    assert found.age(found.views[0]) == timedelta(hours=12)


def test_what_the_people_of_a_pilot_wrote_stands_in_its_document_as_text(world, walk, api):
    walk.to("pilot")
    walk.write("pilot", **PILOT)
    said = {"flag_key": KEY, "environment": "production", "source": Source.SERVER, "at": world.clock.now()}
    answers = [
        FeedbackAnswer(key="1", variant="on", thumbs_up=False, comment="<b>cut</b> ![x](http://x)\n# names", **said),
        FeedbackAnswer(key="2", variant="off", thumbs_up=True, comment="of the old one", **said),
    ]
    keep(world.services, answers)

    document = api.get(f"/api/v1/flags/{KEY}/passport/document?stage=pilot").json["markdown"]
    page = pages_for(world.services).get(f"/flags/{KEY}/stages").text

    assert r"thumbs down: &lt;b>cut&lt;/b> !\[x\](http://x) # names" in document
    assert "of the old one" not in document
    assert "0 thumbs up, 1 thumbs down" in document
    assert "&lt;b&gt;cut&lt;/b&gt;" in page
    walk.leave("no_go", reason="nobody used it")
    world.clock.advance(seconds=1)
    keep(world.services, [replace(answers[0], key="3", comment="much later", at=world.clock.now())])
    left = api.get(f"/api/v1/flags/{KEY}/passport/document?stage=pilot").json["markdown"]
    assert "thumbs down: &lt;b>cut" in left
    assert "much later" not in left


def test_somebody_is_taken_out_of_the_pilot_on_its_page(world, walk):
    walk.to("pilot")
    walk.write("pilot", **PILOT)
    pages = pages_for(world.services)

    page = pages.post(f"/flags/{KEY}/stages/leave", data={"person": "ann"}, follow_redirects=True).text

    assert "Left: ann." in page
    assert serve(world, "ann", **COLLEAGUE).variant == "off"
    assert pages.post(f"/flags/{KEY}/stages/leave", data={"person": "zoe"}).status_code == 404


def test_the_key_that_hashes_a_pilots_people_is_for_apps_alone_and_stays_as_long_as_the_pilot(world, walk, api):
    walk.to("pilot")
    walk.write("pilot", **PILOT)
    key = world.ruleset.flags[KEY].pilot.usage_key
    walk.write("pilot", **PILOT | {"people": [*PEOPLE, "fay"]})
    api.patch(f"/api/v1/flags/{KEY}", json={"description": "shorter", "deny": ["mallory"], "actor": "ada"})

    assert len(key) == 32
    assert world.ruleset.flags[KEY].pilot.usage_key == key
    assert key not in api.get(f"/api/v1/flags/{KEY}").text
    assert key not in api.get("/api/v1/audit").text
    walk.leave("no_go", reason="nobody used it")
    assert key not in str(world.ruleset)


def test_half_of_a_pilot_gets_it_and_the_other_half_is_counted_to_compare_with(world, walk, api):
    walk.to("pilot")
    walk.write("pilot", **PILOT | {"half": True})

    served = {each: serve(world, each, **COLLEAGUE) for each in PEOPLE}

    with_it = [each for each, details in served.items() if details.variant == "on"]
    without = [each for each in PEOPLE if each not in with_it]
    assert len(with_it) == 3
    assert all(served[each].decided_by == "rules[0]" for each in without)
    api.post(f"/api/v1/flags/{KEY}/pilot/leave", json={"targeting_key": without[0], "actor": "ada"})
    assert serve(world, without[0], **COLLEAGUE).decided_by != "rules[0]"
    api.patch(f"/api/v1/flags/{KEY}", json={"description": "shorter", "deny": ["mallory"], "actor": "ada"})
    assert serve(world, without[1], **COLLEAGUE).decided_by == "rules[0]"
    assert api.get(f"/api/v1/flags/{KEY}").json["rules"] == []


@pytest.mark.parametrize(("bad", "ceiling", "is_stopped"), [(40, 0.25, True), (12, 0.25, False), (40, None, False)])
def test_a_pilot_in_which_too_much_goes_wrong_is_stopped_and_says_why(world, walk, api, bad, ceiling, is_stopped):
    walk.to("pilot")
    walk.write("pilot", **PILOT | {"ceiling": ceiling})
    world.clock.advance(hours=1)
    counted = {"wavegate_requests_total": 40.2, "wavegate_bad_total": bad + 0.4}
    world.metrics.query = lambda promql, at: Value(value=next(n for name, n in counted.items() if name in promql))

    stopped = watch_pilots(world.services) + watch_pilots(world.services)

    assert stopped == is_stopped
    assert (serve(world, "ann", **COLLEAGUE).variant == "off") is is_stopped
    if is_stopped:
        said = api.get(f"/api/v1/flags/{KEY}").json["stopped"]
        assert (said["by"], said["reason"]) == (
            "wavegate",
            "40 of 41 requests of the pilot ended badly, more than its ceiling of 25 % allows",
        )


def test_a_pilot_that_cannot_be_measured_is_not_stopped_and_a_ceiling_is_a_share(world, walk):
    walk.to("pilot")
    walk.write("pilot", **PILOT)
    world.metrics.away = True

    assert watch_pilots(world.services) == 0
    assert walk.write("pilot", **PILOT | {"ceiling": 25}).json["errors"][0]["field"] == "ceiling"
