"""Whoever keeps something in memory hears of what is committed, by this process or another, and of nothing else."""

import threading
from queue import Empty, Queue

import pytest

from support.database import database
from support.waiting import wait_until
from wavegate_controller.ports import LOOK
from wavegate_controller.store import SqlStore


@pytest.fixture
def store(database_url):
    with database(database_url) as engine:
        yield SqlStore(engine)


@pytest.fixture
def two_processes(postgres_url):
    """Two stores that share nothing but the database."""
    with database(postgres_url) as here, database(postgres_url) as there:
        yield SqlStore(here), SqlStore(there)


def heard_by(store, topic="ruleset", **options):
    """What a listener hears; the looks that need no notice are left out."""
    heard = Queue()
    store.notices.listen(topic, lambda value: value != LOOK and heard.put(value), **options)
    return heard


def notify(store, topic, *values):
    with store.transaction() as work:
        for value in values:
            work.notify(topic, value)


def test_a_listener_hears_what_was_committed_once_and_in_order(store):
    heard = heard_by(store)
    with store.transaction() as work:
        for value in ("production 1", "production 2", "production 1"):
            work.notify("ruleset", value)
        work.notify("keys", "production")
        before_the_commit = heard.qsize()

    assert before_the_commit == 0
    assert list(heard.queue) == ["production 1", "production 2"]


def test_nobody_hears_of_what_was_rolled_back(store):
    heard = heard_by(store)
    with pytest.raises(ZeroDivisionError), store.transaction() as work:  # noqa: PT012 - the block is the case
        work.notify("ruleset", "production 1")
        raise ZeroDivisionError
    with store.transaction() as work:
        work.notify("ruleset", "production 2")
        with pytest.raises(ZeroDivisionError), work.attempt():  # noqa: PT012 - the block is the case
            work.notify("ruleset", "production 3")
            raise ZeroDivisionError

    assert list(heard.queue) == ["production 2"]


def test_a_listener_that_only_wants_to_hear_of_others_hears_nothing_of_its_own_process(store):
    heard = heard_by(store, own=False)
    notify(store, "ruleset", "production 1")

    assert heard.empty()


def test_a_listener_that_fails_keeps_nothing_from_the_others_and_not_from_the_one_who_committed(store, caplog):
    store.notices.listen("ruleset", lambda value: 1 / 0)
    heard = heard_by(store)
    notify(store, "ruleset", "production 1")

    assert heard.get_nowait() == "production 1"
    assert "action=notice_failed topic=ruleset value=production 1" in caplog.text


def test_other_processes_hear_what_was_committed_and_nothing_of_what_was_rolled_back(two_processes):
    here, there = two_processes
    heard = heard_by(there), heard_by(there, own=False)
    with pytest.raises(ZeroDivisionError), here.transaction() as work:  # noqa: PT012 - the block is the case
        work.notify("ruleset", "production 1")
        raise ZeroDivisionError
    notify(here, "ruleset", "production 2", "größer 3")

    for each in heard:
        assert [each.get(timeout=10) for _ in range(2)] == ["production 2", "größer 3"]
        assert each.empty()


def test_what_came_while_the_database_was_away_is_looked_for_once_it_is_back(two_processes, postgres):
    here, there = two_processes
    looks, heard = Queue(), heard_by(there)
    there.notices.listen("ruleset", lambda value: value == LOOK and looks.put(value))
    postgres.stop(at_once=True)
    while not looks.empty():
        looks.get()
    with pytest.raises(Empty):
        looks.get_nowait()
    postgres.start()

    assert looks.get(timeout=30) == LOOK
    wait_until(lambda: not notify(here, "ruleset", "production 2") and not heard.empty())


def test_a_listener_looks_for_itself_when_nothing_is_heard_for_long(postgres_url):
    with database(postgres_url) as engine:
        store = SqlStore(engine, poll_seconds=0.05)
        looked = threading.Semaphore(0)
        store.notices.listen("ruleset", lambda value: value == LOOK and looked.release())

        assert all(looked.acquire(timeout=10) for _ in range(3))


def test_closing_the_database_ends_the_thread_that_listens(postgres_url):
    with database(postgres_url) as engine:
        heard_by(SqlStore(engine))
        listening = [each for each in threading.enumerate() if each.name == "notices"]

    assert len(listening) == 1
    wait_until(lambda: not listening[0].is_alive())


def test_a_notice_carries_no_data(postgres_url):
    with database(postgres_url) as engine, pytest.raises(ValueError, match="it is a hint and carries no data"):
        notify(SqlStore(engine), "ruleset", "x" * 8000)
