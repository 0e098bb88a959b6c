"""Brings a database to the schema of this version; the only door to Alembic."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, text

from wavegate_controller.domain.errors import Invalid

# A link to migrations/ in the checkout, a directory in a wheel.
_SCRIPTS: Final = Path(__file__).parents[1] / "_migrations"
#: Phase of a migration that runs before the code that needs it: older code goes on working.
PRE: Final = "pre"
_LOCK_TIMEOUT: Final = "5s"


def upgrade(engine: Engine, *, only_pre: bool = False) -> Sequence[str]:
    """Run the migrations that are missing, each in a transaction of its own; returns those that are left.

    A migration that fails leaves the database as the one before it did. Processes that start at the same time wait
    for each other: what is missing is read anew in the transaction that runs it.

    Args:
        engine: of the database.
        only_pre: stop before the first migration that older code cannot live with. In a new database there is nobody
            to live with it.

    Raises:
        Invalid: the database was migrated by a newer version.
    """
    with engine.connect() as connection:
        only_pre = only_pre and _current(connection) is not None
    while _upgrade_by_one(engine, only_pre=only_pre):
        pass
    with engine.connect() as connection:
        return [script.revision for script in _missing(connection)]


def upgrade_beside_others(engine: Engine) -> Sequence[str]:
    """What a process does at its start: all where it is alone, else what older processes can live with.

    Raises:
        Invalid: as above; or this version needs what older processes cannot live with.
    """
    waiting = upgrade(engine, only_pre=engine.dialect.name != "sqlite")
    needed = [each for each in waiting if _scripts().get_revision(each).module.phase == PRE]
    if needed:
        raise Invalid(
            "database_url",
            f"the database lacks {needed[0]}, which comes after a migration that older processes cannot live with",
            "stop the older processes and run `wavegate db upgrade`",
        )
    return waiting


def check(engine: Engine) -> None:
    """Refuse a database whose schema is not that of this version.

    Raises:
        Invalid: saying which revision it has and which is needed.
    """
    with engine.connect() as connection:
        current = _current(connection)
    if current != (head := _scripts().get_current_head()):
        raise Invalid("database_url", f"the database is at revision {current or 'none'}", f"{head}: upgrade it first")


def configuration(connection: Connection | None = None) -> Config:
    """What Alembic's commands need to find the scripts, and the database if one is given."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade_by_one(engine: Engine, *, only_pre: bool) -> bool:
    """One migration; False when there is none left to run."""
    with _transaction(engine) as connection:
        missing = _missing(connection)
        if not missing or (only_pre and missing[0].module.phase != PRE):
            return False
        command.upgrade(configuration(connection), "+1")
        return True


def _scripts() -> ScriptDirectory:
    return _read(_SCRIPTS)


@cache
def _read(directory: Path) -> ScriptDirectory:
    # Once: it takes longer than to ask a database where it stands, and they do not change while we run.
    return ScriptDirectory(str(directory))


def _missing(connection: Connection) -> list[Script]:
    """In the order in which they run."""
    current = _current(connection)
    scripts = _scripts()
    return list(reversed(list(scripts.iterate_revisions(scripts.get_current_head(), current or "base"))))


def _current(connection: Connection) -> str | None:
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in _scripts().walk_revisions()}
    if current is not None and current not in known:
        raise Invalid(
            "database_url",
            f"the database is at revision {current}, which this version does not know",
            "a database of this version or an older one; a newer version of Wavegate was here",
        )
    return current


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            with connection.begin():
                # Another process may migrate for long, and so may this one; but nobody is to wait for long behind a
                # change that itself waits for a table.
                connection.execute(text("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('wavegate migrations'))"))
                connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
                yield connection
            return
        # SQLite alters most things by building the table anew and dropping the old one, which foreign keys would
        # refuse; they can be switched off outside a transaction only (https://sqlite.org/lang_altertable.html#otheralter).
        # Detached, so that no one else gets this connection from the pool.
        connection.detach()
        connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
        with connection.begin():
            yield connection
            if orphan := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise RuntimeError(f"the migration would leave rows that refer to nothing, such as {tuple(orphan)}")
