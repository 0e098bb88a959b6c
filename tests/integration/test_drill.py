"""Drills of the way back: on a real controller with real apps, and what stands in their way."""

import json
import subprocess
from dataclasses import dataclass, replace

import pytest
import requests
from prometheus_client import CollectorRegistry

from support import control_plane
from support.live_controller import WAVEGATE, environment, live_controller
from support.people import person
from support.waiting import wait_until
from support.world import ManualClock
from wavegate import Client
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.delivery import ConnectedClient
from wavegate_controller.domain.drill import DrillState
from wavegate_controller.domain.errors import Conflict, Forbidden, NotFound
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service import drills
from wavegate_controller.service.calendars import save_calendar
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
def world(any_database_url):
    with control_plane.world(any_database_url) as world:
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
    with pytest.raises(NotFound):
        drills.look_at_drill(world.services, KEY, by=person())
    world.clock.advance(seconds=1)
    begin(world)


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
    from wavegate_controller.documents import CalendarDocument, parse

    window = {"name": "stop", "time_zone": "UTC", "from": "2025-12-01", "to": "2026-12-01"}
    calendar = parse(CalendarDocument, {"freeze_windows": [window]})
    save_calendar(world.services, calendar, by=person(), expected_version=0)

    with pytest.raises(Conflict, match="freeze window"):
        begin(world)

    assert set(world.ruleset.flags) == {KEY}


def test_who_only_looks_on_drills_nothing(world):
    with pytest.raises(Forbidden):
        begin(world, role=Role.VIEWER)
