"""Whoever changes the record behind the controller's back is found, and the first bad entry is named."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from support.database import database, sqlite_url
from support.people import person
from support.rollouts import NOW
from wavegate_controller.cli import main
from wavegate_controller.documents.audit import entry_to_line, head_to_line
from wavegate_controller.domain.audit import Head, chain
from wavegate_controller.service.auditing import note
from wavegate_controller.service.audits import verify_store
from wavegate_controller.store import SqlStore, open_engine

LENGTH = 6
COLUMNS = ("at", "actor", "actor_kind", "action", "subject", "environment", "reason", "before", "after", "evidence")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
VALUES = TEXT | st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=8)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A database with some entries, left without the triggers that would keep anybody from changing them."""
    directory = tmp_path_factory.mktemp("written")
    with database(directory) as engine:
        for number in range(LENGTH):
            with SqlStore(engine).transaction() as work:
                note(
                    work,
                    by=person("ada"),
                    action="flag.create",
                    subject=f"flag-{number % 2}",
                    environment="production",
                    now=NOW,
                    after={"number": number, "share": 0.5, "name": "süß"},
                )
    file = directory / "wavegate.db"
    with closing(sqlite3.connect(file)) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("PRAGMA journal_mode = DELETE")
    return file


@pytest.fixture
def tamper(written, tmp_path):
    """Changes a copy of the database by some SQL, and says what the verification says of it."""

    def tamper(*statements, expect=None):
        shutil.copy(written, tmp_path / "wavegate.db")
        with closing(sqlite3.connect(tmp_path / "wavegate.db")) as connection:
            for statement, values in statements:
                connection.execute(statement, values)
            connection.commit()
        engine = open_engine(sqlite_url(tmp_path))
        try:
            return verify_store(SqlStore(engine), expect=expect)
        finally:
            engine.dispose()

    return tamper


def test_an_untouched_audit_holds_up_to_its_head(tamper):
    verified = tamper()

    assert verified.fault is None
    assert verified.end.sequence == LENGTH


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(at=st.integers(1, LENGTH), column=st.sampled_from([*COLUMNS, "previous", "hash"]), value=VALUES)
def test_any_other_value_in_any_row_is_found_and_named(written, tamper, at, column, value):
    with closing(sqlite3.connect(written)) as connection:
        types = f'SELECT typeof("{column}"), "{column}" FROM audit WHERE sequence = ?'
        before = connection.execute(types, [at]).fetchone()
    try:
        verified = tamper((f'UPDATE audit SET "{column}" = ? WHERE sequence = ?', [value, at]))
    except sqlite3.IntegrityError:  # NULL where none may be
        return
    if before[1] == value:
        return

    assert verified.fault is not None
    assert verified.sequence == at


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(at=st.integers(1, LENGTH), to=st.integers(-3, LENGTH + 3))
def test_any_row_that_is_removed_or_has_another_number_is_found(tamper, at, to):
    removed = tamper(("DELETE FROM audit WHERE sequence = ?", [at]))
    assert (removed.sequence, removed.fault is None) == (at, False)
    if not 1 <= to <= LENGTH:
        moved = tamper(("UPDATE audit SET sequence = ? WHERE sequence = ?", [to, at]))
        assert moved.fault is not None


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 5), (5, 6)])
def test_rows_that_changed_places_are_found(tamper, one, other):
    move = "UPDATE audit SET sequence = ? WHERE sequence = ?"
    verified = tamper((move, [99, one]), (move, [one, other]), (move, [other, 99]))

    assert verified.sequence == one


@pytest.mark.parametrize("number", [-1, 0, LENGTH + 1, LENGTH + 5])
def test_a_row_that_somebody_put_in_is_found(tamper, number):
    names = ", ".join(f'"{name}"' for name in (*COLUMNS, "previous", "hash"))
    verified = tamper((f"INSERT INTO audit (sequence, {names}) SELECT ?, {names} FROM audit LIMIT 1", [number]))

    assert verified.sequence == (1 if number < 1 else LENGTH + 1)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM audit_head", "nothing says where the chain ends"),
        ("UPDATE audit_head SET sequence = 4", "entry 5 and what follows were added behind the head"),
        ("UPDATE audit_head SET hash = 'x'", "is not the one that the head of the chain names"),
        ("DELETE FROM audit WHERE sequence > 4", "entries 5 to 6 are missing: the end was cut off"),
        ("DELETE FROM audit", "entries 1 to 6 are missing: the end was cut off"),
    ],
)
def test_an_end_that_is_not_where_the_head_says_is_found(tamper, statement, says):
    assert says in tamper((statement, [])).fault


def test_an_end_that_was_cut_off_with_its_head_is_found_by_what_was_noted_elsewhere_only(tamper):
    noted = tamper().end
    cut = (
        ("DELETE FROM audit WHERE sequence > 4", []),
        ("UPDATE audit_head SET sequence = 4, hash = (SELECT hash FROM audit WHERE sequence = 4)", []),
    )

    assert tamper(*cut).fault is None
    verified = tamper(*cut, expect=noted)
    assert verified.fault == "entries 5 to 6 are missing, which were there when the last was noted"
    assert verified.sequence == 5


