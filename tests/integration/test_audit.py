"""Every change is in the audit, in one chain without gaps, and the database lets nobody change what is in it."""

import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from support.database import database
from support.people import person
from support.rollouts import NOW
from support.world import World
from wavegate_controller.domain.audit import AuditFilter, Head, fault
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.domain.transitions import Event
from wavegate_controller.domain.verdict import VerdictKind
from wavegate_controller.service import flags, rollouts
from wavegate_controller.service.auditing import note
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.store import SqlStore


@pytest.fixture
def world(any_database_url):
    with database(any_database_url) as engine:
        yield World.over(SqlStore(engine))


@pytest.fixture
def store(world):
    return world.services.store


def entries(store):
    """All, oldest first; in an unbroken chain up to its head."""
    with store.transaction() as work:
        found, head = work.audit.after(0, limit=10_000), work.audit.head()
    follows = Head()
    for entry in found:
        assert fault(entry, after=follows) is None
        follows = entry.head
    assert follows == head
    return found


def said(store):
    return [(each.note.actor, each.note.action, each.note.subject) for each in entries(store)]


def write(work, **changes):
    values = {"by": person("ada"), "action": "flag.create", "subject": "a", "environment": "production", "now": NOW}
    note(work, **values | changes)


def test_what_people_do_is_in_the_audit_with_who_and_why_before_and_after(world, store):
    world.flag()
    world.started()
    flags.set_enabled(world.services, "ai-summaries", enabled=False, by=person("ada"), comment=" it lies ")
    flags.set_enabled(world.services, "ai-summaries", enabled=False, by=person("bob"))
    rollouts.act(world.services, "ai-summaries:1", Event.PROMOTE, by=person("bob"), comment="reads well")

    created, drafted, started, disabled, promoted = entries(store)
    assert said(store) == [
        ("anna", "flag.create", "ai-summaries"),
        ("anna", "rollout.create", "ai-summaries:1"),
        ("anna", "rollout.start", "ai-summaries:1"),
        ("ada", "flag.disable", "ai-summaries"),
        ("bob", "rollout.promote", "ai-summaries:1"),
    ]
    assert created.note.before is None
    assert created.note.after["variants"] == {"on": True, "off": False}
    assert [wave["percent"] for wave in drafted.note.after["plan"]["waves"]] == [10, 25, 50, 100]
    assert (started.note.before["state"], started.note.after["state"]) == ("draft", "running")
    assert (disabled.note.reason, disabled.note.before["enabled"], disabled.note.after["enabled"]) == (
        "it lies",
        True,
        False,
    )
    assert (promoted.note.reason, promoted.note.before["percent"], promoted.note.after["percent"]) == (
        "reads well",
        10,
        25,
    )


def test_what_the_controller_decides_is_in_the_audit_with_its_evidence_and_a_hold_is_not(world, store):
    world.flag()
    world.started(gates=[{"type": "threshold", "name": "p95", "query": "up", "operator": "<", "limit": 0.5}])
    world.clock.advance(seconds=15)
    held = reconcile(world.services, "ai-summaries:1")
    world.metrics.value = type(world.metrics.value)(value=0.9)
    for _ in range(10):
        world.clock.advance(seconds=15)
        moved = reconcile(world.services, "ai-summaries:1")
        if moved.event is not Event.TICK:
            break

    assert (held.event, moved.event) == (Event.TICK, Event.ROLL_BACK)
    last = entries(store)[-1].note
    assert (last.actor, last.actor_kind, last.action) == ("wavegate", "system", "rollout.roll_back")
    assert (last.before["percent"], last.after["percent"]) == (10, 0)
    assert last.evidence["reason"] == "breach"
    assert last.evidence["revision"] == world.ruleset.revision
    (verdict,) = last.evidence["verdicts"]
    assert (verdict["kind"], verdict["value"], verdict["limit"], verdict["query"]) == ("breach", 0.9, 0.5, "up")
    assert "rollout.tick" not in {action for _, action, _ in said(store)}


def test_a_person_s_word_about_a_wave_is_in_the_audit(world, store):
    world.flag()
    rollout = world.started(gates=[{"type": "manual", "name": "reads-well"}])
    rollouts.judge_wave(
        world.services, rollout.id, "reads-well", VerdictKind.PASS, by=person("ada"), comment="read a hundred"
    )

    last = entries(store)[-1].note
    assert (last.actor, last.action, last.reason) == ("ada", "rollout.judge", "read a hundred")
    assert last.after == {"gate": "reads-well", "verdict": "pass", "wave": 1}


