"""A backup is whole, made while others write, readable by nobody else, and comes back as it was."""

import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from support.database import database, sqlite_file
from support.rollouts import a_flag
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.store import SqlStore, open_engine
from wavegate_controller.store.backup import backup


def kept(engine):
    with engine.connect() as connection:
        return connection.execute(text("SELECT key, description FROM flag ORDER BY key")).all()


@pytest.fixture
def engine(database_url, postgres, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(postgres.program("pg_dump")).parent), prepend=os.pathsep)
    with database(database_url) as engine:
        with SqlStore(engine).transaction() as work:
            work.flags.add(a_flag(description="kept"))
        yield engine


def restored(file, engine, postgres, directory):
    """An engine on what comes back from the file."""
    if engine.dialect.name == "sqlite":
        place = sqlite_file(directory)
        place.write_bytes(file.read_bytes())
        return open_engine(f"sqlite:///{place}")
    url = str(engine.url).replace("postgresql+psycopg", "postgresql")
    subprocess.run(
        [postgres.program("pg_restore"), "--clean", "--if-exists", "--no-owner", f"--dbname={url}", file], check=True
    )
    return open_engine(str(engine.url))


def test_a_backup_comes_back_as_it_was(engine, postgres, tmp_path):
    file = tmp_path / "backup"
    backup(engine, file)
    with SqlStore(engine).transaction() as work:
        work.flags.add(a_flag("later"))
    (tmp_path / "elsewhere").mkdir()
    again = restored(file, engine, postgres, tmp_path / "elsewhere")

    assert kept(again) == [("ai-summaries", "kept")]
    again.dispose()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir() if each.name.endswith(".part")] == []


def test_a_backup_is_of_one_moment_while_others_write(new_sqlite_url, tmp_path):
    with database(new_sqlite_url) as engine:
        store, done = SqlStore(engine), threading.Event()

        def write():
            number = 0
            while not done.is_set():
                number += 1
                with store.transaction() as work:
                    for kind in ("left", "right"):
                        work.flags.add(a_flag(f"{kind}-{number}", description="x" * 2000))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            backup(engine, tmp_path / "backup")
        finally:
            done.set()
            writer.join()
    copy = open_engine(f"sqlite:///{tmp_path / 'backup'}")
    sides = [key.partition("-") for key, _ in kept(copy)]
    copy.dispose()

    assert {number for side, _, number in sides if side == "left"} == {n for side, _, n in sides if side == "right"}


def test_no_backup_is_written_over(engine, tmp_path):
    file = tmp_path / "backup"
    file.write_text("of yesterday")

    with pytest.raises(Invalid, match="is there already"):
        backup(engine, file)
    assert file.read_text() == "of yesterday"


def test_a_place_that_cannot_be_written_is_refused(new_sqlite_url):
    with database(new_sqlite_url) as engine, pytest.raises(Invalid, match="cannot be written"):
        backup(engine, Path("/does/not/exist/backup"))


def test_without_pg_dump_one_sentence_says_what_to_install(postgres_url, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        database(postgres_url) as engine,
        pytest.raises(Invalid, match=r"pg_dump is not installed here; .*postgresql-client"),
    ):
        backup(engine, tmp_path / "backup")
