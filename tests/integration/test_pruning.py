"""What was kept for long enough goes; what a running rollout or an explanation needs stays, however old it is."""

from datetime import timedelta

import pytest

from support.database import database
from support.people import person
from support.world import World
from wavegate_controller.domain.measurement import Value
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service import queries
from wavegate_controller.service.explain import explain_decision
from wavegate_controller.service.pruning import prune
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.rollouts import act
from wavegate_controller.store import SqlStore

KEEP = timedelta(days=90)
GATES = [{"type": "error_rate"}, {"type": "threshold", "name": "p95", "query": "up", "operator": "<", "limit": 0.8}]


@pytest.fixture
def world(database_url):
    with database(database_url) as engine:
        yield World.over(SqlStore(engine))


def begin(world, flag):
    world.flag(flag)
    return world.started(flag, gates=GATES).id


def look(world, rollout_id, *, times):
    for _ in range(times):
        world.clock.advance(seconds=15)
        world.metrics.count("on", 60)
        world.metrics.count("off", 240)
        reconcile(world.services, rollout_id)


def decisions(world, rollout_id, **options):
    return queries.history(world.services, rollout_id, limit=500, by=person(), **options)


def evidence(world, rollout_id):
    with world.services.store.transaction() as work:
        return work.evidence.since(rollout_id, work.rollouts.get(rollout_id).created_at)


def rolled_back(world, flag):
    """A rollout that climbed a little until the gate stopped it."""
    rollout_id = begin(world, flag)
    look(world, rollout_id, times=8)
    world.metrics.value = Value(value=2.0)
    look(world, rollout_id, times=3)
    world.metrics.value = Value(value=0.3)
    assert world.rollout(rollout_id).state is State.ROLLED_BACK
    return rollout_id


def test_moves_stay_and_can_be_explained_while_holds_go(world):
    rollout_id = rolled_back(world, "old")
    moves = decisions(world, rollout_id, moves_only=True)
    world.clock.advance(days=91)

    assert prune(world.services, keep=KEEP) > 0
    assert decisions(world, rollout_id) == moves
    explained = [explain_decision(world.services, move.id, by=person()).agrees for move in moves]
    assert explained[0] is True
    assert False not in explained


def test_evidence_that_explains_nothing_goes(world):
    rollout_id = begin(world, "given-up")
    look(world, rollout_id, times=3)
    act(world.services, rollout_id, Event.ROLL_BACK, by=person(), comment="not worth it")
    world.clock.advance(days=91)
    prune(world.services, keep=KEEP)

    assert [each.event for each in decisions(world, rollout_id)] == [Event.ROLL_BACK, Event.START]
    assert evidence(world, rollout_id) == []


def test_a_running_rollout_keeps_all_its_evidence_and_its_last_decision(world):
    rollout_id = begin(world, "running")
    look(world, rollout_id, times=3)
    kept, newest = evidence(world, rollout_id), decisions(world, rollout_id)[0]
    world.clock.advance(days=91)
    prune(world.services, keep=KEEP)

    assert evidence(world, rollout_id) == kept
    assert decisions(world, rollout_id)[0] == newest


def test_what_is_not_old_enough_stays(world):
    rollout_id = rolled_back(world, "recent")
    before = decisions(world, rollout_id), evidence(world, rollout_id)
    world.clock.advance(days=89)

    assert prune(world.services, keep=KEEP) == 0
    assert (decisions(world, rollout_id), evidence(world, rollout_id)) == before


def test_one_process_prunes_for_all(world, database_url):
    rolled_back(world, "old")
    with database(database_url) as engine:
        other = World.over(SqlStore(engine))
        other.clock.advance(days=400)
        assert prune(world.services, keep=KEEP) == 0

        assert prune(other.services, keep=KEEP) == 0
    world.clock.advance(days=400)
    assert prune(world.services, keep=KEEP) > 0
