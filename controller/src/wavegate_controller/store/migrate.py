"""Brings a database to the schema of this version; the only door to Alembic."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from wavegate_controller.domain.errors import Invalid

# A link to migrations/ in the checkout, a directory in a wheel.
_SCRIPTS: Final = Path(__file__).parents[1] / "_migrations"


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing, each in a transaction of its own.

    A migration that fails leaves the database as the one before it did. Processes that start at the same time wait
    for each other: what is missing is read anew in the transaction that runs it.

    Raises:
        Invalid: the database was migrated by a newer version.
    """
    while _upgrade_by_one(engine):
        pass


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


def _upgrade_by_one(engine: Engine) -> bool:
    """One migration; False when there is none left."""
    with _transaction(engine) as connection:
        current = _current(connection)
        if current == _scripts().get_current_head():
            return False
        command.upgrade(configuration(connection), "+1")
        return True


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(configuration())


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
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('wavegate migrations'))"))
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
