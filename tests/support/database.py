"""A real, migrated database, for tests of what is kept: SQLite in a file, or one of a PostgreSQL's own."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sqlalchemy import Engine

from wavegate_controller.store import migrate, open_engine


def sqlite_file(directory: Path) -> Path:
    return directory / "wavegate.db"


def sqlite_url(directory: Path) -> str:
    return f"sqlite:///{sqlite_file(directory)}"


@contextmanager
def database(place: Path | str) -> Iterator[Engine]:
    """An engine on the database at that URL or in that directory, which is created and migrated when it is new."""
    engine = open_engine(place if isinstance(place, str) else sqlite_url(place))
    try:
        migrate.upgrade(engine)
        yield engine
    finally:
        engine.dispose()


@cache
def migrated() -> Path:
    """A migrated SQLite database, to be copied: migrating takes longer than most tests."""
    directory = Path(tempfile.mkdtemp(prefix="wavegate-migrated-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    with database(directory):
        return sqlite_file(directory)
