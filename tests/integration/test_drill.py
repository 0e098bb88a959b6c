"""Drills of the way back: on a real controller with real apps, and what stands in their way."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Barrier

import pytest
import requests
from prometheus_client import CollectorRegistry

from support import control_plane
from support.live_controller import WAVEGATE, environment, live_controller
from support.people import person
from support.waiting import wait_until
from support.world import ManualClock
from wavegate import Client
from wavegate_controller.documents import CalendarDocument, parse
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.audit import AuditFilter
from wavegate_controller.domain.delivery import ConnectedClient, DeliveredRevision
from wavegate_controller.domain.drill import DrillState
from wavegate_controller.domain.errors import Conflict, Forbidden, Invalid, NotFound
from wavegate_controller.domain.measurement import Value
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service import drills
from wavegate_controller.service.calendars import save_calendar
from wavegate_controller.service.explain import explain_decision
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.rollouts import act

KEY = "ai-summaries"


def test_a_drill_times_every_step_until_the_last_client_is_off(tmp_path):
    with live_controller(tmp_path, WAVEGATE_TICK="200ms") as url:
        requests.post(f"{url}/api/v1/flags", json={"key": KEY}, timeout=5).raise_for_status()
        apps = [Client(url, registry=CollectorRegistry(), poll_interval=0.1, app_name="shop") for _ in range(3)]
        try:
            wait_until(lambda: len(requests.get(f"{url}/api/v1/delivery/clients", timeout=5).json()["items"]) == 3)
            command = [WAVEGATE, "drill", KEY, "--json", "--as", "ada"]
            done = subprocess.run(
                command, env=environment(WAVEGATE_URL=url), capture_output=True, text=True, check=False, timeout=90
            )
        finally:
            for app in apps:
                app.close()
        told = requests.get(f"{url}/api/v1/audit?action=drill.pass", timeout=5).json()["items"]
        flags = [each["key"] for each in requests.get(f"{url}/api/v1/flags", timeout=5).json()["items"]]

    assert done.returncode == 0, done.stderr
    drill = json.loads(done.stdout)
    assert drill["state"] == "passed"
    assert 0 < drill["decided_seconds"] <= drill["published_seconds"] <= drill["last_off_seconds"]
    assert drill["delivered"] == drill["of"] >= 3
    assert [(each["subject"], each["actor"]) for each in told] == [(KEY, "ada")]
    assert told[0]["evidence"]["last_off_seconds"] == drill["last_off_seconds"]
    assert flags == [KEY]


@dataclass
class Passing:
    """A clock whose every look is a little later, as those of the real one are."""

    clock: ManualClock

    def now(self):
        self.clock.advance(microseconds=1)
        return self.clock.now()


@pytest.fixture
def world(tmp_path):
    with connected(tmp_path) as world:
        yield world


@pytest.fixture
def world_of_each(any_database_url):
    """The same on both databases."""
    with connected(any_database_url) as world:
        yield world


@contextmanager
def connected(database):
    """A flag, and an app that serves it."""
    with control_plane.world(database) as world:
        world.services = replace(world.services, clock=Passing(world.clock))
        world.flag()
        app = ConnectedClient(instance="i", sdk="python", app="shop", revision=1, held_seconds=1, streaming=True)
        world.services.fleets.clients = lambda environment: [app]
        yield world


def begin(world, **by):
    return drills.begin_drill(world.services, KEY, by=person("ada", **by))


def test_a_drill_goes_by_the_reconcilers_own_look(world):
    begun = begin(world)
    shadow = f"{begun.shadow}:1"

    world.clock.advance(seconds=2)
    before = drills.look_at_drill(world.services, KEY, by=person())
    reconcile(world.services, shadow)
    after = drills.look_at_drill(world.services, KEY, by=person())

    assert (before.state, before.decided_at) == (DrillState.INJECTED, None)
    assert after.state is DrillState.DECIDED
    assert after.seconds(after.decided_at) == pytest.approx(2, abs=0.01)
    assert world.rollout(shadow).state.value == "rolled_back"


def test_one_drill_of_a_flag_at_a_time_and_an_ended_one_leaves_nothing(world):
    begun = begin(world)
    with pytest.raises(Conflict, match="is under way; end it first"):
        begin(world)

    ended = drills.abort_drill(world.services, KEY, by=person())

    assert ended.state is DrillState.ABORTED
    assert set(world.ruleset.flags) == {KEY}
    assert world.rollout(f"{begun.shadow}:1").state.value == "rolled_back"
    assert drills.look_at_drill(world.services, KEY, by=person()) == ended
    with pytest.raises(NotFound):
        drills.abort_drill(world.services, KEY, by=person())
    world.clock.advance(seconds=1)
    assert begin(world).state is DrillState.INJECTED


def test_a_drill_is_refused_while_nobody_is_connected(world):
    world.services.fleets.clients = lambda environment: []

    with pytest.raises(Conflict, match="nobody could be taken off"):
        begin(world)

    assert set(world.ruleset.flags) == {KEY}


def test_a_drill_is_refused_while_there_is_a_true_breach(world):
    gate = {"type": "threshold", "name": "latency", "query": "p95", "operator": "<", "limit": 0.1}
    rollout = world.started(gates=[gate])
    act(world.services, rollout.id, Event.PIN, by=person(), comment="hold it")
    for _ in range(6):
        world.clock.advance(seconds=15)
        reconcile(world.services, rollout.id)

    with pytest.raises(Conflict, match="a true breach"):
        begin(world)


def test_a_drill_waits_for_the_end_of_a_freeze_window_and_leaves_nothing(world):
    window = {"name": "stop", "time_zone": "UTC", "from": "2025-12-01", "to": "2026-12-01"}
    calendar = parse(CalendarDocument, {"freeze_windows": [window]})
    save_calendar(world.services, calendar, by=person(), expected_version=0)

    with pytest.raises(Conflict, match="freeze window"):
        begin(world)

    assert set(world.ruleset.flags) == {KEY}


def test_who_only_looks_on_drills_nothing(world):
    with pytest.raises(Forbidden):
        begin(world, role=Role.VIEWER)


def test_of_two_who_drill_at_the_same_moment_one_is_refused(world_of_each):
    world = world_of_each
    both = Barrier(2)

    def at_once(name):
        both.wait(timeout=30)
        try:
            return drills.begin_drill(world.services, KEY, by=person(name))
        except Conflict as refusal:
            return str(refusal)

    with ThreadPoolExecutor(2) as executor:
        answers = list(executor.map(at_once, ("ada", "bob")))

    refused = [each for each in answers if isinstance(each, str)]
    assert refused == [f"a drill of flag {KEY!r} is under way; end it first"]
    assert len(world.ruleset.flags) == 2


def test_a_drill_whose_command_was_killed_is_ended_by_the_controller_when_its_time_is_over(world):
    begun = begin(world)
    world.clock.advance(seconds=59)
    early = drills.tend_drills(world.services)
    world.clock.advance(seconds=2)

    late = drills.tend_drills(world.services)

    assert (early, late) == (0, 1)
    assert set(world.ruleset.flags) == {KEY}
    assert world.rollout(f"{begun.shadow}:1").state.value == "rolled_back"
    (entry,) = audited(world, "drill.abort")
    assert (entry.actor, entry.subject) == ("ada", KEY)


def test_a_drill_that_was_killed_before_its_stand_in_was_there_leaves_nothing(world, monkeypatch):
    def killed(*_, **__):
        raise SystemExit

    monkeypatch.setattr(drills.rollouts, "create_rollout", killed)
    with pytest.raises(SystemExit):
        begin(world)
    monkeypatch.undo()
    assert len(world.ruleset.flags) == 2
    world.clock.advance(seconds=61)

    drills.tend_drills(world.services)

    assert set(world.ruleset.flags) == {KEY}
    assert begin(world).state is DrillState.INJECTED


def test_keys_of_stand_ins_are_not_for_people(world):
    with pytest.raises(Invalid, match="stand in for another one in a drill"):
        world.flag(f"{KEY}.drill.7")

    world.flag(f"{KEY}.drill.seven")


def audited(world, action):
    with world.services.store.transaction() as work:
        return [each.note for each in work.audit.list(AuditFilter(action=action), limit=10)]


WATCHED = {"type": "threshold", "name": "latency", "query": "p95", "operator": "<", "limit": 0.5}


def at_half(world, **plan):
    """A rollout in its second wave, that bakes there."""
    rollout = world.started(gates=[WATCHED], **plan)
    act(world.services, rollout.id, Event.PROMOTE, by=person(), comment="on")
    world.clock.advance(seconds=20)
    reconcile(world.services, rollout.id)
    return world.rollout(rollout.id)


def delivered_to_everybody(world):
    """Every app has every revision that there is."""
    revision = world.hub.channel("production").current.revision
    newest = DeliveredRevision(revision=revision, since=world.clock.now(), of=1, delivered=1, slowest_seconds=0.1)
    world.services.fleets.revisions = lambda environment: [newest]


def test_a_real_drill_takes_everybody_off_by_the_reconcilers_look_and_restores_what_stood(world_of_each):
    world = world_of_each
    before = at_half(world)
    begun = drills.begin_drill(world.services, KEY, by=person("ada"), real=True, comment="before the holidays")
    world.clock.advance(seconds=15)

    decided = reconcile(world.services, before.id)

    assert (decided.event, decided.reason) == (Event.ROLL_BACK, "drill")
    assert decided.sentence == "the drill: a breach that ada made up, to drill the way back"
    assert world.served() == 0
    delivered_to_everybody(world)
    world.clock.advance(seconds=5)
    passed = drills.look_at_drill(world.services, KEY, by=person())
    after = world.rollout(before.id)
    assert (begun.shadow, passed.state, passed.restored) == (None, DrillState.PASSED, True)
    assert passed.seconds(passed.decided_at) == pytest.approx(15, abs=0.01)
    assert world.served() == before.weight
    kept = ("state", "wave", "wave_since", "evidence_since", "approvals", "pin", "final_bake_since", "pause_reason")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    # While it served nobody it did not bake.
    assert after.unwatched.total_seconds() == pytest.approx(5, abs=0.01)
    (entry,) = audited(world, "drill.pass")
    assert (entry.actor, entry.after["restored"]) == ("ada", True)
    with world.services.store.transaction() as work:
        (rolled_back,) = [each for each in work.decisions.list(before.id, limit=50) if each.event is Event.ROLL_BACK]
    assert explain_decision(world.services, rolled_back.id, by=person()).agrees


def test_a_real_drill_that_is_aborted_or_forgotten_gives_back_what_it_took(world):
    before = at_half(world)
    for end in (
        lambda: drills.abort_drill(world.services, KEY, by=person("bob")),
        lambda: drills.tend_drills(world.services),
    ):
        drills.begin_drill(world.services, KEY, by=person("ada"), real=True)
        world.clock.advance(seconds=15)
        reconcile(world.services, before.id)
        assert world.served() == 0
        world.clock.advance(seconds=60)

        end()

        assert world.served() == before.weight
    assert [each.actor for each in audited(world, "drill.abort")] == ["ada", "bob"]


def test_an_aborted_real_drill_that_nobody_has_looked_at_takes_nobody_off(world_of_each):
    world = world_of_each
    before = at_half(world)
    drills.begin_drill(world.services, KEY, by=person(), real=True)

    ended = drills.abort_drill(world.services, KEY, by=person())
    world.clock.advance(seconds=15)
    decided = reconcile(world.services, before.id)

    assert (ended.state, ended.restored) == (DrillState.ABORTED, None)
    assert decided.event is Event.TICK
    assert world.served() == before.weight


def test_a_true_breach_in_a_drill_is_no_drill_and_stays_rolled_back(world):
    before = at_half(world)
    world.metrics.value = Value(value=0.9)
    world.clock.advance(seconds=15)
    assert reconcile(world.services, before.id).event is Event.TICK
    drills.begin_drill(world.services, KEY, by=person(), real=True)
    world.clock.advance(seconds=15)

    decided = reconcile(world.services, before.id)

    assert (decided.event, decided.reason) == (Event.ROLL_BACK, "breach")
    assert drills.abort_drill(world.services, KEY, by=person()).restored is False
    assert world.served() == 0


def test_who_moves_a_rollout_while_it_is_drilled_is_not_overruled(world):
    before = at_half(world)
    drills.begin_drill(world.services, KEY, by=person(), real=True)
    world.clock.advance(seconds=15)
    reconcile(world.services, before.id)
    act(world.services, before.id, Event.CANCEL, by=person("bob"))

    ended = drills.abort_drill(world.services, KEY, by=person())

    assert ended.restored is False
    assert world.rollout(before.id).state.value == "cancelled"


@pytest.mark.parametrize(
    ("plan", "move", "problem"),
    [
        ({}, None, "no rollout of flag"),
        ({}, Event.PAUSE, "is paused"),
        ({}, Event.PIN, "is pinned"),
        ({"on_breach": "pause"}, Event.TICK, "on_breach is pause"),
        ({"dry_run": True}, Event.TICK, "dry run"),
        ({"waves": [{"percent": 10, "bake": "1s", "approval": "manual"}]}, Event.APPROVE, "waits for an approval"),
    ],
)
def test_a_real_drill_is_refused_where_what_stood_could_not_stand_again(world, plan, move, problem):
    if move is not None:
        rollout = world.started(gates=[WATCHED], **plan)
        if move in (Event.PAUSE, Event.PIN):
            act(world.services, rollout.id, move, by=person(), comment="hold it")
        if move is Event.APPROVE:
            for _ in range(2):
                world.clock.advance(seconds=20)
                reconcile(world.services, rollout.id)

    with pytest.raises(Conflict, match=problem):
        drills.begin_drill(world.services, KEY, by=person(), real=True)

    world.clock.advance(seconds=1)
    assert begin(world).state is DrillState.INJECTED


@pytest.mark.parametrize("real", [True, False])
def test_no_drill_begins_in_a_freeze_window(world, real):
    at_half(world)
    window = {"name": "stop", "time_zone": "UTC", "from": "2025-12-01", "to": "2026-12-01"}
    save_calendar(
        world.services, parse(CalendarDocument, {"freeze_windows": [window]}), by=person(), expected_version=0
    )

    with pytest.raises(Conflict, match="freeze window"):
        drills.begin_drill(world.services, KEY, by=person(), real=real)


def test_taking_a_feature_from_its_users_takes_an_approver(world):
    at_half(world)

    with pytest.raises(Forbidden):
        drills.begin_drill(world.services, KEY, by=person(role=Role.ENGINEER), real=True)