def test_a_chain_that_was_made_anew_from_an_edited_entry_on_is_found_by_what_was_noted_elsewhere_only(tamper):
    noted = tamper().end
    with_name = chain(Head(), [forged(number) for number in range(LENGTH)])
    anew = [
        (
            "UPDATE audit SET actor = ?, previous = ?, hash = ? WHERE sequence = ?",
            [each.note.actor, each.previous, each.hash, each.sequence],
        )
        for each in with_name
    ]
    anew.append(("UPDATE audit_head SET hash = ?", [with_name[-1].hash]))

    assert tamper(*anew).fault is None
    assert (
        tamper(*anew, expect=noted).fault == "entry 6 is not the one that was noted: it, or one before it, was replaced"
    )


def forged(number):
    """As `written` has it, in another name."""
    taken = []

    class Work:
        class audit:  # noqa: N801 - the name is the unit of work's
            add = taken.append

    after = {"number": number, "share": 0.5, "name": "süß"}
    where = {"subject": f"flag-{number % 2}", "environment": "production"}
    note(Work, by=person("bob"), action="flag.create", now=NOW, after=after, **where)
    return taken[0]


@pytest.fixture
def lines():
    entries = chain(Head(), [forged(number) for number in range(LENGTH)])
    return [*map(entry_to_line, entries), head_to_line(entries[-1].head)]


def verify_file(lines, tmp_path, *options):
    file = tmp_path / "audit.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines))
    return CliRunner().invoke(main, ["audit", "verify", "-f", str(file), *options])


def test_an_export_is_verified_without_a_controller(lines, tmp_path):
    whole = verify_file(lines, tmp_path, "--json")
    later = verify_file(lines[3:], tmp_path)

    assert (whole.exit_code, later.exit_code) == (0, 0)
    assert json.loads(whole.output)["entries"] == LENGTH
    assert "3 entries after entry 3, which is not here to be verified" in " ".join(later.output.split())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_any_other_character_in_an_export_is_found(lines, tmp_path, data):
    at = data.draw(st.integers(0, LENGTH))
    place = data.draw(st.integers(0, len(lines[at]) - 1))
    other = data.draw(st.sampled_from(' "0a{}:,1f').filter(lambda char: char != lines[at][place]))
    lines = [*lines[:at], lines[at][:place] + other + lines[at][place + 1 :], *lines[at + 1 :]]

    result = verify_file(lines, tmp_path)

    assert result.exit_code == 4, result.output
    assert "the audit does not hold" in result.output


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:-1],
        lambda lines: [*lines[:2], *lines[3:]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [lines[0], *lines],
        lambda lines: [*lines, lines[-1]],
        lambda lines: ["{}", *lines],
        lambda lines: [*lines[:-2], lines[-1]],
    ],
)
def test_lines_that_are_missing_moved_or_added_are_found(lines, tmp_path, change):
    assert verify_file(change(lines), tmp_path).exit_code == 4


def test_what_was_noted_must_be_in_the_export(lines, tmp_path):
    hash_of_3 = json.loads(lines[2])["hash"]

    assert verify_file(lines, tmp_path, "--expect", f"3:{hash_of_3}").exit_code == 0
    assert verify_file(lines, tmp_path, "--expect", f"4:{hash_of_3}").exit_code == 4
    assert verify_file(lines, tmp_path, "--expect", f"7:{hash_of_3}").exit_code == 4
    refused = verify_file(lines, tmp_path, "--expect", hash_of_3)
    assert (refused.exit_code, "NUMBER:HASH" in refused.output) == (2, True)


def test_an_empty_export_is_no_audit(tmp_path):
    assert verify_file([], tmp_path).exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "entry"),
    [
        ("UPDATE audit SET reason = 'another' WHERE sequence = 3", 3),
        ("UPDATE audit SET after = replace(after, '0.5', '0.50') WHERE sequence = 2", 2),
        ("DELETE FROM audit WHERE sequence = 4", 4),
        ("DELETE FROM audit WHERE sequence = 6", 6),
        ("UPDATE audit SET sequence = sequence + 10 WHERE sequence > 4", 5),
    ],
)
def test_postgresql_s_audit_is_verified_alike(postgres_url, statement, entry):
    with database(postgres_url) as engine:
        store = SqlStore(engine)
        for number in range(LENGTH):
            with store.transaction() as work:
                where = {"subject": f"flag-{number}", "environment": "production"}
                note(work, by=person("ada"), action="flag.create", now=NOW, after={"share": 0.5}, **where)
        untouched = verify_store(store)
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
            connection.execute(text(statement))
        verified = verify_store(store)

    assert (untouched.fault, untouched.end.sequence) == (None, LENGTH)
    assert verified.fault is not None
    assert verified.sequence == entry
