"""`wavegate rollout judge` and `wavegate gate presets` against a real controller."""

import json

import pytest
from click.testing import CliRunner

from support.live_controller import live_controller
from wavegate_controller.cli import main


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with live_controller(tmp_path_factory.mktemp("controller")) as url:
        yield url


@pytest.fixture
def wavegate(url):
    def run(*arguments, stdin=None):
        return CliRunner(env={"WAVEGATE_URL": url, "COLUMNS": "160"}).invoke(main, arguments, input=stdin)

    return run


def rollout(wavegate, flag: str, *gates: dict) -> None:
    assert wavegate("flag", "create", flag).exit_code == 0
    plan = json.dumps({"flag": flag, "plan": {"gates": gates}})
    created = wavegate("rollout", "create", "-f", "-", "--start", stdin=plan)
    assert created.exit_code == 0, created.output


def test_the_only_manual_gate_need_not_be_named(wavegate):
    rollout(wavegate, "one-question", {"type": "manual"})

    assert wavegate("rollout", "judge", "one-question", "pass", "-m", "read them").exit_code == 0


def test_of_several_manual_gates_one_must_be_named(wavegate):
    rollout(wavegate, "two-questions", {"type": "manual", "name": "tone"}, {"type": "manual", "name": "truth"})

    unnamed = wavegate("rollout", "judge", "two-questions", "pass", "-m", "read them")
    named = wavegate("rollout", "judge", "two-questions", "pass", "--gate", "truth", "-m", "read them")

    assert (unnamed.exit_code, named.exit_code) == (2, 0)
    assert "tone, truth" in unnamed.stderr


def test_a_judgement_without_a_reason_is_refused(wavegate):
    rollout(wavegate, "no-reason", {"type": "manual"})

    refused = wavegate("rollout", "judge", "no-reason", "breach")

    assert refused.exit_code == 1
    assert "signed with a reason" in refused.stderr


def test_the_presets_are_listed_with_what_they_need(wavegate):
    shown, listed = wavegate("gate", "presets"), wavegate("gate", "presets", "--json")

    assert "time-to-first-token" in shown.stdout
    assert {"preset": "cost", "needs": ["limit"]}.items() <= next(
        {name: each[name] for name in ("preset", "needs")}
        for each in json.loads(listed.stdout)
        if each["preset"] == "cost"
    ).items()
