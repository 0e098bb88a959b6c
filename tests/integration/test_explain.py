"""Decisions made again from what is stored: the same to the last bit, in this process, after a restart, over HTTP."""

from collections.abc import Iterator
from io import StringIO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from rich.console import Console, Group
from sqlalchemy import String, cast, func, select, update

from support.database import database
from support.people import identity, person
from support.world import World
from wavegate_controller.api import make_api
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.domain.guarding import entries
from wavegate_controller.domain.guardrail import assess, assess_log
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service import queries
from wavegate_controller.service.conclude import decide_now
from wavegate_controller.service.explain import explain_decision
from wavegate_controller.service.folds import Folds
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.rollouts import act
from wavegate_controller.store import SqlStore, tables
from wavegate_controller.terminal import comparison, explanation_panel

GATES = [
    {"type": "error_rate", "gate_absolute_margin": 0.02, "final_margin": 1},
    {"type": "error_rate", "name": "latency", "kinds": ["slow"], "gate_absolute_margin": 0.02, "rollback_only": True},
    {"type": "threshold", "name": "p95", "query": "p95", "operator": "<", "limit": 0.8},
]
ROLLOUT = "ai-summaries:1"


@pytest.fixture
def world(any_database_url: str) -> Iterator[World]:
    with database(any_database_url) as engine:
        world = World.over(SqlStore(engine))
        world.flag()
        yield world


def decisions(world: World):
    """Newest first."""
    return queries.history(world.services, ROLLOUT, limit=100, by=person())


def look(world: World, *, times: int, bad: int = 0) -> None:
    for _ in range(times):
        world.clock.advance(seconds=15.000_123)
        world.metrics.count("on", 60, bad)
        world.metrics.count("off", 240, 2)
        reconcile(world.services, ROLLOUT)


def eventful(world: World) -> World:
    """Waves, an outage, a pause of a person's, suspicion and a rollback."""
    world.started(gates=GATES)
    look(world, times=7, bad=1)
    world.metrics.away = True
    look(world, times=3)
    world.metrics.away = False
    look(world, times=3)
    act(world.services, ROLLOUT, Event.PAUSE, by=person("ben"))
    look(world, times=2)
    act(world.services, ROLLOUT, Event.RESUME, by=person("ben"))
    look(world, times=2, bad=2)
    look(world, times=4, bad=30)
    assert world.rollout().state is State.ROLLED_BACK
    return world


def test_every_decision_of_an_eventful_rollout_comes_out_the_same_bit_by_bit(world: World):
    eventful(world)

    explained = [explain_decision(world.services, each.id, by=person()) for each in decisions(world)]

    assert {each.agrees for each in explained if each.record.actor == "wavegate"} == {True}
    assert {each.agrees for each in explained if each.record.actor != "wavegate"} == {None}
    assert {each.record.reason for each in explained} >= {"breach", "cannot_measure", "gates_passed", "paused"}


def test_what_is_remembered_between_looks_is_what_the_whole_log_gives(world: World):
    world.started(gates=GATES)
    look(world, times=15, bad=2)
    rollout, now = world.rollout(), world.clock.now()
    policy = rollout.plan.policy

    with world.services.store.transaction() as work:
        remembered = world.services.folds.state(work, rollout)
        log = work.evidence.counts(ROLLOUT, rollout.evidence_since)
        fresh = Folds().state(work, rollout)

    assert remembered == fresh
    assert assess(policy, remembered, now=now) == assess_log(policy, entries(rollout.plan, log), now=now)


def test_a_restart_changes_no_decision(world: World):
    world.started(gates=GATES)
    look(world, times=9, bad=2)
    again = World.over(world.services.store)
    rollout, now = world.rollout(), world.clock.now()

    with world.services.store.transaction() as work:
        decisions = [
            decide_now(services.folds, work, rollout, [], now=now) for services in (world.services, again.services)
        ]

    assert decisions[0] == decisions[1]


def test_a_look_that_is_dropped_leaves_nothing_behind(world: World):
    world.started(gates=GATES)
    look(world, times=3)
    rollout = world.rollout()
    with world.services.store.transaction() as work:
        before = world.services.folds.state(work, rollout)
    asked = world.metrics.samples

    def meanwhile(*args, **kwargs):
        act(world.services, ROLLOUT, Event.PAUSE, by=person("ben"))
        return asked(*args, **kwargs)

    world.metrics.samples = meanwhile
    look(world, times=1, bad=60)

    with world.services.store.transaction() as work:
        assert world.services.folds.state(work, rollout) == before


def test_evidence_that_was_tampered_with_is_noticed(world: World):
    eventful(world)
    breach = next(each for each in decisions(world) if each.reason == "breach")
    table = tables.measurement
    with world.services.store._engine.begin() as connection:
        newest = select(func.max(table.c.id)).where(table.c.gate == "error-rate", table.c.kind == "counts")
        earlier = select(func.min(table.c.id)).where(table.c.gate == "error-rate", table.c.kind == "counts")
        payload = connection.scalar(select(table.c.payload).where(table.c.id == earlier.scalar_subquery()))
        connection.execute(update(table).where(table.c.id == newest.scalar_subquery()).values(payload=payload))

    assert explain_decision(world.services, breach.id, by=person()).agrees is False