def test_nothing_is_noted_of_what_was_refused_or_rolled_back(world, store):
    world.flag()
    with pytest.raises(ZeroDivisionError), store.transaction() as work:  # noqa: PT012 - the block is the case
        write(work)
        raise ZeroDivisionError
    with store.transaction() as work:
        write(work, subject="kept")
        with pytest.raises(ZeroDivisionError), work.attempt():  # noqa: PT012 - the block is the case
            write(work, subject="undone")
            raise ZeroDivisionError
        write(work, subject="kept too")

    assert [subject for _, _, subject in said(store)] == ["ai-summaries", "kept", "kept too"]


def test_many_who_write_at_once_leave_one_chain_without_gaps(store):
    begin = threading.Barrier(6)
    failures = []

    def work_hard(name):
        begin.wait(timeout=10)
        try:
            for number in range(10):
                with store.transaction() as work:
                    write(work, by=person(name), subject=f"{number}")
                    write(work, by=person(name), subject=f"{number} again")
        except Exception as failure:  # noqa: BLE001 - shown below, in the test's thread
            failures.append(failure)

    threads = [threading.Thread(target=work_hard, args=(f"writer {number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(entries(store)) == 6 * 10 * 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'bob'",
        "DELETE FROM audit",
        "DELETE FROM audit_head",
        "UPDATE audit_head SET hash = 'x'",
        "UPDATE audit_head SET sequence = 0",
        "TRUNCATE audit",
        "TRUNCATE audit_head",
    ],
)
def test_the_database_itself_refuses_to_change_what_is_in_the_audit(any_database_url, statement):
    if statement.startswith("TRUNCATE") and any_database_url.startswith("sqlite"):
        pytest.skip("SQLite has no TRUNCATE")
    with database(any_database_url) as engine:
        store = SqlStore(engine)
        with store.transaction() as work:
            write(work)
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))

        assert len(entries(store)) == 1


def test_entries_are_found_by_what_they_say(store):
    with store.transaction() as work:
        write(work, by=person("ada"), action="rollout.promote", subject="a:1")
        write(work, by=person("bob"), action="rollout.pause", subject="a:1", now=NOW + timedelta(hours=1))
        write(work, by=person("bob"), action="rollouts.odd", subject="b:1", environment="staging")

    def found(**wanted):
        with store.transaction() as work:
            return [each.sequence for each in work.audit.list(AuditFilter(**wanted), limit=10)]

    assert found() == [3, 2, 1]
    assert found(actor="bob") == [3, 2]
    assert found(action="rollout") == [2, 1]
    assert found(action="rollout.pause") == [2]
    assert found(action="roll") == []
    assert found(subject="a:1", actor="ada") == [1]
    assert found(environment="staging") == [3]
    assert found(since=NOW + timedelta(minutes=1)) == [2]
    assert found(until=NOW + timedelta(hours=1)) == [3, 1]
    with store.transaction() as work:
        assert [each.sequence for each in work.audit.list(AuditFilter(), limit=1, before=3)] == [2]
        assert work.audit.get(2).note.actor == "bob"
        with pytest.raises(NotFound, match="audit entry '4'"):
            work.audit.get(4)


_WRITES = """
import sys
from support.people import person
from support.rollouts import NOW
from wavegate_controller.service.auditing import note
from wavegate_controller.store import SqlStore, open_engine

store = SqlStore(open_engine(sys.argv[1]))
for number in range(20):
    with store.transaction() as work:
        where = {"subject": str(number), "environment": "production"}
        note(work, by=person(sys.argv[2]), action="flag.create", now=NOW, **where)
"""


def test_processes_that_write_at_once_leave_one_chain_without_gaps(store, any_database_url):
    if any_database_url.startswith("sqlite"):
        pytest.skip("one process at a time on SQLite")
    path = {"PYTHONPATH": ":".join(each for each in sys.path if each.endswith("tests"))}
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITES, any_database_url, f"writer-{number}"], env=path)
        for number in range(4)
    ]

    assert [writer.wait(timeout=60) for writer in writers] == [0] * 4
    assert len(entries(store)) == 4 * 20
