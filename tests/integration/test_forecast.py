"""What the next wave will cost, over the API, the command line and a budget that asks for an approval."""

import json

import pytest
from click.testing import CliRunner

from support import control_plane
from support.live_controller import live_controller
from support.people import person
from wavegate_controller.cli import main
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service.explain import explain_decision
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.rollouts import act

GATES = [{"type": "error_rate", "ceiling": None}]


@pytest.fixture
def world(tmp_path):
    with control_plane.world(tmp_path) as world:
        world.flag()
        yield world


def until_it_moves(world, *, errors):
    """A thousand requests a minute, a tenth of them the candidate's."""
    world.metrics.count("on", 0)
    world.metrics.count("off", 0)
    for _ in range(5):
        world.clock.advance(minutes=1)
        world.metrics.count("on", 100, errors)
        world.metrics.count("off", 900, 0)
        decision = reconcile(world.services, "ai-summaries:1")
        if decision.event is not Event.TICK:
            return decision
    raise AssertionError(decision)


def test_the_forecast_goes_by_the_latest_look(world):
    world.started(gates=GATES)
    api = control_plane.client(world.services)

    before = api.get("/api/v1/rollouts/ai-summaries/forecast").json
    world.metrics.count("on", 0)
    world.metrics.count("off", 0)
    reconcile(world.services, "ai-summaries:1")
    world.clock.advance(seconds=30)
    world.metrics.count("on", 100, 1)
    world.metrics.count("off", 900, 0)
    reconcile(world.services, "ai-summaries:1")
    after = api.get("/api/v1/rollouts/ai-summaries/forecast").json

    assert before == {
        "rollout": "ai-summaries:1",
        "percent": None,
        "requests": None,
        "next_requests": None,
        "extras": [],
    }
    (errors,) = after["extras"]
    assert (after["percent"], after["requests"], after["next_requests"]) == (25, 12_000, 30_000)
    assert (errors["gate"], errors["now"], errors["next"]) == ("error-rate", pytest.approx(120), pytest.approx(300))


def test_over_its_budget_a_wave_waits_for_a_person_and_goes_on_when_they_sign(world):
    world.started(gates=GATES, budget={"error-rate": 10})

    asked = until_it_moves(world, errors=0)
    with world.services.store.transaction() as work:
        (record, *_) = work.decisions.list("ai-summaries:1", limit=1)
    explained = explain_decision(world.services, record.id, by=person())
    signed = act(
        world.services, "ai-summaries:1", Event.APPROVE, by=person("bob", Role.APPROVER), comment="it is worth it"
    )

    assert (asked.event, asked.reason) == (Event.AWAIT_APPROVAL, "over_budget")
    assert "the budget is 10" in asked.sentence
    assert explained.agrees
    assert (signed.state, signed.wave) == (State.RUNNING, 1)


def test_within_its_budget_it_goes_on_by_itself(world):
    world.started(gates=GATES, budget={"error-rate": 100_000})

    assert until_it_moves(world, errors=0).event is Event.PROMOTE


def test_the_command_says_so_where_there_is_nothing_to_go_by(tmp_path):
    with live_controller(tmp_path) as url:
        runner = CliRunner(env={"WAVEGATE_URL": url})
        for command in (["flag", "create", "search"], ["rollout", "create", "--flag", "search", "--start"]):
            assert runner.invoke(main, command).exit_code == 0

        shown = runner.invoke(main, ["rollout", "forecast", "search"])
        listed = runner.invoke(main, ["rollout", "forecast", "search", "--json"])

    assert "nothing to go by" in shown.stdout
    assert json.loads(listed.stdout)["extras"] == []


def test_the_table_shows_an_hour_now_and_then_beside_the_budget():
    from rich.console import Console

    from wavegate_controller.terminal import forecast_table

    extra = {"gate": "error-rate", "what": "bad outcomes", "now": 4.0, "next": 10.0, "low": 2.0, "high": 18.0}
    document = {"rollout": "search:1", "percent": 25.0, "requests": 100.0, "next_requests": 250.0}
    console = Console(width=140, record=True)

    console.print(forecast_table(document | {"extras": [extra | {"budget": 12.0, "over": True}]}))

    text = console.export_text()
    assert "search:1: at 25 % of the users" in text
    assert "more bad outcomes (error-rate)" in text
    assert "2 to 18" in text
    assert "12, may go over it" in text
