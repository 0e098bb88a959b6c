"""The migrations build what the code expects, one after the other, up and down, and lose nothing on the way."""

import ast
import runpy
import shutil
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.adapt import Loader
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import OperationalError

from support.database import database, sqlite_url
from support.rollouts import a_flag, a_rollout
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.store import SqlStore, migrate, open_engine, tables

DATA = Path(__file__).parent / "data"
SCRIPTS = list(reversed(list(ScriptDirectory.from_config(migrate.configuration()).walk_revisions())))
each_migration = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: Path(script.path).stem)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    """Of a database in which nothing is yet."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = sqlite_url(tmp_path)
        else:
            url = stack.enter_context(request.getfixturevalue("postgres").empty_database())
        engine = open_engine(url)
        stack.callback(engine.dispose)
        yield engine


def move(engine, revision):
    """Take the database up or down to that revision."""
    with migrate._transaction(engine) as connection:
        scripts = ScriptDirectory.from_config(migrate.configuration())
        order = [None, *(script.revision for script in SCRIPTS)]
        target = None if revision == "base" else scripts.get_revision(revision).revision
        current = MigrationContext.configure(connection).get_current_revision()
        go = command.upgrade if order.index(target) >= order.index(current) else command.downgrade
        go(migrate.configuration(connection), revision)


def schema(engine):
    inspector = inspect(engine)
    return {
        name: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(name)],
            inspector.get_pk_constraint(name),
            inspector.get_foreign_keys(name),
            inspector.get_indexes(name),
        )
        for name in inspector.get_table_names()
        if name not in ("alembic_version", "sqlite_sequence")
    }


def test_the_migrations_build_exactly_the_tables_that_the_code_knows(engine):
    migrate.upgrade(engine)

    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_the_migrations_give_constraints_and_indexes_the_names_that_the_code_gives_them(engine):
    migrate.upgrade(engine)
    migrated = schema(engine)
    move(engine, "base")
    tables.metadata.create_all(engine)

    assert migrated == schema(engine)


@each_migration
def test_a_migration_goes_up_and_down_and_up_again(engine, script):
    before, here = script.down_revision or "base", script.revision
    move(engine, before)
    schema_before = schema(engine)
    move(engine, here)
    schema_here = schema(engine)
    move(engine, before)
    schema_after_down = schema(engine)
    move(engine, here)

    assert schema_after_down == schema_before
    assert schema(engine) == schema_here


class _AsText(Loader):
    def load(self, data):
        return bytes(data).decode()


class _AsTextInUTC(Loader):
    def load(self, data):
        moment = bytes(data).decode().removesuffix("+00")
        return moment if "." in moment else f"{moment}.000000"


def as_sqlite_shows_it(connection):
    """Times and JSON as text, from either database, so that one script can say what must be there."""
    if connection.dialect.name == "postgresql":
        adapters = connection.connection.driver_connection.adapters
        # Nobody else is to get this connection from the pool.
        connection.detach()
        adapters.register_loader("json", _AsText)
        adapters.register_loader("timestamptz", _AsTextInUTC)
    return connection


@each_migration
def test_a_migration_keeps_the_data_that_it_finds(engine, script):
    data = runpy.run_path(str(DATA / f"{script.revision}.py"))
    move(engine, script.down_revision or "base")
    with engine.begin() as connection:
        data["before"](connection)
    move(engine, script.revision)

    with engine.connect() as connection, connection.begin():
        data["after"](as_sqlite_shows_it(connection))


@each_migration
def test_a_migration_gives_its_reason_and_says_when_it_runs(script):
    reason = script.longdoc.partition("REASON: ")[2]

    assert len(reason.split()) > 5, "say why after 'REASON:'"
    assert "why the change is needed" not in reason, "the template's words are still there"
    assert script.module.phase in ("pre", "post")


@each_migration
def test_a_migration_imports_no_code_of_the_application(script):
    nodes = ast.walk(ast.parse(Path(script.path).read_text()))
    imported = {
        name
        for node in nodes
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
        + ([node.module] if isinstance(node, ast.ImportFrom) else [])
    }

    assert {name.partition(".")[0] for name in imported} <= {"alembic", "sqlalchemy", *sys.stdlib_module_names}


def test_the_migrations_form_one_line():
    assert [script.down_revision for script in SCRIPTS] == [None, *(script.revision for script in SCRIPTS[:-1])]


def test_starting_again_on_an_existing_database_keeps_what_is_in_it(tmp_path):
    with database(tmp_path) as engine, SqlStore(engine).transaction() as work:
        work.flags.add(a_flag())
        work.rollouts.add(a_rollout())

    with database(tmp_path) as engine, SqlStore(engine).transaction() as work:
        assert work.flags.get("production", "ai-summaries") == a_flag()
        assert work.rollouts.get("ai-summaries:1") == a_rollout()


def test_processes_that_start_at_once_migrate_a_new_database_once(tmp_path):
    start = threading.Barrier(4)
    failures = []

    def begin():
        start.wait(timeout=10)
        try:
            with database(tmp_path) as engine:
                migrate.check(engine)
        except Exception as failure:  # noqa: BLE001 - shown below, in the test's thread
            failures.append(failure)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


def test_a_database_at_the_newest_revision_passes_the_check(engine):
    migrate.upgrade(engine)

    migrate.check(engine)


def test_a_database_that_was_never_migrated_fails_the_check_with_both_revisions_named(engine):
    with pytest.raises(Invalid, match=f"at revision none; expected {SCRIPTS[-1].revision}"):
        migrate.check(engine)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(engine):
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'fromthefuture'"))

    for act in (migrate.upgrade, migrate.check):
        with pytest.raises(Invalid, match="fromthefuture, which this version does not know"):
            act(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "fromthefuture"


_REBUILDS_A_TABLE = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "aaaa", "{head}"

def upgrade():
    with op.batch_alter_table("flag", recreate="always") as flag:
        flag.add_column(sa.Column("owner", sa.String(), server_default="nobody", nullable=False))
"""
_ADDS = """
from alembic import op
import sqlalchemy as sa

revision, down_revision, phase = "aaaa", "{head}", "pre"

def upgrade():
    with op.batch_alter_table("flag") as flag:
        flag.add_column(sa.Column("owner", sa.String(), nullable=True))
"""
_REMOVES = """
from alembic import op

revision, down_revision, phase = "bbbb", "aaaa", "post"

def upgrade():
    with op.batch_alter_table("flag") as flag:
        flag.drop_column("owner")
"""
_FAILS_HALFWAY = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "bbbb", "aaaa"

