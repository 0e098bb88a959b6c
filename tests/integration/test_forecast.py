"""What the next wave will cost, over the API, the command line and a budget that asks for an approval."""

import json

import pytest
from click.testing import CliRunner

from support import control_plane
from support.live_controller import live_controller
from support.people import person
from wavegate_controller.cli import main
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.measurement import Value
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
    world.started(gates=GATES, objectives={"error-rate": 0.999})
    world.metrics.value = Value(value=400.0)
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
        "low_requests": None,
        "high_requests": None,
        "users": None,
        "extras": [],
    }
    (errors,) = after["extras"]
    assert (after["percent"], after["requests"], after["next_requests"]) == (25, 12_000, 30_000)
    assert (errors["gate"], errors["now"], errors["next"]) == ("error-rate", pytest.approx(120), pytest.approx(300))
    assert (after["users"]["seen"], after["users"]["more"]) == (400, pytest.approx(600))
    # A hundredth of a quarter goes wrong, and a thousandth of all may.
    assert (errors["burn"]["stable"], errors["burn"]["next"]) == (0, pytest.approx(2.5))
    (asked,) = [each for each in world.metrics.queries if "wavegate_exposed_users_total" in each]
    assert 'environment=~"|production"' in asked


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

    burn = {"objective": 0.999, "stable": 0.5, "next": 1.5, "low": 1.25, "high": 1.75}
    extra = {"gate": "error-rate", "what": "bad outcomes", "now": 4.0, "next": 10.0, "low": 2.0, "high": 18.0}
    extra |= {"burn": burn}
    document = {"rollout": "search:1", "percent": 25.0, "requests": 100.0, "next_requests": 250.0}
    document |= {"low_requests": 240.0, "high_requests": 260.0}
    document |= {"users": {"seen": 40.0, "more": 60.0, "low": 40.0, "high": 80.0}}
    console = Console(width=140, record=True)

    console.print(forecast_table(document | {"extras": [extra | {"budget": 12.0, "over": True}]}))

    text = console.export_text()
    assert "search:1: at 25 % of the users" in text
    assert "more bad outcomes (error-rate)" in text
    assert "2 to 18" in text
    assert "12, may go over it" in text
    assert "240 to 260" in text
    assert "users: 40 so far, 60 more then (40 to 80)" in text
    assert "uses up the error budget of 0.999 at 1.5 times the speed at which it lasts (1.25 to 1.75)" in text
