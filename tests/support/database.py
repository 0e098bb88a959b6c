"""A real, migrated database in a file, for tests of what is kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from wavegate_controller.store import migrate, open_engine


def sqlite_url(directory: Path) -> str:
    return f"sqlite:///{directory / 'wavegate.db'}"


@contextmanager
def database(directory: Path) -> Iterator[Engine]:
    """An engine on the directory's database, which is created and migrated when it is new."""
    engine = open_engine(sqlite_url(directory))
    try:
        migrate.upgrade(engine)
        yield engine
    finally:
        engine.dispose()
