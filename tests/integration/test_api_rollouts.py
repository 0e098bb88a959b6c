"""Rollouts over HTTP."""

import pytest

from support import control_plane
from wavegate_controller.service.reconcile import reconcile

ADA = {"actor": "ada", "comment": "seen enough"}
THRESHOLD = {"type": "threshold", "name": "latency", "operator": "<", "limit": 2}


@pytest.fixture
def world(any_database_url):
    with control_plane.world(any_database_url) as world:
        yield world


@pytest.fixture
def api(world):
    client = control_plane.client(world.services)
    client.post("/api/v1/flags", json={"key": "ai-summaries"})
    return client


@pytest.fixture
def running(api):
    api.post("/api/v1/rollouts", json={"flag": "ai-summaries", "actor": "ada"})
    return api.post("/api/v1/rollouts/ai-summaries:1/start", json=ADA).json


def test_a_rollout_is_created_as_a_draft_that_serves_nobody(api):
    created = api.post("/api/v1/rollouts", json={"flag": "ai-summaries", "actor": "ada"})

    assert created.status_code == 201
    assert created.headers["Location"] == "/api/v1/rollouts/ai-summaries:1"
    assert (created.json["state"], created.json["percent"], created.json["created_by"]) == ("draft", 0.0, "ada")
    assert created.json["possible"] == ["start", "cancel"]
    assert [wave["percent"] for wave in created.json["plan"]["waves"]] == [10, 25, 50, 100]
    assert api.get(created.headers["Location"]).json == created.json


def test_the_plan_that_is_shown_creates_the_same_plan(api):
    api.post("/api/v1/flags", json={"key": "other"})
    plan = {"waves": [{"percent": 0.5, "bake": "90s"}], "gates": [THRESHOLD | {"query": "up"}], "interval": 5}
    shown = api.post("/api/v1/rollouts", json={"flag": "ai-summaries", "actor": "ada", "plan": plan}).json["plan"]

    again = api.post("/api/v1/rollouts", json={"flag": "other", "actor": "ada", "plan": shown})

    assert again.json["plan"] == shown


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"plan": {"waves": [{"percent": 50}, {"percent": 25}]}}, "plan.waves[1].percent"),
        ({"plan": {"waves": [{"percent": 50}, {"percent": 120}]}}, "plan.waves[1].percent"),
        ({"plan": {"waves": []}}, "plan.waves"),
        ({"plan": {"waves": [{"percent": "ten"}]}}, "plan.waves[0].percent"),
        ({"plan": {"waves": [{"percent": 10, "bake": "soon"}]}}, "plan.waves[0].bake"),
        ({"plan": {"gates": []}}, "plan.gates"),
        ({"plan": {"gates": [{"type": "hope"}]}}, "plan.gates[0].type"),
        ({"plan": {"gates": [THRESHOLD | {"query": "rate((x[1m])"}]}}, "plan.gates[0].query"),
        ({"plan": {"gates": [THRESHOLD | {"query": "up{flag='{{falg}}'}"}]}}, "plan.gates[0].query"),
        ({"candidate": "purple"}, "candidate"),
        ({"candidate": "off"}, "candidate"),
        ({"stable": "on"}, "stable"),
        ({"speed": "fast"}, "speed"),
        ({"actor": " "}, "actor"),
        ({"actor": None}, "actor"),
    ],
)
def test_a_rollout_that_makes_no_sense_is_refused_by_field_and_nothing_is_kept(api, document, field):
    refused = api.post("/api/v1/rollouts", json={"flag": "ai-summaries", "actor": "ada"} | document)

    assert (refused.status_code, refused.content_type) == (422, "application/problem+json")
    assert refused.json["errors"][0]["field"] == field
    assert all(refused.json["errors"][0].values())
    assert api.get("/api/v1/rollouts").json["items"] == []


def test_a_rollout_of_an_unknown_flag_is_not_found(api):
    refused = api.post("/api/v1/rollouts", json={"flag": "nope", "actor": "ada"})

    assert (refused.status_code, refused.json["detail"]) == (404, "there is no flag 'nope'")


def test_a_second_rollout_beside_one_that_has_not_ended_is_a_conflict(api, running):
    refused = api.post("/api/v1/rollouts", json={"flag": "ai-summaries", "actor": "ada"})

    assert (refused.status_code, refused.json["type"]) == (409, "urn:wavegate:problem:conflict")


def test_rollouts_are_listed_newest_first_and_by_flag(api, running):
    api.post("/api/v1/rollouts/ai-summaries/cancel", json=ADA)
    api.post("/api/v1/rollouts", json={"flag": "ai-summaries", "actor": "ada"})
    api.post("/api/v1/flags", json={"key": "other"})
    api.post("/api/v1/rollouts", json={"flag": "other", "actor": "ada"})

    def ids(path):
        return [rollout["id"] for rollout in api.get(path).json["items"]]

    assert sorted(ids("/api/v1/rollouts")) == ["ai-summaries:1", "ai-summaries:2", "other:1"]
    assert ids("/api/v1/rollouts?flag=ai-summaries") == ["ai-summaries:2", "ai-summaries:1"]
    assert ids("/api/v1/rollouts?flag=nope") == []


