"""All or nothing, nobody overwrites anybody, no look is taken twice, and what is committed stays."""

import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from support.database import database
from support.rollouts import NOW, a_flag, a_plan, a_rollout
from wavegate_controller.domain.errors import Conflict, StaleVersion
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.rollout import State
from wavegate_controller.store import SqlStore

FLAG = a_flag()
ROLLOUT = a_rollout(plan=a_plan(interval=timedelta(seconds=20)))
RULESET = PublishedRuleset(environment="production", revision=1, body=b"{}", etag="e", published_at=NOW)


@pytest.fixture
def store(database_url):
    with database(database_url) as engine:
        store = SqlStore(engine)
        with store.transaction() as work:
            work.flags.add(FLAG)
            work.rollouts.add(ROLLOUT)
        yield store


def test_nothing_of_a_transaction_that_raises_is_kept(store):
    with pytest.raises(ZeroDivisionError), store.transaction() as work:  # noqa: PT012 - the block is the case
        work.flags.add(replace(FLAG, key="half-done"))
        work.flags.save(replace(FLAG, enabled=False, version=2))
        work.rulesets.add(RULESET)
        raise ZeroDivisionError

    with store.transaction() as work:
        assert work.flags.list("production") == [FLAG]
        assert work.rulesets.latest("production") is None


def test_a_change_of_the_version_that_was_read_is_kept(store):
    with store.transaction() as work:
        work.flags.save(replace(FLAG, enabled=False, version=2))
        work.rollouts.save(replace(ROLLOUT, state=State.PAUSED, version=2))

    with store.transaction() as work:
        assert work.flags.get("production", FLAG.key) == replace(FLAG, enabled=False, version=2)
        assert work.rollouts.get(ROLLOUT.id) == replace(ROLLOUT, state=State.PAUSED, version=2)


@pytest.mark.parametrize("version", [1, 2, 4], ids=["unchanged", "behind", "ahead"])
def test_a_change_of_another_version_is_refused_and_changes_nothing(store, version):
    with store.transaction() as work:
        flag, rollout = replace(FLAG, version=2), replace(ROLLOUT, version=2)
        work.flags.save(flag)
        work.rollouts.save(rollout)

        with pytest.raises(StaleVersion, match="flag 'ai-summaries' was changed by somebody else"):
            work.flags.save(replace(flag, enabled=False, version=version))
        with pytest.raises(StaleVersion, match="rollout 'ai-summaries:1' was changed by somebody else"):
            work.rollouts.save(replace(rollout, state=State.COMPLETED, version=version))
        assert work.flags.get("production", flag.key) == flag
        assert work.rollouts.get(rollout.id) == rollout


def test_a_save_changes_only_the_row_it_names(store):
    neighbours = replace(FLAG, key="neighbour"), replace(FLAG, environment="staging")
    with store.transaction() as work:
        for neighbour in neighbours:
            work.flags.add(neighbour)
        work.rollouts.add(replace(ROLLOUT, id="ai-summaries:2"))
        work.flags.save(replace(FLAG, description="new", version=2))
        work.rollouts.save(replace(ROLLOUT, state=State.PAUSED, version=2))

        assert work.flags.get("production", "neighbour") == neighbours[0]
        assert work.flags.get("staging", FLAG.key) == neighbours[1]
        assert work.rollouts.get("ai-summaries:2") == replace(ROLLOUT, id="ai-summaries:2")


def test_something_that_does_not_exist_cannot_be_saved(store):
    with store.transaction() as work:
        with pytest.raises(StaleVersion):
            work.flags.save(replace(FLAG, key="ghost", version=2))
        with pytest.raises(StaleVersion):
            work.rollouts.save(replace(ROLLOUT, id="ghost-1", version=2))


def test_a_taken_key_is_refused_and_the_transaction_goes_on(store):
    with store.transaction() as work:
        with pytest.raises(Conflict, match="'ai-summaries' exists already in environment 'production'"):
            work.flags.add(replace(FLAG, description="another"))
        with pytest.raises(Conflict, match="'ai-summaries:1' exists already"):
            work.rollouts.add(replace(ROLLOUT, candidate="another"))
        work.flags.add(replace(FLAG, environment="staging"))

    with store.transaction() as work:
        assert work.flags.get("production", FLAG.key) == FLAG
        assert work.rollouts.get(ROLLOUT.id) == ROLLOUT
        assert work.flags.list("staging") == [replace(FLAG, environment="staging")]


def test_a_ruleset_revision_is_published_once(store):
    with store.transaction() as work:
        work.rulesets.add(RULESET)

    with pytest.raises(StaleVersion, match="production revision 1"), store.transaction() as work:
        work.rulesets.add(replace(RULESET, body=b'{"other":1}'))
    with store.transaction() as work:
        assert work.rulesets.latest("production") == RULESET


def test_a_rollout_of_a_flag_that_does_not_exist_is_no_conflict_of_keys(store):
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), store.transaction() as work:
        work.rollouts.add(replace(ROLLOUT, id="ghost-1", flag_key="ghost"))


def test_of_two_writers_who_read_the_same_version_one_is_refused(store):
    read_by_both = threading.Barrier(2)
    outcomes = []

    def write(state):
        with store.transaction() as work:
            rollout = work.rollouts.get(ROLLOUT.id)
        read_by_both.wait(timeout=10)
        try:
            with store.transaction() as work:
                work.rollouts.save(replace(rollout, state=state, version=rollout.version + 1))
            outcomes.append(state)
        except StaleVersion:
            outcomes.append("stale")

    in_threads(write, [(State.PAUSED,), (State.ROLLED_BACK,)])

    with store.transaction() as work:
        kept = work.rollouts.get(ROLLOUT.id)
    assert Counter(outcomes) == Counter({kept.state: 1, "stale": 1})
    assert kept.version == 2


def test_many_writers_at_once_lose_no_change_and_get_no_error_but_a_stale_version(store):
    def increment():
        done = 0
        while done < 10:
            with suppress(StaleVersion), store.transaction() as work:
                flag = work.flags.get("production", FLAG.key)
                work.flags.save(replace(flag, version=flag.version + 1))
                done += 1

    in_threads(increment, [()] * 8)

    with store.transaction() as work:
        assert work.flags.get("production", FLAG.key).version == 1 + 8 * 10


_WRITER = """
import sys
from dataclasses import replace
from wavegate_controller.store import SqlStore, open_engine

store = SqlStore(open_engine(sys.argv[1]))
while True:
    with store.transaction() as work:
        flag = work.flags.get("production", "ai-summaries")
        work.flags.save(replace(flag, description="x" * 5000, version=flag.version + 1))
    print(flag.version + 1, flush=True)
"""


def test_what_was_committed_survives_a_kill_of_the_writing_process(store, database_url):
    with subprocess.Popen([sys.executable, "-c", _WRITER, database_url], stdout=subprocess.PIPE, text=True) as writer:
        promised = [int(writer.stdout.readline()) for _ in range(30)]
        writer.send_signal(signal.SIGKILL)
        promised += [int(line) for line in writer.stdout]

    assert writer.returncode == -signal.SIGKILL
    with store.transaction() as work:
        kept = work.flags.get("production", FLAG.key).version
    # The last one may have been committed and not yet promised.
    assert kept in (promised[-1], promised[-1] + 1)


def in_threads(target, arguments):
    """Run the target once for each tuple of arguments, all at the same time, and raise what any of them raised."""
    failures = []

    def run(*args):
        try:
            target(*args)
        except Exception as failure:  # noqa: BLE001 - raised below, in the test's thread
            failures.append(failure)

    threads = [threading.Thread(target=run, args=args) for args in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
