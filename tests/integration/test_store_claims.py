"""One reconciler looks at a rollout, another one soon after it died, and whoever was overtaken writes nothing."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from support.database import database
from support.rollouts import NOW, a_flag, a_plan, a_rollout
from support.waiting import wait_until
from wavegate_controller.domain.errors import NotFound, StaleVersion
from wavegate_controller.domain.rollout import State
from wavegate_controller.store import SqlStore

INTERVAL = timedelta(seconds=20)
ROLLOUT = a_rollout(plan=a_plan(interval=INTERVAL), next_look_at=NOW)
#: No test takes as long, so nobody is taken for dead.
LONG = timedelta(minutes=5)
#: For those who are to be taken for dead.
SHORT = timedelta(milliseconds=1)


@pytest.fixture
def engine(database_url):
    with database(database_url) as engine:
        with SqlStore(engine).transaction() as work:
            work.flags.add(a_flag())
        yield engine


@pytest.fixture
def process(engine):
    """Returns a function that makes another process on the same database."""
    return lambda claim_ttl=LONG: SqlStore(engine, claim_ttl=claim_ttl)


def add(store, *rollouts):
    with store.transaction() as work:
        for rollout in rollouts:
            work.rollouts.add(rollout)


def due(store, *, now=NOW, limit=10):
    with store.transaction() as work:
        return work.claims.due(now=now, limit=limit)


def settle(store, claim):
    with store.transaction() as work:
        return work.claims.settle(claim)


def ids(claims):
    return [claim.rollout.id for claim in claims]


def test_a_due_look_is_claimed_oldest_first_and_its_next_one_stays_in_step(process):
    store = process()
    add(
        store,
        replace(ROLLOUT, id="exactly-now"),
        replace(ROLLOUT, id="missed-many", next_look_at=NOW - 540 * INTERVAL - timedelta(seconds=7), version=5),
        replace(ROLLOUT, id="a-little-late", next_look_at=NOW - timedelta(seconds=3)),
        replace(ROLLOUT, id="early", next_look_at=NOW + timedelta(microseconds=1)),
        replace(ROLLOUT, id="never", next_look_at=None),
    )
    batches = [due(store, limit=2) for _ in range(3)]

    assert [ids(batch) for batch in batches] == [["missed-many", "a-little-late"], ["exactly-now"], []]
    following = {claim.rollout.id: claim.rollout.next_look_at - NOW for batch in batches for claim in batch}
    assert following == {
        "exactly-now": timedelta(seconds=20),
        "missed-many": timedelta(seconds=13),
        "a-little-late": timedelta(seconds=17),
    }
    with store.transaction() as work:
        assert {each: work.rollouts.get(each).next_look_at - NOW for each in following} == following
        assert work.rollouts.get("missed-many").version == 5


def test_a_claim_that_is_not_committed_leaves_the_look_due(process):
    store = process()
    add(store, ROLLOUT)
    with pytest.raises(ZeroDivisionError), store.transaction() as work:  # noqa: PT012 - the block is the case
        work.claims.due(now=NOW, limit=1)
        raise ZeroDivisionError

    assert ids(due(store)) == [ROLLOUT.id]


def test_a_claimed_rollout_can_still_be_saved_by_whoever_read_it_before_and_then_the_look_counts_nothing(process):
    store = process()
    add(store, ROLLOUT)
    (claim,) = due(store)
    with store.transaction() as work:
        work.rollouts.save(replace(ROLLOUT, state=State.ROLLED_BACK, next_look_at=None, version=2))

    assert settle(store, claim) is False
    assert due(store, now=NOW + timedelta(days=1)) == []


def test_a_claim_that_holds_is_settled_once(process):
    store = process()
    add(store, ROLLOUT)
    (claim,) = due(store)

    assert settle(store, claim) is True
    assert ids(due(store, now=NOW + INTERVAL)) == [ROLLOUT.id]
    with pytest.raises(StaleVersion, match="claim of rollout 'ai-summaries:1'"):
        settle(store, claim)


@pytest.mark.parametrize("shared", [True, False], ids=["threads of one process", "processes of their own"])
def test_each_due_rollout_is_claimed_by_exactly_one_of_several_reconcilers(process, database_url, shared):
    store = process()
    waiting = {f"due-{n}" for n in range(40)}
    add(store, *(replace(ROLLOUT, id=rollout_id) for rollout_id in waiting))
    start = threading.Barrier(2)
    claimed, failures = [], []

    def reconcile(mine):
        try:
            start.wait(timeout=10)
            while batch := due(mine, limit=3):
                claimed.extend(ids(batch))
        except Exception as failure:  # noqa: BLE001 - shown below, in the test's thread
            failures.append(failure)

    with database(database_url) as other:
        stores = [store, store] if shared else [store, SqlStore(other, claim_ttl=LONG)]
        threads = [threading.Thread(target=reconcile, args=(each,)) for each in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert failures == []
    assert sorted(claimed) == sorted(waiting)


def test_what_a_living_process_claimed_is_nobody_else_s_even_when_its_next_look_is_due(process):
    slow, other = process(), process()
    add(slow, ROLLOUT)
    (claim,) = due(slow)

    assert due(other, now=NOW + 3 * INTERVAL) == []
    assert settle(slow, claim) is True
    assert ids(due(other, now=NOW + 3 * INTERVAL)) == [ROLLOUT.id]


def test_one_s_own_claim_of_an_earlier_look_that_came_to_nothing_stands_in_nobody_s_way(process):
    store = process()
    add(store, ROLLOUT)
    (lost,) = due(store)

    assert due(store, now=NOW + timedelta(seconds=19)) == []
    (claim,) = due(store, now=NOW + INTERVAL)
    assert claim.term == lost.term + 1


def test_what_a_dead_process_claimed_is_taken_over_before_its_next_look(process):
    dead, other = process(SHORT), process()
    add(dead, ROLLOUT)
    (lost,) = due(dead)
    (claim,) = wait_until(lambda: due(other, now=NOW + timedelta(seconds=1)))

    assert claim.term == lost.term + 1
    assert claim.rollout == lost.rollout


def test_whoever_was_overtaken_writes_nothing_however_late_it_comes_back(process):
    hung, other = process(SHORT), process()
    add(hung, ROLLOUT)
    (late,) = due(hung)
    (claim,) = wait_until(lambda: due(other))

    with pytest.raises(StaleVersion), hung.transaction() as work:  # noqa: PT012 - the block is the case
        work.claims.settle(late)
        work.rollouts.save(replace(ROLLOUT, state=State.COMPLETED, version=2))
    with hung.transaction() as work:
        work.claims.stay()
    with pytest.raises(StaleVersion):
        settle(hung, late)
    assert settle(other, claim) is True
    with pytest.raises(StaleVersion):
        settle(hung, late)


def test_a_process_that_says_so_keeps_what_it_claimed(process):
    patient, other = process(timedelta(seconds=1)), process()
    add(patient, ROLLOUT)
    (claim,) = due(patient)
    for _ in range(30):
        with patient.transaction() as work:
            work.claims.stay()
        with other.transaction() as work:
            assert work.claims.due(now=NOW + INTERVAL, limit=1) == []

    assert settle(patient, claim) is True


def test_what_a_process_that_leaves_had_claimed_is_free_at_once(process):
    leaving, other = process(), process()
    add(leaving, ROLLOUT)
    due(leaving)
    with leaving.transaction() as work:
        work.claims.leave()

    assert ids(due(other)) == [ROLLOUT.id]


def test_one_rollout_can_be_claimed_whoever_has_it(process):
    first, second = process(), process()
    add(first, ROLLOUT)
    (overtaken,) = due(first)
    with second.transaction() as work:
        claim = work.claims.take(ROLLOUT.id, now=NOW)
        with pytest.raises(NotFound):
            work.claims.take("nobody:1", now=NOW)

    with pytest.raises(StaleVersion):
        settle(first, overtaken)
    assert settle(second, claim) is True


def test_everything_is_looked_at_again_when_the_clock_was_put_back(process):
    store = process()
    add(store, replace(ROLLOUT, next_look_at=NOW + timedelta(days=1)), replace(ROLLOUT, id="ended", next_look_at=None))
    assert due(store) == []
    with store.transaction() as work:
        work.claims.look_again(now=NOW)

    assert ids(due(store)) == [ROLLOUT.id]


def test_a_lease_has_one_holder_and_a_new_term_with_each_change_of_hands(process):
    first, second = process(), process()

    def take(store, ttl=LONG):
        with store.transaction() as work:
            return work.leases.take("pruning", ttl=ttl)

    assert [take(first), take(second), take(first, SHORT)] == [1, None, 1]
    assert wait_until(lambda: take(second)) == 2
    assert take(first) is None
    with second.transaction() as work:
        work.leases.give_up("pruning")
    assert take(first) == 3