def test_a_flag_key_stands_for_the_flags_newest_rollout(api, running):
    assert api.get("/api/v1/rollouts/ai-summaries").json == api.get("/api/v1/rollouts/ai-summaries:1").json
    assert api.get("/api/v1/rollouts/nope").status_code == 404


@pytest.mark.parametrize(
    ("events", "state", "percent"),
    [
        (["start"], "running", 10),
        (["start", "promote"], "running", 25),
        (["start", "pause"], "paused", 10),
        (["start", "pause", "resume"], "running", 10),
        (["start", "promote", "step_back"], "paused", 10),
        (["start", "roll_back"], "rolled_back", 0),
        (["start", "roll_back", "restart"], "running", 10),
        (["start", "cancel"], "cancelled", 0),
        (["start", *["promote"] * 4], "completed", 100),
    ],
)
def test_a_person_takes_a_rollout_where_the_table_leads(api, events, state, percent):
    api.post("/api/v1/rollouts", json={"flag": "ai-summaries", "actor": "ada"})

    answers = [api.post(f"/api/v1/rollouts/ai-summaries/{event}", json=ADA) for event in events]

    assert [answer.status_code for answer in answers] == [200] * len(events)
    assert (answers[-1].json["state"], answers[-1].json["percent"]) == (state, percent)
    assert answers[-1].json["moved_by"]["actor"] == "ada"


@pytest.mark.parametrize("event", ["approve", "reject", "resume", "restart", "start"])
def test_an_event_that_the_state_does_not_take_is_refused_with_what_it_takes(api, running, event):
    before = api.get("/api/v1/rollouts/ai-summaries:1").json

    refused = api.post(f"/api/v1/rollouts/ai-summaries:1/{event}", json=ADA)

    assert (refused.status_code, refused.json["type"]) == (409, "urn:wavegate:problem:event-refused")
    assert (refused.json["state"], refused.json["allowed"]) == ("running", running["possible"])
    assert api.get("/api/v1/rollouts/ai-summaries:1").json == before


@pytest.mark.parametrize("event", ["explode", "tick", "complete", "await_approval", "step-back"])
def test_an_event_that_no_person_may_ask_for_is_refused_with_those_that_exist(api, running, event):
    refused = api.post(f"/api/v1/rollouts/ai-summaries:1/{event}", json=ADA)

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "event")
    assert "roll_back" in refused.json["errors"][0]["expected"]


@pytest.mark.parametrize(
    ("body", "field"), [({}, "actor"), ({"actor": "ada"}, "comment"), (ADA | {"reason": "x"}, "reason")]
)
def test_a_promotion_is_signed_with_a_name_and_a_reason(api, running, body, field):
    refused = api.post("/api/v1/rollouts/ai-summaries:1/promote", json=body)

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, field)


def test_an_outage_of_the_metrics_server_is_shown_as_a_hold_with_its_reason(world, api, running):
    world.metrics.away = True
    world.clock.advance(hours=2)

    reconcile(world.services, "ai-summaries:1")

    held = api.get("/api/v1/rollouts/ai-summaries:1").json
    assert (held["state"], held["percent"]) == ("running", 10)
    assert (held["latest_decision"]["event"], held["latest_decision"]["reason"]) == ("tick", "cannot_measure")
    assert held["latest_decision"]["verdicts"][0]["reason"] == "unreachable"
    assert held["moved_by"]["event"] == "start"


def test_decisions_are_paged_newest_first_with_or_without_the_holds(world, api, running):
    for _ in range(3):
        world.clock.advance(seconds=15)
        reconcile(world.services, "ai-summaries:1")
    api.post("/api/v1/rollouts/ai-summaries:1/pause", json=ADA)

    def events(query):
        return [
            (each["id"], each["event"])
            for each in api.get(f"/api/v1/rollouts/ai-summaries/decisions{query}").json["items"]
        ]

    everything = events("")
    assert [event for _, event in everything] == ["pause", "tick", "tick", "tick", "start"]
    assert events("?limit=2") == everything[:2]
    assert events(f"?limit=2&before={everything[1][0]}") == everything[2:4]
    assert events("?moves_only=true") == [everything[0], everything[-1]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?limit=0", "limit"),
        ("?limit=many", "limit"),
        ("?limit=501", "limit"),
        ("?before=99999999999999999999", "before"),
        ("?moves_only=perhaps", "moves_only"),
        ("?page=2", "page"),
        ("?limit=1&limit=2", "limit"),
    ],
)
def test_a_query_parameter_that_makes_no_sense_is_refused_by_name(api, running, query, field):
    refused = api.get(f"/api/v1/rollouts/ai-summaries:1/decisions{query}")

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, field)