def test_a_tick_of_one_metric_takes_about_a_hundred_bytes(world: World):
    world.started(gates=[{"type": "error_rate"}])
    look(world, times=10, bad=1)

    with world.services.store._engine.begin() as connection:
        sizes = connection.scalars(select(func.length(cast(tables.measurement.c.payload, String)))).all()

    # The time of the newest sample and JSON's own signs beside the bytes of the counts.
    assert max(sizes) < 250


def test_an_unknown_decision_is_not_found(world: World):
    with pytest.raises(NotFound, match="decision"):
        explain_decision(world.services, 7, by=person())


class TestOverHttp:
    @pytest.fixture
    def client(self, world: World) -> FlaskClient:
        app = Flask(__name__)
        app.register_blueprint(make_api(eventful(world).services, identity(world.services)))
        return app.test_client()

    def test_an_explanation_shows_every_number_beside_its_limit(self, world: World, client: FlaskClient):
        passed = next(each for each in decisions(world) if each.reason == "gates_passed")

        document = client.get(f"/api/v1/decisions/{passed.id}/explanation").get_json()

        assert document["agrees"] is True
        assert document["decision"]["id"] == passed.id
        assert document["again"]["sentence"] == passed.sentence
        guardrail = document["guardrail"]
        assert guardrail["evidence"] < guardrail["suspicion"] < guardrail["evidence_limit"]
        errors = guardrail["metrics"][0]
        assert errors["interval"]["low"] < errors["interval"]["high"]
        assert errors["forecast"]["bad_outcomes"] > 0
        assert errors["forecast"]["remaining_seconds"] is not None

    def test_no_such_decision(self, client: FlaskClient):
        assert client.get("/api/v1/decisions/999999/explanation").status_code == 404
        assert client.get(f"/api/v1/decisions/{2**70}/explanation").status_code == 404
        assert client.get("/api/v1/decisions/x/explanation").status_code == 404

    def test_a_rollout_shows_its_comparison_while_it_is_watched(self, world: World, client: FlaskClient):
        assert client.get(f"/api/v1/rollouts/{ROLLOUT}").get_json()["guardrail"] is None

        act(world.services, ROLLOUT, Event.RESTART, by=person("ben"), comment="mended")
        look(world, times=3)

        metrics = client.get(f"/api/v1/rollouts/{ROLLOUT}").get_json()["guardrail"]["metrics"]
        assert [metric["name"] for metric in metrics] == ["error-rate", "latency"]


def test_an_explanation_on_a_terminal_says_whether_it_came_out_the_same_and_shows_the_numbers(world: World):
    eventful(world)
    app = Flask(__name__)
    app.register_blueprint(make_api(world.services, identity(world.services)))
    breach = next(each for each in decisions(world) if each.reason == "breach")
    document = app.test_client().get(f"/api/v1/decisions/{breach.id}/explanation").get_json()

    same, other = (shown(explanation_panel(document | {"agrees": agrees})) for agrees in (True, False))

    assert "the same, bit by bit" in same
    assert "NOT the same" in other
    for said in (
        "rollback · regression",
        "breach at 20 : 1",
        "times stable's",
        "design effect",
        "gate opens at 20 : 1",
    ):
        assert said in same


@pytest.mark.parametrize(
    ("counts", "cohorts", "said"),
    [
        ((0, 0), 0, "no requests of either in this wave yet"),
        ((40, 0), 0, "stable no requests; no evidence yet: only 0 cohorts"),
        (
            (40, 360),
            3,
            "candidate 5.000% bad (2 of 40 requests); stable 0.556% bad (2 of 360 requests); no evidence yet",
        ),
    ],
)
def test_without_evidence_a_terminal_says_what_is_missing_instead_of_numbers_that_mean_nothing(counts, cohorts, said):
    candidate, stable = counts
    metric = {
        "name": "error-rate",
        "kind": "share",
        "unit": 1.0,
        "in_wave": {
            "candidate_requests": candidate,
            "candidate_amount": 2 if candidate else 0,
            "stable_requests": stable,
            "stable_amount": 2 if stable else 0,
        },
        "interval": None,
        "design_effect": None,
        "live_cohorts": cohorts,
    }
    guardrail = {
        "outcome": "hold",
        "reason": "baking",
        "evidence": 0.0,
        "evidence_limit": 20.0,
        "gate_limit": 20.0,
        "metrics": [metric],
    }

    text = shown(Group(*comparison(guardrail)))

    assert said in text
    assert "1e+09" not in text


def shown(renderable) -> str:
    file = StringIO()
    Console(file=file, width=110, force_terminal=False, _environ={}).print(renderable)
    return " ".join(file.getvalue().replace("│", " ").split())
