"""Copies a database while it is in use: all of it, as it was at one moment."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Engine

from wavegate_controller.domain.errors import Invalid


def backup(engine: Engine, target: Path) -> None:
    """Write a new file: a SQLite database, or an archive for `pg_restore`. Either is whole, or not there.

    Raises:
        Invalid: the file is there already or cannot be written, or PostgreSQL's `pg_dump` is missing or refuses.
    """
    if target.exists():
        raise Invalid("target", f"{target} is there already", "a new name: no backup is written over")
    part = target.with_name(f".{target.name}.part")
    try:
        # For nobody else's eyes: it holds hashes of passwords and keys.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        (_from_sqlite if engine.dialect.name == "sqlite" else _from_postgres)(engine, part)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.rename(target)
    except OSError as error:
        raise Invalid("target", f"{target} cannot be written: {error.strerror}", "a place with room for it") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _from_sqlite(engine: Engine, part: Path) -> None:
    with closing(sqlite3.connect(str(engine.url.database))) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
        # A file of its own, without a log beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
        (said,) = copy.execute("PRAGMA integrity_check").fetchone()
    if said != "ok":
        raise Invalid("database_url", f"the copy is damaged, and so is the database: {said}", "an earlier backup")


def _from_postgres(engine: Engine, part: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise Invalid(
            "database_url", "is PostgreSQL's, and pg_dump is not installed here", "the package postgresql-client"
        )
    url = engine.url.set(drivername="postgresql", password=None).render_as_string()
    # Not among the arguments, which everybody on the machine may read.
    password = {"PGPASSWORD": str(engine.url.password)} if engine.url.password else {}
    done = subprocess.run(  # noqa: S603 - no shell is meant
        [program, "--format=custom", "--no-owner", f"--file={part}", f"--dbname={url}"],
        env=os.environ | password,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise Invalid("database_url", f"pg_dump refuses: {said[-1] if said else done.returncode}", "see its own words")
