"""Opening a database: durable, or refused with a sentence that helps."""

import threading

import pytest
from sqlalchemy import text

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.store import open_engine


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "is not a database URL"),
        ("wavegate.db", "is not a database URL"),
        ("nosql://here", "'nosql' is not supported"),
        ("mysql://here/db", "'mysql' is not supported"),
        ("sqlite+nosuchdriver:///wavegate.db", "driver that is not installed"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file:wavegate?mode=memory&uri=true", "names no file"),
        ("sqlite:///wavegate.db?isolation_level=DEFERRED", "has options (isolation_level)"),
    ],
)
def test_a_url_that_names_no_usable_database_is_refused(url, problem):
    with pytest.raises(Invalid) as refusal:
        open_engine(url)

    assert refusal.value.field == "database_url"
    assert problem in refusal.value.problem
    assert "sqlite:///wavegate.db" in refusal.value.expected
    assert "postgresql+psycopg://" in refusal.value.expected


@pytest.mark.parametrize("url", ["postgresql://ada:secret@host:port/db", "nosql://ada:secret@host/db"])
def test_a_refusal_never_shows_the_password(url):
    with pytest.raises(Invalid) as refusal:
        open_engine(url)

    assert "secret" not in str(refusal.value)


def test_a_path_in_no_directory_is_refused(tmp_path):
    with pytest.raises(Invalid, match=r"database_url: .*/missing/wavegate.db cannot be opened .*writable directory"):
        open_engine(f"sqlite:///{tmp_path}/missing/wavegate.db")


def test_a_path_that_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(Invalid, match="cannot be opened"):
        open_engine(f"sqlite:///{tmp_path}/wave\0gate.db")


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("buy milk\n" * 100)

    with pytest.raises(Invalid, match="file is not a database"):
        open_engine(f"sqlite:///{file}")
    assert file.read_text() == "buy milk\n" * 100


def test_a_directory_that_may_not_be_written_is_refused():
    with pytest.raises(Invalid, match="cannot be opened"):
        open_engine("sqlite:////proc/wavegate.db")


def test_a_commit_is_flushed_to_the_disk_and_references_are_checked_on_every_connection(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/wavegate.db")
    with engine.connect() as first, engine.connect() as second:
        settings = [
            [
                connection.connection.cursor().execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
            for connection in (first, second)
        ]
    engine.dispose()

    full = 2
    assert settings == [["wal", full, 1, 10_000]] * 2


def test_several_processes_may_open_a_new_database_at_once(tmp_path):
    start = threading.Barrier(6)
    engines, failures = [], []

    def open_one():
        start.wait(timeout=10)
        try:
            engines.append(open_engine(f"sqlite:///{tmp_path}/wavegate.db"))
        except Invalid as failure:
            failures.append(failure)

    threads = [threading.Thread(target=open_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    modes = set()
    for engine in engines:
        with engine.connect() as connection:
            modes.add(connection.scalar(text("PRAGMA journal_mode")))
        engine.dispose()

    assert failures == []
    assert modes == {"wal"}
