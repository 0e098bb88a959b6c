"""A/A rollouts: two variants of one value, told apart by what counts them; nobody is served anything new."""

import json
import subprocess
from itertools import count

import pytest
import requests
import yaml
from prometheus_client import CollectorRegistry

from support.database import database
from support.live_controller import WAVEGATE, environment, live_controller
from support.people import person
from support.waiting import wait_until
from support.world import World
from wavegate import Client
from wavegate_controller.documents import RolloutDocument, parse
from wavegate_controller.documents.outlooks import calibration_to_document
from wavegate_controller.domain.errors import Conflict
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service.calibration import calibrate
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.rollouts import act, create_rollout
from wavegate_controller.store import SqlStore

KEY = "ai-summaries"
TWINS = {"on": True, "off": False, "off-aa": False}


@pytest.fixture
def world(tmp_path):
    with database(tmp_path) as engine:
        world = World.over(SqlStore(engine))
        world.flag(KEY, variants=TWINS)
        world.flag("beside")
        yield world


def started(world, candidate="off-aa"):
    waves = [{"percent": 50, "bake": "1m", "target": "1m"}, {"percent": 100, "bake": "1m", "target": "1m"}]
    gates = [{"type": "error_rate", "final_margin": 5, "gate_absolute_margin": 0.5}]
    plan = {"waves": waves, "gates": gates}
    rollout = create_rollout(
        world.services, parse(RolloutDocument, {"flag": KEY, "candidate": candidate, "plan": plan}), by=person()
    )
    world.metrics.count(candidate, 0)
    world.metrics.count("off", 0)
    return act(world.services, rollout.id, Event.START, by=person())


def looks(world, rollout, *, candidate_bad=1, times=14):
    for _ in range(times):
        world.clock.advance(seconds=15)
        world.metrics.count(rollout.candidate, 160, candidate_bad)
        world.metrics.count("off", 160, 1)
        reconcile(world.services, rollout.id)


def report(world):
    return calibration_to_document(calibrate(world.services, KEY, by=person()))


def test_an_aa_rollout_says_how_its_arms_compare_and_beside_which_flags(world):
    rollout = started(world)
    world.started("beside")
    looks(world, rollout, times=3)

    found = report(world)

    assert found["requests"] == {"candidate": 320, "stable": 320, "share": 0.5}
    assert found["planned_share"] == 0.5
    (gate,) = found["gates"]
    assert (gate["gate"], gate["design_effect"]) == ("error-rate", 1.0)
    (beside,) = found["beside"]
    assert beside["flag"] == "beside"
    assert beside["share"] == pytest.approx(0.5, abs=0.02)
    assert found["alarms"] == {
        "ended": 0,
        "false_alarms": 0,
        "at_least": None,
        "at_most": None,
        "promised": 0.05,
    }
    assert found["fails"] == []


def test_aa_rollouts_that_ended_are_counted_and_those_that_a_gate_stopped_are_false_alarms(world):
    looks(world, started(world))
    harmless = report(world)
    world.clock.advance(minutes=1)
    act(world.services, f"{KEY}:1", Event.ROLL_BACK, by=person(), comment="again")
    looks(world, started(world), candidate_bad=80, times=6)

    found = report(world)

    assert (harmless["state"], harmless["alarms"]["ended"], harmless["alarms"]["false_alarms"]) == ("completed", 1, 0)
    assert harmless["alarms"]["at_most"] == pytest.approx(0.95, abs=0.001)
    assert found["state"] == "rolled_back"
    assert (found["alarms"]["ended"], found["alarms"]["false_alarms"]) == (2, 1)
    assert found["alarms"]["at_least"] < 0.05 < found["alarms"]["at_most"] or found["fails"]


def test_a_rollout_between_two_values_is_no_aa(world):
    started(world, "on")

    with pytest.raises(Conflict, match="differ; `wavegate aa start ai-summaries` begins one"):
        report(world)


def wavegate(url, *command, code=0):
    done = subprocess.run(
        [WAVEGATE, *command],
        env=environment(WAVEGATE_URL=url),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.mark.slow
def test_on_live_traffic_an_aa_runs_its_plan_and_serves_nothing_but_stable(tmp_path, prometheus, start_app):
    gates = [{"type": "error_rate", "final_margin": 5, "gate_absolute_margin": 0.9}]
    waves = [{"percent": percent, "bake": "2s", "target": "2s"} for percent in (50, 100)]
    (tmp_path / "plan.yaml").write_text(
        yaml.safe_dump({"flag": KEY, "plan": {"waves": waves, "gates": gates, "interval": "1s"}})
    )
    registry, users, served = CollectorRegistry(), count(), set()
    with live_controller(tmp_path, WAVEGATE_TICK="200ms", WAVEGATE_PROMETHEUS_URL=prometheus.url) as url:
        requests.post(f"{url}/api/v1/flags", json={"key": KEY}, timeout=5).raise_for_status()
        client = Client(url, registry=registry, poll_interval=0.1, app_name="shop")
        try:
            client.wait_ready(30)
            start_app(flag="unused").registry = registry
            wavegate(url, "aa", "start", KEY, "-f", str(tmp_path / "plan.yaml"), "--as", "ada")

            def traffic():
                for _ in range(40):
                    with client.trial(KEY, f"user-{next(users)}") as trial:
                        served.add(trial.enabled)
                shown = json.loads(wavegate(url, "rollout", "status", KEY, "--json"))
                return shown if shown["state"] not in ("running", "awaiting_approval") else None

            ended = wait_until(traffic, timeout=200)
            found = json.loads(wavegate(url, "aa", "report", KEY, "--json"))
            told, page = wavegate(url, "rollout", "status", KEY), requests.get(f"{url}/flags/{KEY}", timeout=5).text
            acts = requests.get(f"{url}/api/v1/audit", timeout=5).json()["items"]
        finally:
            client.close()

    assert (ended["state"], ended["candidate"], ended["stable"], ended["aa"]) == ("completed", "off-aa", "off", True)
    assert served == {False}
    assert (found["alarms"]["ended"], found["alarms"]["false_alarms"], found["fails"]) == (1, 0, [])
    assert found["requests"]["candidate"] > 0
    assert "A/A: both variants have the same value" in told
    assert "both variants have the same value" in page
    assert {(each["actor"], each["action"]) for each in acts} >= {
        ("ada", "flag.change"),
        ("ada", "rollout.create"),
        ("ada", "rollout.start"),
    }
