"""What people can ask of plans, rollouts and flags beyond waves and gates, through the API over a real database."""

from collections.abc import Iterator
from typing import Any

import pytest

from support import control_plane
from support.database import database
from support.inline import InlineExecutor
from support.people import person
from support.rollouts import NOW
from support.world import World
from wavegate_controller.documents import CalendarDocument, FlagChange, parse
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.environment import Environment
from wavegate_controller.domain.errors import Forbidden, Invalid
from wavegate_controller.domain.measurement import Broken, BrokenReason, NoData, NoDataReason, Value
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service import flags, rollouts
from wavegate_controller.service.calendars import save_calendar
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.service.reconcile import tick
from wavegate_controller.store import SqlStore

GATE = {
    "type": "threshold",
    "name": "latency",
    "query": 'p95{flag="{{flag}}"}',
    "operator": "<",
    "limit": 0.8,
    "failures": 1,
    "of": 1,
}
AUTO = [{"percent": share, "bake": "1m"} for share in (10, 50, 100)]
FREEZE = {"name": "inventory", "from": "2026-01-01 12:00", "to": "2026-01-01 18:00"}


class Story:
    """A world, and what is asked of it by HTTP."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client = control_plane.client(world.services)

    def ask(self, method: str, path: str, *, status: int = 200, **body: Any) -> Any:
        sent = {} if method == "GET" else {"json": body}
        answer = self.client.open(f"/api/v1/{path}", method=method, **sent)
        assert answer.status_code == status, answer.json
        return answer.json

    def rollout(self, flag: str = "ai", *, start: bool = True, **plan: Any) -> Any:
        plan = {"waves": AUTO, "gates": [GATE]} | plan
        created = self.ask("POST", "rollouts", status=201, flag=flag, actor="anna", plan=plan)
        return self.act("start", created["id"], by="anna") if start else created

    def act(self, event: str, reference: str = "ai:1", *, by: str = "bert", status: int = 200, **further: Any) -> Any:
        return self.ask("POST", f"rollouts/{reference}/{event}", status=status, actor=by, comment="because", **further)

    def look(self, *, seconds: int = 15, times: int = 1, value: float = 0.3) -> Any:
        self.world.metrics.value = Value(value=value)
        for _ in range(times):
            self.world.clock.advance(seconds=seconds)
            tick(self.world.services, InlineExecutor())
        return self.shown()

    def shown(self, reference: str = "ai:1") -> Any:
        return self.ask("GET", f"rollouts/{reference}")

    def reason(self, reference: str = "ai:1") -> str:
        return self.shown(reference)["latest_decision"]["reason"]


@pytest.fixture
def story(any_database_url: str) -> Iterator[Story]:
    with database(any_database_url) as engine:
        story = Story(World.over(SqlStore(engine)))
        publish_latest(story.world.services)
        story.ask("POST", "flags", status=201, key="ai")
        yield story


# Approvals


def waiting(story: Story, approvers: int = 2) -> None:
    waves = [{"percent": 10, "bake": "1m", "approval": "manual", "approvers": approvers}, {"percent": 50, "bake": "1m"}]
    story.rollout(waves=waves)
    assert story.look(times=5)["state"] == "awaiting_approval"


def test_a_wave_opens_when_as_many_people_approved_as_the_plan_asks_for(story: Story):
    waiting(story)
    first = story.act("approve", by="bert")
    second = story.act("approve", by="cleo")

    assert first["state"] == "awaiting_approval"
    assert (first["approvals"]["needed"], [each["by"] for each in first["approvals"]["given"]]) == (2, ["bert"])
    assert (second["state"], second["percent"], second["approvals"]) == ("running", 50, None)
    assert "after bert" in second["moved_by"]["sentence"]


@pytest.mark.parametrize(("by", "problem"), [("anna", "is the author"), ("bert", "has approved this wave already")])
def test_neither_the_author_nor_anybody_twice_approves(story: Story, by: str, problem: str):
    waiting(story, approvers=3)
    before = story.act("approve", by="bert")
    refused = story.act("approve", by=by, status=422)

    assert refused["errors"][0]["field"] == "actor"
    assert problem in refused["errors"][0]["problem"]
    assert story.shown()["approvals"] == before["approvals"]


def test_approvals_are_void_when_the_rollout_stops_waiting_and_stay_in_the_history(story: Story):
    waiting(story)
    story.act("approve", by="bert")
    story.act("pause")
    story.act("resume")
    again = story.look(times=5)

    assert (again["state"], again["approvals"]["given"]) == ("awaiting_approval", [])
    events = story.ask("GET", "rollouts/ai:1/decisions?moves_only=true&limit=50")["items"]
    assert ("sign", "bert") in [(each["event"], each["actor"]) for each in events]


def test_a_breach_while_people_are_asked_voids_what_they_said(story: Story):
    waiting(story)
    story.act("approve", by="bert")

    after = story.look(value=2.0)

    assert (after["state"], after["approvals"]) == ("rolled_back", None)


def test_a_rejection_pauses_with_its_reason(story: Story):
    waiting(story)
    after = story.act("reject", by="cleo")

    assert (after["state"], after["pause_reason"]) == ("paused", "rejected")
    assert after["moved_by"]["comment"] == "because"


def test_a_promotion_past_the_approvers_takes_an_admin(story: Story):
    waiting(story)
    services = story.world.services
    with pytest.raises(Forbidden):
        rollouts.act(services, "ai:1", Event.PROMOTE, by=person("dora", Role.APPROVER), comment="hurry")

    after = rollouts.act(services, "ai:1", Event.PROMOTE, by=person("root"), comment="hurry")

    assert after.weight == 50_000


# Freeze windows


def test_nothing_rises_by_itself_in_a_freeze_window_of_the_environment_and_the_hold_says_until_when(story: Story):
    story.rollout()
    story.ask("PUT", "freeze-windows", freeze_windows=[FREEZE], actor="root")
    held = story.look(times=8)
    story.world.clock.advance(hours=6)
    after = story.look()

    assert (held["percent"], held["latest_decision"]["reason"]) == (10, "freeze_window")
    assert "'inventory' until 2026-01-01 18:00 UTC" in held["latest_decision"]["sentence"]
    # The hours in which nobody looked are no baking, but it had baked before.
    assert after["percent"] == 50


def test_a_window_of_the_plan_holds_its_own_rollout_only(story: Story):
    story.ask("POST", "flags", status=201, key="other")
    story.rollout(start=False, freeze_windows=[FREEZE])
    story.rollout("other")

    assert "freeze window 'inventory'" in story.act("start", status=409)["detail"]
    assert story.shown("other:1")["state"] == "running"


def test_what_lowers_exposure_never_waits_for_a_window(story: Story):
    story.rollout()
    story.look(times=5)
    story.ask("PUT", "freeze-windows", freeze_windows=[FREEZE], actor="root")

    assert story.act("step_back")["percent"] == 10
    assert story.act("pin")["pin"]["by"] == "bert"
    assert story.act("resume")["state"] == "running"
    assert story.act("promote", status=409)["detail"].startswith("promote would raise exposure")
    assert story.ask("POST", "flags/ai/disable", actor="bert", comment="x")["enabled"] is False
    assert "enable" in story.ask("POST", "flags/ai/enable", status=409, actor="bert", comment="x")["detail"]
    assert story.act("roll_back")["percent"] == 0


def test_a_breach_acts_in_a_freeze_window(story: Story):
    story.rollout()
    story.ask("PUT", "freeze-windows", freeze_windows=[FREEZE], actor="root")

    assert story.look(value=2.0)["state"] == "rolled_back"


def test_only_an_admin_overrides_a_window_and_the_decision_says_so(story: Story):
    story.rollout()
    story.ask("PUT", "freeze-windows", freeze_windows=[FREEZE], actor="root")
    services = story.world.services
    approver, wanted = person("dora", Role.APPROVER), {"comment": "the fix", "override_freeze": True}
    with pytest.raises(Forbidden):
        rollouts.act(services, "ai:1", Event.PROMOTE, by=approver, **wanted)
    with pytest.raises(Invalid, match="freeze window is signed with a reason"):
        rollouts.act(services, "ai:1", Event.PROMOTE, by=person("root"), comment=" ", override_freeze=True)

    after = story.act("promote", by="root", override_freeze=True)

    assert after["percent"] == 50
    assert "overridden" in after["moved_by"]["sentence"]


def test_only_an_admin_changes_the_calendar(story: Story):
    document = parse(CalendarDocument, {"freeze_windows": [FREEZE]})
    with pytest.raises(Forbidden):
        save_calendar(story.world.services, document, by=person("eve", Role.APPROVER))


def test_a_calendar_that_somebody_else_changed_is_not_overwritten(story: Story):
    story.ask("PUT", "freeze-windows", freeze_windows=[FREEZE], actor="root", version=0)

    refused = story.ask("PUT", "freeze-windows", status=409, freeze_windows=[], actor="eve", version=0)

    assert refused["type"].endswith("stale-version")


# Time


@pytest.mark.parametrize(("action", "state"), [("ask", "running"), ("pause", "paused"), ("roll_back", "rolled_back")])
def test_a_wave_that_lasts_too_long_does_what_the_plan_says(story: Story, action: str, state: str):
    waves = [{"percent": 10, "bake": "1m", "time_limit": "3m", "on_time_limit": action}, {"percent": 100}]
    story.rollout(waves=waves)
    story.world.metrics.value = NoData(reason=NoDataReason.EMPTY_RESULT)
    for _ in range(13):
        story.world.clock.advance(seconds=15)
        tick(story.world.services, InlineExecutor())

    after = story.shown()
    assert after["state"] == state
    reasons = [each["reason"] for each in story.ask("GET", "rollouts/ai:1/decisions")["items"]]
    assert "time_limit" in reasons


def test_after_its_last_wave_it_watches_on_with_the_hold_out_before_it_is_completed(story: Story):
    story.rollout(waves=[{"percent": 100, "bake": "1m"}], hold_out=5, final_bake="2m")
    baking = story.look(times=5)
    still = story.look(times=6)
    done = story.look()

    assert (baking["state"], baking["hold_out"], baking["moved_by"]["event"]) == ("running", 5, "bake")
    assert baking["wave"]["final_bake_since"] is not None
    assert (still["state"], still["latest_decision"]["reason"]) == ("running", "baking")
    assert (done["state"], done["hold_out"]) == ("completed", 0)


def test_a_breach_in_the_final_bake_still_rolls_back(story: Story):
    story.rollout(waves=[{"percent": 100, "bake": "1m"}], final_bake="2m")
    story.look(times=5)

    assert story.look(value=2.0)["state"] == "rolled_back"


def test_a_downtime_is_folded_into_one_look_that_skips_nothing_and_is_no_baking(story: Story):
    story.rollout()
    story.look(times=2)
    after_a_day = story.look(seconds=86_400)
    then = story.look()

    assert (after_a_day["percent"], after_a_day["latest_decision"]["reason"]) == (10, "baking")
    assert then["percent"] == 50


def test_an_outage_of_the_metrics_server_is_watched_time_and_passes_nothing(story: Story):
    story.rollout()
    story.world.metrics.value = Broken(reason=BrokenReason.UNREACHABLE, detail="refused")
    for _ in range(8):
        story.world.clock.advance(seconds=15)
        tick(story.world.services, InlineExecutor())
    held = story.shown()

    assert (held["percent"], held["latest_decision"]["reason"]) == (10, "cannot_measure")
    assert story.look()["percent"] == 50


@pytest.mark.parametrize("value", [0.3, 2.0])
def test_a_clock_that_is_set_back_bakes_nothing_and_a_breach_still_acts(story: Story, value: float):
    story.rollout(gates=[GATE, {"type": "error_rate"}])
    story.world.metrics.count("on", 20)
    story.world.metrics.count("off", 180)
    story.look(times=2)
    story.world.clock.advance(hours=-1)
    with story.world.services.store.transaction() as work:  # as the scheduler does
        work.claims.look_again(now=story.world.clock.now())

    after = story.look(times=8, value=value)

    assert after["percent"] == (10 if value < 1 else 0)
    assert story.ask("GET", f"decisions/{after['latest_decision']['id']}/explanation")["agrees"] is True


@pytest.mark.parametrize(("values", "percent"), [([0.5] * 8, 10), ([0.5, 0.5, 2.0, 2.0], 0)])
def test_a_breach_acts_also_while_the_clock_is_before_the_wave(story: Story, values: list[float], percent: float):
    story.rollout()
    story.world.clock.advance(hours=-1)
    with story.world.services.store.transaction() as work:  # as the scheduler does
        work.claims.look_again(now=story.world.clock.now())

    for value in values:
        after = story.look(times=1, value=value)

    assert after["percent"] == percent
    assert story.ask("GET", f"decisions/{after['latest_decision']['id']}/explanation")["agrees"] is True


def test_a_rollout_that_is_made_after_the_clock_was_set_back_is_the_newest_and_serves(story: Story):
    story.rollout()
    story.act("roll_back")
    story.world.clock.advance(hours=-1)
    again = story.rollout()

    assert (again["id"], story.shown("ai")["id"]) == ("ai:2", "ai:2")
    assert story.world.served("ai") == 10_000


# Pins


def test_a_pinned_rollout_is_moved_by_nothing_automatic_up_or_down(story: Story):
    story.rollout()
    story.look(times=5)
    pinned = story.act("pin", percent=10)
    held = story.look(times=8)
    flagged = story.look(times=2, value=2.0)

    assert (pinned["state"], pinned["percent"], pinned["wave"]["number"]) == ("running", 10, 1)
    assert (held["percent"], held["latest_decision"]["reason"]) == (10, "pinned")
    assert (flagged["state"], flagged["percent"]) == ("running", 10)
    assert flagged["latest_decision"]["reason"] == "pinned_breach"
    assert flagged["pin"]["breached_at"] is not None
    assert flagged["moved_by"]["event"] == "alert"  # once; then it is a hold


def test_after_unpinning_the_wave_bakes_anew_and_a_breach_that_was_overruled_is_forgotten(story: Story):
    story.rollout()
    story.act("pin")
    story.look(value=2.0)
    free = story.act("unpin")

    assert free["pin"] is None
    assert story.look(times=3)["percent"] == 10
    assert story.look(times=2)["percent"] == 50
    assert story.act("unpin", status=409)["type"].endswith("event-refused")


def test_a_pin_raises_nothing(story: Story):
    story.rollout()

    refused = story.act("pin", percent=50, status=422)

    assert refused["errors"][0] == {
        "field": "percent",
        "problem": "50 is no wave that it has reached",
        "expected": "one of 10; promote raises exposure",
    }


# Races


def test_a_breach_that_is_seen_while_a_person_promotes_wins(story: Story):
    story.rollout()

    def promote() -> None:
        story.world.metrics.on_query = None
        assert story.act("promote")["percent"] == 50

    story.world.metrics.on_query = promote
    after = story.look(value=2.0)

    assert (after["state"], after["percent"], after["latest_decision"]["reason"]) == ("rolled_back", 0, "breach")
    assert story.world.served("ai") == 0
    events = [each["event"] for each in story.ask("GET", "rollouts/ai:1/decisions?moves_only=true")["items"]]
    assert events == ["roll_back", "promote", "start"]
    assert story.ask("GET", f"decisions/{after['latest_decision']['id']}/explanation")["agrees"] is True


def test_a_promotion_after_a_roll_back_is_refused(story: Story):
    story.rollout()
    story.look(value=2.0)

    assert story.act("promote", status=409)["type"].endswith("event-refused")
    assert story.shown()["state"] == "rolled_back"


def test_what_a_person_began_anew_meanwhile_is_not_rolled_back_for_what_was_seen_before(story: Story):
    story.rollout(on_breach="pause")
    story.look(value=2.0)

    def resume() -> None:
        story.world.metrics.on_query = None
        story.act("resume")

    story.world.metrics.on_query = resume

    assert story.look(value=2.0)["state"] == "running"


# Prerequisites and templates


def test_a_rollout_starts_and_advances_only_when_the_flag_it_needs_serves_everybody(story: Story):
    story.ask("POST", "flags", status=201, key="base")
    story.ask("PATCH", "flags/ai", prerequisites=[{"flag": "base", "variants": ["on"]}], actor="eve")
    story.rollout(start=False)
    refused = story.act("start", status=409)
    story.rollout("base", waves=[{"percent": 100, "bake": "1m"}])
    story.act("start")
    rising = story.look(times=5)
    story.act("roll_back", "base:1")
    held = story.look(times=5)

    assert "flag 'base' must serve 'on' to everybody first, and serves 'off'" in refused["detail"]
    assert rising["percent"] == 50
    assert (held["percent"], held["latest_decision"]["reason"]) == (50, "prerequisite")
    assert story.world.ruleset.flags["ai"].prerequisites[0].flag == "base"


def test_circles_of_prerequisites_are_refused_by_field(story: Story):
    needs_ai = {"flag": "ai", "variants": ["on"]}
    story.ask("POST", "flags", status=201, key="base", prerequisites=[needs_ai])

    refused = story.ask(
        "PATCH", "flags/ai", status=422, prerequisites=[{"flag": "base", "variants": ["on"]}], actor="eve"
    )

    assert refused["errors"][0]["field"].endswith("prerequisites[0].flag")
    assert "circle" in refused["errors"][0]["problem"]
    assert story.ask("GET", "flags/ai")["prerequisites"] == []


def test_a_rollout_keeps_its_own_copy_of_the_template_that_it_came_from(story: Story):
    story.ask("PUT", "templates/careful", plan={"waves": AUTO, "gates": [GATE]}, actor="eve", version=0)
    made = story.ask("POST", "rollouts", status=201, flag="ai", template="careful", actor="anna")
    story.ask("PUT", "templates/careful", plan={"waves": AUTO[:1], "gates": [GATE]}, actor="eve", version=1)
    stale = story.ask("PUT", "templates/careful", status=409, plan={}, actor="eve", version=1)

    assert made["template"] == "careful@1"
    assert [wave["percent"] for wave in story.shown()["plan"]["waves"]] == [10, 50, 100]
    assert [each["version"] for each in story.ask("GET", "templates")["items"]] == [2]
    assert len(story.ask("GET", "templates/careful@1")["plan"]["waves"]) == 3
    assert stale["type"].endswith("stale-version")


def test_a_template_beside_a_plan_and_one_that_is_not_there_are_refused(story: Story):
    both = story.ask("POST", "rollouts", status=422, flag="ai", template="x", plan={}, actor="anna")
    story.ask("POST", "rollouts", status=404, flag="ai", template="careful", actor="anna")
    wrong = story.ask("POST", "rollouts", status=422, flag="ai", template="careful@new", actor="anna")

    assert both["errors"][0]["field"] == "plan"
    assert wrong["errors"][0]["field"] == "template"


# Restart


def test_a_restart_is_a_new_test_from_the_first_wave(story: Story):
    story.rollout()
    story.look(times=5)
    story.look(value=2.0)
    again = story.act("restart")

    assert (again["state"], again["percent"]) == ("running", 10)
    assert story.look(times=3)["percent"] == 10
    assert story.look(times=2)["percent"] == 50


# Undo, and why


def test_a_persons_roll_back_is_taken_back_into_a_pause_and_goes_on_when_somebody_resumes(story: Story):
    story.rollout()
    story.look(times=5)
    story.act("roll_back")
    undone = story.act("undo")
    resumed = story.act("resume")

    assert (undone["state"], undone["percent"], undone["pause_reason"]) == ("paused", 50, "undone")
    assert (resumed["state"], story.look(times=5)["percent"]) == ("running", 100)


def test_what_the_gates_decided_is_not_taken_back_nor_is_what_is_long_ago(story: Story):
    story.rollout()
    story.look(value=2.0, times=2)
    by_gates = story.act("undo", status=409)
    story.act("restart")
    story.act("roll_back")
    story.world.clock.advance(minutes=11)
    late = story.act("undo", status=409)

    for refused in (by_gates, late):
        assert "only a roll back that a person asked for" in refused["detail"]
    assert story.ask("GET", "rollouts/ai:1")["state"] == "rolled_back"


def test_whoever_rolled_back_says_why_afterwards_once(story: Story):
    story.rollout()
    story.ask("POST", "rollouts/ai:1/roll_back", actor="bert")
    story.ask("POST", "rollouts/ai:1/reason", status=422, actor="bert")
    story.ask("POST", "rollouts/ai:1/reason", actor="bert", comment="answers in the wrong language")
    again = story.ask("POST", "rollouts/ai:1/reason", status=409, actor="bert", comment="or not")

    (entry,) = story.ask("GET", "audit?action=rollout.reason")["items"]
    assert (entry["actor"], entry["reason"]) == ("bert", "answers in the wrong language")
    assert "has its reason" in again["detail"]


# Flags


def test_lists_rules_segments_and_pilot_reach_the_apps(story: Story):
    story.ask(
        "PUT", "segments/staff", condition={"attribute": "team", "operator": "equals", "value": "us"}, actor="eve"
    )
    changed = story.ask(
        "PATCH",
        "flags/ai",
        deny=["mallory"],
        allow={"on": ["ann"]},
        rules=[{"name": "staff", "if": {"segment": "staff"}, "serve": "on"}],
        pilot={"variant": "on", "keys": ["bob"], "limit": 20},
        stale="default",
        actor="eve",
    )
    compiled = story.world.ruleset.flags["ai"]

    assert changed["version"] == 2
    assert changed["rules"] == [{"name": "staff", "if": {"segment": "staff"}, "serve": "on"}]
    assert (compiled.deny, dict(compiled.allow)) == (("mallory",), {"on": ("ann",)})
    assert compiled.pilot is not None
    assert compiled.rollout is not None
    assert (compiled.pilot.keys, compiled.rollout.weight) == (("bob",), 0)
    assert list(story.world.ruleset.segments) == ["staff"]
    assert story.ask("GET", "flags/ai")["pilot"]["since"].startswith("2026-01-01T12:00")


def test_a_roll_back_takes_the_candidate_from_the_pilot_until_it_is_chosen_anew(story: Story):
    pilot = {"variant": "on", "keys": ["bob"]}
    story.ask("PATCH", "flags/ai", pilot=pilot, actor="eve")
    story.rollout()
    story.look(value=2.0)
    gone = story.world.ruleset.flags["ai"].pilot
    story.world.clock.advance(minutes=1)
    story.ask("PATCH", "flags/ai", pilot=pilot, actor="eve")

    assert gone is None
    assert story.world.ruleset.flags["ai"].pilot is not None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rules": [{"if": {"segment": "nobody"}, "serve": "on"}]}, "rules[0].if.segment"),
        (
            {"rules": [{"if": {"attribute": "a", "operator": "like", "value": "b"}, "serve": "on"}]},
            "rules[0].if.operator",
        ),
        ({"rules": [{"if": {"attribute": "a", "operator": "exists"}, "serve": "maybe"}]}, "rules[0].serve"),
        ({"rules": [{"if": {"attribute": "a", "operator": "exists"}, "serves": "on"}]}, "rules[0].serve"),
        ({"allow": {"maybe": ["ann"]}}, "allow"),
        ({"pilot": {"variant": "on", "keys": ["a", "b"], "limit": 1}}, "pilot.keys"),
        ({"pilot": {"variant": "off", "keys": ["a"]}}, "pilot.variant"),
        ({"pilot": {"variant": "maybe", "keys": ["a"]}}, "pilot.variant"),
        ({"prerequisites": [{"flag": "nobody", "variants": ["on"]}]}, "prerequisites[0].flag"),
        ({"default_variant": "maybe"}, "default_variant"),
        ({"variants": None}, "variants"),
        ({"stale": "sometimes"}, "stale"),
    ],
)
def test_what_the_evaluator_would_refuse_is_refused_by_field_and_changes_nothing(
    story: Story, change: dict, field: str
):
    before, revision = story.ask("GET", "flags/ai"), story.world.ruleset.revision

    refused = story.ask("PATCH", "flags/ai", status=422, actor="eve", **change)

    assert refused["errors"][0]["field"] == field
    assert refused["errors"][0]["expected"]
    assert story.ask("GET", "flags/ai") == before
    assert story.world.ruleset.revision == revision


def test_what_is_compared_is_fixed_while_a_rollout_is_under_way(story: Story):
    story.rollout()

    refused = story.ask("PATCH", "flags/ai", status=409, salt="other", actor="eve")

    assert "salt of flag 'ai' is fixed while rollout 'ai:1' is under way" in refused["detail"]
    assert story.ask("PATCH", "flags/ai", deny=["mallory"], actor="eve")["deny"] == ["mallory"]


def test_a_flag_that_somebody_else_changed_is_not_overwritten(story: Story):
    services, change = story.world.services, parse(FlagChange, {"description": "new"})
    flags.change_flag(services, "ai", change, by=person(), expected_version=1)

    refused = story.ask("PATCH", "flags/ai", status=409, description="other", version=1, actor="eve")

    assert refused["type"].endswith("stale-version")


def test_an_edit_that_may_give_somebody_something_waits_for_the_end_of_a_freeze_window(story: Story):
    story.ask("PUT", "freeze-windows", freeze_windows=[FREEZE], actor="root")

    refused = story.ask("PATCH", "flags/ai", status=409, allow={"on": ["ann"]}, actor="eve")

    assert "freeze window 'inventory'" in refused["detail"]
    assert story.ask("PATCH", "flags/ai", deny=["mallory"], actor="eve")["deny"] == ["mallory"]
    story.ask("PATCH", "flags/ai", status=409, deny=[], actor="eve")
    allowed = {"allow": {"on": ["ann"]}, "override_freeze": True, "comment": "the board asks"}
    assert story.ask("PATCH", "flags/ai", actor="root", **allowed)["allow"] == {"on": ["ann"]}


def test_a_segment_that_is_named_stays(story: Story):
    condition = {"attribute": "team", "operator": "equals", "value": "us"}
    story.ask("PUT", "segments/staff", condition=condition, actor="eve")
    story.ask("PATCH", "flags/ai", rules=[{"if": {"segment": "staff"}, "serve": "on"}], actor="eve")
    refused = story.ask("POST", "segments/staff/remove", status=409, actor="eve")
    story.ask("PATCH", "flags/ai", rules=[], actor="eve")
    story.ask("POST", "segments/staff/remove", actor="eve")

    assert "flags.ai.rules[0].if" in refused["detail"]
    story.ask("GET", "segments/staff", status=404)


def test_a_segment_that_names_itself_is_refused(story: Story):
    refused = story.ask("PUT", "segments/loop", status=422, condition={"segment": "loop"}, actor="eve")

    assert refused["errors"][0]["field"] == "condition.segment"
    assert story.ask("GET", "segments")["items"] == []


def test_an_archived_flag_leaves_the_ruleset_and_comes_back_as_it_was(story: Story):
    story.ask("PATCH", "flags/ai", deny=["mallory"], actor="eve")
    story.ask("POST", "flags/ai/archive", actor="eve", comment="done")
    gone = "ai" not in story.world.ruleset.flags
    listed = [[each["key"] for each in story.ask("GET", f"flags{query}")["items"]] for query in ("", "?archived=true")]
    story.ask("POST", "rollouts", status=409, flag="ai", actor="anna")
    story.ask("PATCH", "flags/ai", status=409, description="x", actor="eve")
    story.ask("POST", "flags/ai/restore", actor="eve", comment="after all")

    assert gone
    assert listed == [[], ["ai"]]
    assert story.world.ruleset.flags["ai"].deny == ("mallory",)


def test_a_flag_with_a_rollout_or_that_others_need_is_not_archived(story: Story):
    story.ask("POST", "flags", status=201, key="base")
    story.ask("PATCH", "flags/ai", prerequisites=[{"flag": "base", "variants": ["off"]}], actor="eve")
    story.rollout()

    assert "'ai:1' (running)" in story.ask("POST", "flags/ai/archive", status=409, actor="eve")["detail"]
    assert "prerequisite of 'ai'" in story.ask("POST", "flags/base/archive", status=409, actor="eve")["detail"]


@pytest.mark.parametrize("state", ["draft", "running", "awaiting_approval", "paused", "completed"])
def test_the_emergency_stop_works_in_every_state_and_says_who_did_it(story: Story, state: str):
    waves = [{"percent": 100, "bake": "1m", "approval": "manual" if state == "awaiting_approval" else "auto"}]
    story.rollout(start=state != "draft", waves=waves)
    if state == "paused":
        story.act("pause")
    if state in ("awaiting_approval", "completed"):
        story.look(times=5)
    assert story.shown()["state"] == state
    stopped = story.ask("POST", "flags/ai/disable", actor="dora", comment="it lies")

    assert (stopped["stopped"]["by"], stopped["stopped"]["reason"]) == ("dora", "it lies")
    assert story.world.ruleset.flags["ai"].enabled is False
    assert story.shown()["state"] == state
    assert story.ask("POST", "flags/ai/enable", actor="dora", comment="mended")["stopped"] is None
    assert story.world.ruleset.flags["ai"].enabled is True


def test_a_stopped_flag_holds_its_rollout_and_its_wave_bakes_anew_afterwards(story: Story):
    story.rollout()
    story.look(times=3)
    story.ask("POST", "flags/ai/disable", actor="dora", comment="it lies")
    held = story.look(times=8)
    story.ask("POST", "flags/ai/enable", actor="dora", comment="mended")

    assert (held["percent"], held["latest_decision"]["reason"]) == (10, "flag_stopped")
    assert story.look(times=3)["percent"] == 10
    assert story.look(times=2)["percent"] == 50


def test_the_report_names_flags_that_have_done_their_work(story: Story):
    story.ask("POST", "flags", status=201, key="idle")
    story.ask("POST", "flags", status=201, key="named", allow={"on": ["ann"]})
    story.rollout(waves=[{"percent": 100, "bake": "1m"}])
    story.look(times=5)
    fresh = story.ask("GET", "stale-flags?days=30")
    story.world.clock.advance(days=31)
    old = story.ask("GET", "stale-flags?days=30")
    story.world.metrics.value = NoData(reason=NoDataReason.EMPTY_RESULT)
    unused = story.ask("GET", "stale-flags?days=30")
    story.world.metrics.away = True
    blind = story.ask("GET", "stale-flags?days=30")

    def reasons(report: Any) -> dict[str, list[str]]:
        return {each["flag"]: [reason["reason"] for reason in each["reasons"]] for each in report["items"]}

    assert fresh == {"items": [], "notice": None}
    assert reasons(old) == {"ai": ["completed"], "idle": ["nobody"]}
    assert reasons(unused)["named"] == ["not_evaluated"]
    assert reasons(blind) == reasons(old)
    assert blind["notice"] == "connection refused"


def test_whoever_may_only_read_changes_nothing(story: Story):
    viewer, services = person("vera", Role.VIEWER), story.world.services
    with pytest.raises(Forbidden):
        flags.change_flag(services, "ai", parse(FlagChange, {"description": "x"}), by=viewer)
    with pytest.raises(Forbidden):
        flags.archive_flag(services, "ai", by=viewer)
    with pytest.raises(Forbidden):
        flags.restore_flag(services, "ai", by=viewer)


def test_a_freeze_window_holds_in_its_own_environment_only(story: Story):
    with story.world.services.store.transaction() as work:
        work.environments.add(Environment(name="staging", description="", created_at=NOW))
    story.ask("PUT", "freeze-windows?environment=staging", freeze_windows=[FREEZE], actor="root")
    story.ask("POST", "flags?environment=staging", status=201, key="ai")
    story.rollout()
    there = story.ask("POST", "rollouts?environment=staging", status=201, flag="ai", actor="anna")["id"]

    assert story.look(times=5)["percent"] == 50
    story.ask("POST", f"rollouts/{there}/start?environment=staging", status=409, actor="anna")