def upgrade():
    op.create_table("half", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("DELETE FROM rollout")
    op.execute("UPDATE no_such_table SET a = 1")
"""
_ORPHANS_ROWS = """
from alembic import op

revision, down_revision = "bbbb", "aaaa"

def upgrade():
    op.execute("DELETE FROM flag")
"""


@pytest.fixture
def sqlite_engine(tmp_path):
    """SQLite builds most tables anew to change them, which PostgreSQL never does."""
    engine = open_engine(sqlite_url(tmp_path))
    yield engine
    engine.dispose()


@pytest.fixture
def future(tmp_path, monkeypatch):
    """Returns a function that adds migrations to those of this version."""
    scripts = tmp_path / "scripts with 100% of them"
    shutil.copytree(migrate._SCRIPTS.resolve(), scripts)
    monkeypatch.setattr(migrate, "_SCRIPTS", scripts)

    def add(*sources):
        for number, source in enumerate(sources):
            version = source.replace("{head}", SCRIPTS[-1].revision)
            (scripts / "versions" / f"20990101_{number}.py").write_text(version)
        migrate._read.cache_clear()

    return add


def test_a_table_that_others_refer_to_can_be_built_anew_with_its_data(sqlite_engine, future):
    migrate.upgrade(sqlite_engine)
    with SqlStore(sqlite_engine).transaction() as work:
        work.flags.add(a_flag())
        work.rollouts.add(a_rollout())
    future(_REBUILDS_A_TABLE)
    migrate.upgrade(sqlite_engine)

    with sqlite_engine.connect() as connection:
        assert connection.execute(text("SELECT key, owner FROM flag")).all() == [("ai-summaries", "nobody")]
        assert connection.execute(select(tables.rollout.c.id)).all() == [("ai-summaries:1",)]
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1


@pytest.mark.parametrize(
    ("migration", "error"),
    [(_FAILS_HALFWAY, OperationalError), (_ORPHANS_ROWS, RuntimeError)],
    ids=["fails halfway", "orphans rows"],
)
def test_a_migration_that_fails_leaves_the_database_as_the_one_before_it_did(sqlite_engine, future, migration, error):
    migrate.upgrade(sqlite_engine)
    with SqlStore(sqlite_engine).transaction() as work:
        work.flags.add(a_flag())
        work.rollouts.add(a_rollout())
    future(_REBUILDS_A_TABLE, migration)
    with pytest.raises(error):
        migrate.upgrade(sqlite_engine)

    with sqlite_engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "aaaa"
        assert connection.execute(text("SELECT key, owner FROM flag")).all() == [("ai-summaries", "nobody")]
        assert connection.execute(select(tables.rollout.c.id)).all() == [("ai-summaries:1",)]
    assert "half" not in inspect(sqlite_engine).get_table_names()


def test_before_the_first_post_migration_an_upgrade_can_stop_and_the_rest_is_named(engine, future):
    migrate.upgrade(engine)
    future(_ADDS, _REMOVES, _ADDS.replace("aaaa", "cccc").replace("{head}", "bbbb").replace("owner", "team"))
    left = migrate.upgrade(engine, only_pre=True)
    with engine.connect() as connection:
        reached = connection.scalar(text("SELECT version_num FROM alembic_version"))

    assert (reached, left) == ("aaaa", ["bbbb", "cccc"])
    assert migrate.upgrade(engine) == []
    migrate.check(engine)


def test_a_new_database_has_nobody_to_wait_for(engine, future):
    future(_ADDS, _REMOVES)

    assert migrate.upgrade(engine, only_pre=True) == []


def test_a_process_starts_beside_older_ones_unless_it_needs_what_they_cannot_live_with(postgres_url, future):
    with database(postgres_url) as engine:
        future(_ADDS, _REMOVES)
        assert migrate.upgrade_beside_others(engine) == ["bbbb"]
        future(_ADDS, _REMOVES, _ADDS.replace("aaaa", "cccc").replace("{head}", "bbbb").replace("owner", "team"))
        with pytest.raises(Invalid, match=r"lacks cccc, which comes after .* expected stop the older processes"):
            migrate.upgrade_beside_others(engine)


def test_a_migration_that_waits_for_a_table_gives_up_before_everybody_waits_behind_it(
    postgres_url, future, monkeypatch
):
    monkeypatch.setattr(migrate, "_LOCK_TIMEOUT", "50ms")
    with database(postgres_url) as engine, engine.connect() as reader:
        reader.execute(select(tables.flag))
        future(_ADDS)
        with pytest.raises(OperationalError, match="lock timeout"):
            migrate.upgrade(engine)
        reader.rollback()

        assert migrate.upgrade(engine) == []


@pytest.mark.parametrize(
    "script", [each for each in SCRIPTS if each.module.phase == "pre"], ids=lambda each: each.revision
)
def test_older_code_works_on_after_a_pre_migration(sqlite_engine, script):
    """What it reads is there, as it was, and what it writes is complete."""
    move(sqlite_engine, script.down_revision or "base")
    older = columns(sqlite_engine)
    move(sqlite_engine, script.revision)
    newer = columns(sqlite_engine)

    for table, known in older.items():
        for name, column in known.items():
            now = newer[table][name]
            assert str(now["type"]) == str(column["type"]), f"{table}.{name} changed"
            assert now["nullable"] or not column["nullable"], f"{table}.{name} takes no NULL any more"
        for name in newer[table].keys() - known.keys():
            added = newer[table][name]
            assert added["nullable"] or added["default"] is not None, f"{table}.{name} is written by newer code only"


def columns(engine):
    inspector = inspect(engine)
    return {
        table: {column["name"]: column for column in inspector.get_columns(table)}
        for table in inspector.get_table_names()
    }
