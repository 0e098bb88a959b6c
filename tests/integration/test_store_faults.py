"""Processes die, databases are locked, full and away: nothing is lost, nothing done twice, a rollback is published."""

import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from support.database import database
from support.dying import KEPT_FROM, STEPS, deaths
from support.people import person
from support.waiting import wait_until
from support.world import World
from wavegate_controller.domain.measurement import Value
from wavegate_controller.domain.rollout import State
from wavegate_controller.service import queries
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.service.reconcile import tick
from wavegate_controller.store import SqlStore, open_engine

LATENCY = {
    "type": "threshold",
    "name": "latency",
    "query": 'p95{flag="{{flag}}"}',
    "operator": "<",
    "limit": 0.8,
    "failures": 1,
    "of": 1,
}
ROLLOUT = "ai-summaries:1"


@pytest.fixture(scope="module")
def die():
    with deaths() as die:
        yield die


@contextmanager
def process(url, *, moments=0.0, **options):
    """Another controller process on the database, some time after the rollout was started."""
    engine = open_engine(url)
    world = World.over(SqlStore(engine, **options))
    world.clock.advance(seconds=moments)
    world.metrics.value = Value(value=2.0)
    try:
        yield world
    finally:
        engine.dispose()


def look(world):
    with ThreadPoolExecutor(1) as executor:
        return tick(world.services, executor)


def begun(url):
    """The URL of a database with a rollout in its first wave, whose gate will see a breach."""
    with database(url) as engine:
        world = World.over(SqlStore(engine))
        world.flag()
        # Each ruleset takes pages of its own, however much room there is in others.
        world.flag("large", variants={"on": "x" * 20_000, "off": ""})
        world.started(gates=[LATENCY])
    return url


@pytest.fixture
def url(database_url):
    return begun(database_url)


@pytest.fixture
def any_url(any_database_url):
    return begun(any_database_url)


def moves(world):
    return [
        each.event.value for each in queries.history(world.services, ROLLOUT, limit=100, moves_only=True, by=person())
    ]


def assert_rolled_back_once(world):
    rollout = world.rollout()
    assert rollout.state is State.ROLLED_BACK
    assert moves(world) == ["roll_back", "start"]
    with world.services.store.transaction() as work:
        published = work.rulesets.latest("production")
        measured = Counter(each.at for each in work.evidence.since(ROLLOUT, rollout.created_at))
    assert set(measured.values()) == {1}
    publish_latest(world.services)
    assert (world.served(), world.ruleset.revision) == (0, published.revision)


@pytest.mark.parametrize("step", STEPS)
def test_a_rollback_is_decided_and_published_once_whatever_step_its_process_died_at(any_url, die, step):
    assert die(any_url, step) == signal.SIGKILL

    # Not yet time for the next look: what the dead one had claimed is taken over at once.
    with process(any_url, moments=16) as world:
        kept = STEPS.index(step) >= STEPS.index(KEPT_FROM)
        assert (world.rollout().state is State.ROLLED_BACK) is kept
        wait_until(lambda: look(world) or kept)
        assert_rolled_back_once(world)
        world.clock.advance(minutes=5)
        assert look(world) == 0
        assert_rolled_back_once(world)


def test_a_rollback_waits_for_a_database_that_another_one_has_locked(url):
    with process(url, moments=15) as world, process(url) as other:
        shorten_waits(world)
        with other.services.store._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("LOCK TABLE ruleset, decision IN ACCESS EXCLUSIVE MODE"))
            look_that_may_fail(world)
        assert moves(other) == ["start"]

        world.clock.advance(seconds=15)
        assert look(world) == 1
        assert_rolled_back_once(world)


def shorten_waits(world):
    """On each connection that begins from now on."""

    def shorten(connection, _record):
        cursor = connection.cursor()
        postgres = world.services.store._engine.dialect.name == "postgresql"
        cursor.execute("SET lock_timeout = '50ms'" if postgres else "PRAGMA busy_timeout = 50")
        cursor.close()
        if postgres:
            connection.commit()

    world.services.store._engine.dispose()
    event.listen(world.services.store._engine, "connect", shorten)


def look_that_may_fail(world):
    """On SQLite not even the claim succeeds, which ends the tick; the scheduler logs that and goes on."""
    with suppress(OperationalError):
        look(world)


def test_a_rollback_waits_until_a_full_database_has_room(url):
    with process(url, moments=15) as world:
        engine = world.services.store._engine
        fill(engine)
        look_that_may_fail(world)
        assert moves(world) == ["start"]
        assert world.rollout().state is State.RUNNING

        make_room(engine)
        world.clock.advance(seconds=15)
        assert look(world) == 1
        assert_rolled_back_once(world)


def fill(engine):
    """SQLite may not grow by another page, and PostgreSQL's disk takes no further row of evidence."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            full = connection.scalar(text("PRAGMA page_count"))
        engine.most_pages = full

        @event.listens_for(engine, "begin")
        def stay_small(begun):
            begun.connection.cursor().execute(f"PRAGMA max_page_count = {engine.most_pages}")

        return
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION is_full() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = 'disk_full'; END $$"
            )
        )
        connection.execute(text("CREATE TRIGGER full_disk BEFORE INSERT ON measurement EXECUTE FUNCTION is_full()"))


def make_room(engine):
    if engine.dialect.name == "sqlite":
        engine.most_pages = 2**30
        return
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER full_disk ON measurement"))


def test_a_rollback_comes_as_soon_as_a_database_that_was_away_is_back(postgres, postgres_url):
    with database(postgres_url) as engine:
        world = World.over(SqlStore(engine))
        world.flag()
        world.started(gates=[LATENCY])
        world.clock.advance(seconds=15)
        world.metrics.value = Value(value=2.0)
        postgres.stop()
        for _ in range(2):
            with pytest.raises(Exception, match="connection"):
                look(world)
        postgres.start()

        assert look(world) == 1
        assert_rolled_back_once(world)


def test_a_frozen_process_that_goes_on_after_others_took_over_writes_nothing(url):
    with process(url, moments=15, claim_ttl=timedelta(milliseconds=1)) as frozen, process(url, moments=16) as other:
        answer = frozen.metrics.query

        def while_frozen(promql, *, at):
            wait_until(lambda: look(other))
            return answer(promql, at=at)

        frozen.metrics.query = while_frozen
        look(frozen)

        assert_rolled_back_once(other)
        assert_rolled_back_once(frozen)
