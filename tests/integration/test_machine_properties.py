"""The machine, driven through its HTTP API by whatever comes: the laws hold, whoever asks for what, and when."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from support import control_plane
from support.database import database
from support.inline import InlineExecutor
from support.world import World
from wavegate_controller.domain.measurement import Broken, BrokenReason, NoData, NoDataReason, Value
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import REQUESTS, TRANSITIONS, Event
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.service.reconcile import tick
from wavegate_controller.store import SqlStore

PASS, BREACH = Value(value=0.3), Value(value=2.0)
SILENCE = NoData(reason=NoDataReason.EMPTY_RESULT)
OUTAGE = Broken(reason=BrokenReason.UNREACHABLE, detail="connection refused")
AUTHOR, PEOPLE = "anna", ("anna", "bert", "cleo")
WATCHED = {State.RUNNING, State.AWAITING_APPROVAL, State.PAUSED}
#: Where a rollout stands: what nobody changes by being refused, and nothing automatic under a pin.
STANDING = ("state", "pause_reason", "percent", "hold_out", "version")
LOWERING = {"breach", "time_limit", "not_enough_data", "cannot_measure"}
GATE = {
    "type": "threshold",
    "name": "latency",
    "query": 'p95{flag="{{flag}}"}',
    "operator": "<",
    "limit": 0.8,
    "failures": 1,
    "of": 1,
}
#: Ending it for good is one request among many, or most histories were short.
ASKED = [*sorted(REQUESTS), Event.PROMOTE, Event.RESUME, Event.RESTART, Event.PIN, Event.UNPIN, Event.STEP_BACK]
numbers = count()


class Machine(RuleBasedStateMachine):
    """One rollout, the people around it, two reconcilers, a metrics server and a clock."""

    world: World
    other: World
    #: Where histories begin: what lies far down the road is rarely come to by chance.
    places: tuple[str, ...] = (
        "its start",
        "its start",
        "final bake",
        "completion",
        "alert under a pin",
        "a plan that pauses",
    )
    #: What happened by itself, over all histories.
    reached: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        number = next(numbers)
        self.flag, self.needed = f"feature-{number}", f"base-{number}"
        self.client = control_plane.client(self.world.services)
        self.reading = PASS
        self.revision = 0
        self.world.metrics.on_query = None
        self.send("PUT", "freeze-windows", freeze_windows=[], actor="root")
        self.send("POST", "flags", key=self.needed)
        self.send("POST", "flags", key=self.flag, prerequisites=[{"flag": self.needed, "variants": ["on", "off"]}])
        self.create("roll_back")

    def create(self, on_breach: str) -> None:
        waves = [
            {"percent": 10, "bake": "1m", "time_limit": "3h", "on_time_limit": "roll_back"},
            {"percent": 50, "bake": "1m", "approval": "manual", "approvers": 2},
            {"percent": 100, "bake": "1m"},
        ]
        plan = {"waves": waves, "gates": [GATE], "hold_out": 5, "final_bake": "2m", "on_breach": on_breach}
        created = self.send("POST", "rollouts", flag=self.flag, plan=plan, actor=AUTHOR)
        self.rollout_id = created["id"]
        self.send("POST", f"rollouts/{self.rollout_id}/start", **signed(AUTHOR), allow=(200, 409))

    # Where it begins

    @initialize(place=st.runner().flatmap(lambda machine: st.sampled_from(machine.places)))
    def it_has_come_so_far(self, place: str) -> None:
        if place == "alert under a pin":
            self.ask(Event.PIN, actor="bert", comment="for the fair", percent=None, override=False)
            self.time_passes(BREACH, 15)
            return
        if place == "a plan that pauses":
            # Where a plan does not say otherwise a breach rolls back, and few histories come to a second plan.
            self.send("POST", f"rollouts/{self.rollout_id}/roll_back", **signed("root"))
            self.create("pause")
            self.time_passes(BREACH, 15)
            return
        if place in ("final bake", "completion"):
            self.climb(lambda rollout: rollout["wave"] and rollout["wave"]["final_bake_since"])
        if place == "completion":
            self.climb(lambda rollout: rollout["state"] == State.COMPLETED)

    def climb(self, is_there: Callable[[Any], Any]) -> None:
        """By what people and time do when all is well."""
        for _ in range(20):
            rollout = self.rollout()
            if is_there(rollout):
                return
            if rollout["state"] == State.AWAITING_APPROVAL:
                self.people_approve(list(PEOPLE))
            else:
                self.time_passes(PASS, 75)
        raise AssertionError(f"never got there: {self.rollout()}")

    # What people and the world do

    @rule(
        event=st.sampled_from(ASKED),
        actor=st.sampled_from(PEOPLE),
        comment=st.sampled_from(["because", "because", ""]),
        percent=st.sampled_from([None, 10, 50, 33]),
        override=st.booleans(),
    )
    def somebody_asks(self, event: str, actor: str, comment: str, percent: float | None, override: bool) -> None:
        self.ask(event, actor=actor, comment=comment, percent=percent, override=override)

    @precondition(lambda self: self.rollout()["state"] == State.DRAFT)
    @rule()
    def somebody_starts_it(self) -> None:
        self.ask(Event.START, actor=AUTHOR, comment="", percent=None, override=False)

    @precondition(lambda self: self.rollout()["state"] == State.AWAITING_APPROVAL)
    @rule(actors=st.permutations(PEOPLE))
    def people_approve(self, actors: list[str]) -> None:
        for actor in actors:
            self.ask(Event.APPROVE, actor=actor, comment="reads well", percent=None, override=False)

    @rule(reading=st.sampled_from([PASS, PASS, PASS, BREACH, SILENCE, OUTAGE]), seconds=st.sampled_from([15, 75, 75]))
    def time_passes(self, reading: Any, seconds: int) -> None:
        self.reading = reading
        self.world.clock.advance(seconds=seconds)
        self.look()

    @precondition(lambda self: self.rollout()["state"] in WATCHED)
    @rule()
    def the_bake_is_waited_for(self) -> None:
        self.reading = PASS
        for _ in range(5):
            self.world.clock.advance(seconds=15)
            self.look()

    @rule(hours=st.sampled_from([24, -1]))
    def the_clock_jumps(self, hours: int) -> None:
        self.world.clock.advance(hours=hours)
        if hours < 0:  # as the scheduler does when it notices
            with self.world.services.store.transaction() as work:
                work.claims.look_again(now=self.world.clock.now())
        self.look()

    @rule(hours=st.sampled_from([0, 1]))
    def the_calendar_changes(self, hours: int) -> None:
        now = self.world.clock.now()
        text = "%Y-%m-%d %H:%M"
        window = {"from": now.strftime(text), "to": (now + timedelta(hours=hours)).strftime(text)}
        self.send("PUT", "freeze-windows", freeze_windows=[window] if hours else [], actor="root")

    @rule(enabled=st.booleans())
    def the_flag_is_stopped_or_enabled(self, enabled: bool) -> None:
        before = self.rollout()
        verb = "enable" if enabled else "disable"
        self.send("POST", f"flags/{self.flag}/{verb}", actor="root", comment="x", allow=(200, 409))
        assert [self.rollout()[name] for name in ("percent", "hold_out")] == [
            before[name] for name in ("percent", "hold_out")
        ]

    @rule(wanted=st.sampled_from([["on", "off"], ["on"]]))
    def the_prerequisite_changes(self, wanted: list[str]) -> None:
        change = {"prerequisites": [{"flag": self.needed, "variants": wanted}], "actor": "root", "comment": "x"}
        self.send("PATCH", f"flags/{self.flag}", **change, allow=(200, 409))

    @rule(
        event=st.sampled_from(sorted(REQUESTS)), actor=st.sampled_from(PEOPLE), reading=st.sampled_from([PASS, BREACH])
    )
    def somebody_asks_while_it_is_looked_at(self, event: str, actor: str, reading: Any) -> None:
        """Between the question to the metrics server and the decision; a breach that was seen wins over a promotion."""
        before, asked = self.rollout(), []
        self.reading = reading

        def act() -> None:
            self.world.metrics.on_query = None
            asked.append(self.client.post(f"/api/v1/rollouts/{self.rollout_id}/{event}", json=signed(actor)))

        self.world.metrics.on_query = act
        self.world.clock.advance(seconds=15)
        tick(self.world.services, InlineExecutor())
        self.world.metrics.on_query = None
        after = self.rollout()
        if asked and event == Event.PROMOTE and reading is BREACH and before["pin"] is None:
            overruled = before["pause_reason"] == "breach"
            assert overruled or after["state"] in ("rolled_back", "paused")
        self.see(before, after, people=True)

    @rule(reading=st.sampled_from([PASS, BREACH]))
    def two_reconcilers_look_at_once(self, reading: Any) -> None:
        before = self.rollout()
        self.reading = reading

        def race() -> None:
            self.world.metrics.on_query = None
            tick(self.other.services, InlineExecutor())

        self.world.metrics.on_query = race
        self.world.clock.advance(seconds=75)
        tick(self.world.services, InlineExecutor())
        self.world.metrics.on_query = None
        self.see(before, self.rollout(), people=False)

    @precondition(lambda self: self.rollout()["state"] in ("completed", "rolled_back", "cancelled"))
    @rule(on_breach=st.sampled_from(["roll_back", "step_back", "pause"]))
    def another_rollout_is_made(self, on_breach: str) -> None:
        self.send("POST", f"rollouts/{self.rollout_id}/roll_back", **signed("root"), allow=(200, 409))
        self.create(on_breach)

    # What must hold

    @invariant()
    def revisions_only_grow_and_say_what_the_rollout_says(self) -> None:
        ruleset = self.world.ruleset
        assert ruleset.revision >= self.revision
        self.revision = ruleset.revision
        published = ruleset.flags[self.flag].rollout
        rollout = self.rollout()
        if rollout["started_at"] is not None:
            assert published is not None
            assert published.weight == round(rollout["percent"] * 1000)
            assert (published.holdout.weight if published.holdout else 0) == round(rollout["hold_out"] * 1000)

    @invariant()
    def the_newest_decision_comes_out_the_same_when_it_is_made_again(self) -> None:
        latest = self.rollout()["latest_decision"]
        if latest is not None:
            explained = self.send("GET", f"decisions/{latest['id']}/explanation")
            assert explained["agrees"] in (True, None), explained

    def teardown(self) -> None:
        self.world.metrics.on_query = None
        for event in (Event.CANCEL, Event.ROLL_BACK):
            self.client.post(f"/api/v1/rollouts/{self.rollout_id}/{event}", json=signed("root"))

    # How it is looked at

    def ask(self, event: str, *, actor: str, comment: str, percent: float | None, override: bool) -> None:
        before = self.rollout()
        body = {"actor": actor, "comment": comment}
        if event == Event.PIN and percent is not None:
            body["percent"] = percent
        if override and event in (Event.START, Event.PROMOTE, Event.APPROVE, Event.RESTART, Event.UNDO):
            body["override_freeze"] = True
        answer = self.client.post(f"/api/v1/rollouts/{self.rollout_id}/{event}", json=body)
        after = self.rollout()
        assert answer.status_code in (200, 409, 422), answer.json
        if answer.status_code != 200:
            assert after == before
            return
        assert Event(event) in TRANSITIONS[State(before["state"])]
        self.check_request(Event(event), before, after, actor=actor, comment=comment, override=override)

    def check_request(self, event: Event, before: Any, after: Any, *, actor: str, comment: str, override: bool) -> None:
        if exposure(after) > exposure(before):
            assert event in (Event.START, Event.PROMOTE, Event.APPROVE, Event.RESTART, Event.UNDO)
            assert event in (Event.START, Event.UNDO) or comment
            assert override or not self.is_frozen()
            assert event is Event.START or event is Event.RESTART or wave(after) in (wave(before), wave(before) + 1)
        if event is Event.APPROVE and before["state"] != after["state"]:
            signers = {each["by"] for each in before["approvals"]["given"]} | {actor}
            assert len(signers) >= before["approvals"]["needed"]
            assert AUTHOR not in signers
        if after["state"] != State.AWAITING_APPROVAL:
            assert after["approvals"] is None

    def look(self) -> None:
        before = self.rollout()
        tick(self.world.services, InlineExecutor())
        self.see(before, self.rollout(), people=False)

    def see(self, before: Any, after: Any, *, people: bool) -> None:
        """The laws of what happens by itself, over what one tick did."""
        moves = self.moves_after(before["latest_decision"])
        automatic = [each for each in moves if each["actor"] == "wavegate"]
        assert len(automatic) <= 1
        for move in automatic:
            self.check_move(move)
        if people:
            return
        if before["pin"] is not None:
            assert [after[name] for name in STANDING[:4]] == [before[name] for name in STANDING[:4]]
            assert {each["event"] for each in automatic} <= {Event.ALERT}
        if before["state"] not in WATCHED:
            assert after == before
        if exposure(after) > exposure(before):
            assert before["state"] == State.RUNNING
            assert self.reading is PASS
            assert not self.is_frozen()
            assert before["flag_enabled"]
            assert wave(after) in (wave(before), wave(before) + 1)
            assert self.prerequisite_is_met()
            # For a rollout time never runs back, whatever the clock does.
            looked_at = datetime.fromisoformat(after["latest_decision"]["at"])
            assert datetime.fromisoformat(before["wave"]["baked_at"]) <= looked_at

    def check_move(self, move: Any) -> None:
        self.reached[move["event"]] += 1
        if move["event"] in (Event.PROMOTE, Event.BAKE, Event.COMPLETE, Event.AWAIT_APPROVAL):
            assert move["reason"] == "gates_passed"
            assert [verdict["kind"] for verdict in move["verdicts"]] == ["pass"]
        elif move["event"] == Event.ALERT:
            assert move["reason"] == "pinned_breach"
        else:
            assert move["event"] in (Event.ROLL_BACK, Event.STEP_BACK, Event.PAUSE)
            assert move["reason"] in LOWERING

    def moves_after(self, decision: Any) -> list[Any]:
        path = f"rollouts/{self.rollout_id}/decisions?limit=20&moves_only=true"
        newest = decision["id"] if decision else 0
        return [each for each in self.send("GET", path)["items"] if each["id"] > newest]

    def is_frozen(self) -> bool:
        now = self.world.clock.now()
        for window in self.send("GET", "freeze-windows")["freeze_windows"]:
            begin, end = (datetime.fromisoformat(window[name]).replace(tzinfo=UTC) for name in ("from", "to"))
            if begin <= now < end:
                return True
        return False

    def prerequisite_is_met(self) -> bool:
        return "off" in self.send("GET", f"flags/{self.flag}")["prerequisites"][0]["variants"]

    @property
    def reading(self) -> Any:
        """What the metrics server says."""
        return self.world.metrics.value

    @reading.setter
    def reading(self, reading: Any) -> None:
        self.world.metrics.value = reading

    def rollout(self) -> Any:
        return self.send("GET", f"rollouts/{self.rollout_id}")

    def send(self, method: str, path: str, *, allow: tuple[int, ...] = (200, 201), **body: Any) -> Any:
        sent = {"json": body} if method != "GET" else {}
        answer = self.client.open(f"/api/v1/{path}", method=method, **sent)
        assert answer.status_code in allow, (answer.status_code, answer.json)
        return answer.json


def signed(actor: str) -> dict[str, str]:
    return {"actor": actor, "comment": "because"}


def exposure(document: Any) -> float:
    return document["percent"] * (100 - document["hold_out"])


def wave(document: Any) -> int:
    return 0 if document["wave"] is None else document["wave"]["number"]


@pytest.fixture
def machine(any_database_url: str) -> Iterator[type[Machine]]:
    """The machine over a database of the test's own; each run has flags of its own in it."""
    with database(any_database_url) as engine, database(any_database_url) as second:
        world = World.over(SqlStore(engine))
        other = World.over(SqlStore(second), beside=world)
        publish_latest(world.services)
        yield type("Machine", (Machine,), {"world": world, "other": other, "reached": Counter()})


def run(machine: type[Machine], **wanted: Any) -> None:
    """Let histories happen, all that the machine does by itself among them."""
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(machine, settings=settings(deadline=None, suppress_health_check=checks, **wanted))
    wanted_moves = {Event.AWAIT_APPROVAL, Event.BAKE, Event.COMPLETE, Event.ALERT}
    assert wanted_moves <= machine.reached.keys(), machine.reached


def test_the_laws_hold_over_a_few_histories(machine: type[Machine]):
    phases = [Phase.generate]
    # Few as they are, some must begin at each of these.
    machine.places = ("completion", "alert under a pin")
    run(machine, max_examples=5, stateful_step_count=8, derandomize=True, database=None, phases=phases)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_laws_hold_over_many_histories(machine: type[Machine]):
    run(machine, max_examples=50, stateful_step_count=30, database=None, print_blob=True)
    assert machine.reached.keys() >= {Event.PROMOTE, Event.ROLL_BACK, Event.STEP_BACK, Event.PAUSE}, machine.reached
