"""A person at the command line, with a controller and a Prometheus that run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.live_controller import environment
from support.waiting import wait_until
from wavegate_controller.demo.features import HARMFUL, rollout_document

pytestmark = [pytest.mark.xdist_group("acceptance"), pytest.mark.timeout(120)]

WAVEGATE = Path(sys.executable).with_name("wavegate")


@pytest.fixture
def wavegate(stack):
    """Runs `wavegate rollout` and gives what it printed as JSON."""

    def run(*arguments, document=None):
        done = subprocess.run(
            [WAVEGATE, "rollout", *arguments, "--json"],
            input=json.dumps(document),
            env=environment(WAVEGATE_URL=stack.url),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def counts(stack, variant):
    return [stack.users.served(app, HARMFUL.key).by_variant[variant] for app in stack.apps]


def wait_for_the_candidate_in_every_app(stack):
    before = counts(stack, "on")
    wait_until(lambda: all(now > then + 10 for now, then in zip(counts(stack, "on"), before, strict=True)))


def wait_until_no_app_serves_the_candidate(stack):
    wait_until(lambda: all(stack.users.served(app, HARMFUL.key).since_candidate >= 100 for app in stack.apps))


@pytest.mark.slow
def test_a_person_promotes_pauses_resumes_and_rolls_back_and_every_app_follows(stack, wavegate):
    # An hour in each wave: what moves is moved by the person.
    plan = rollout_document(HARMFUL, bake="1h")
    started = wavegate("create", "-f", "-", "--start", "--as", "ada", document=plan)
    assert (started["state"], started["percent"]) == ("running", 10)
    wait_for_the_candidate_in_every_app(stack)

    promoted = wavegate("promote", HARMFUL.key, "--as", "ada", "-m", "the first wave was dull")
    assert (promoted["state"], promoted["percent"]) == ("running", 25)

    paused = wavegate("pause", HARMFUL.key, "--as", "ada")
    assert (paused["state"], paused["percent"], paused["pause_reason"]) == ("paused", 25, "operator")
    held = wait_until(
        lambda: (now := wavegate("status", HARMFUL.key))["latest_decision"]["event"] == "tick" and now,
        what="a look at a paused rollout",
    )
    assert held["latest_decision"]["reason"] == "paused"
    assert held["percent"] == 25

    resumed = wavegate("resume", HARMFUL.key, "--as", "ada")
    assert (resumed["state"], resumed["percent"]) == ("running", 25)
    assert resumed["wave"]["since"] > paused["wave"]["since"], "the wave bakes anew"

    rolled_back = wavegate("roll-back", HARMFUL.key, "--as", "ada", "-m", "Friday")
    assert (rolled_back["state"], rolled_back["percent"]) == ("rolled_back", 0)
    wait_until_no_app_serves_the_candidate(stack)
    moves = wavegate("history", started["id"], "--moves")
    assert [(move["event"], move["actor"]) for move in reversed(moves)] == [
        (event, "ada") for event in ("start", "promote", "pause", "resume", "roll_back")
    ]
    assert moves[0]["comment"] == "Friday"
