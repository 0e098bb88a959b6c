"""Opens the database, with the settings that make commits durable and threads safe."""

from contextlib import suppress
from sqlite3 import Connection as SqliteConnection
from sqlite3 import OperationalError
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from wavegate_controller.domain.errors import Invalid

_FIELD: Final = "database_url"
_EXPECTED: Final = "a URL such as sqlite:///wavegate.db or postgresql+psycopg://wavegate@db.example.com/wavegate"

# synchronous=FULL flushes the log at each commit. With NORMAL a commit survives the end of this process but not of the
# power, and the database would come back older than what it has told the world: a rollback undone, and a ruleset
# revision that the SDKs know already and would refuse. A flush for each of a few commits a second is cheap.
_SETTINGS: Final = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)

# What a session of PostgreSQL is told when it begins. A statement that hangs and a lock that never comes end in an
# error, which the next look or the person tries again; a process that stops in the middle of a transaction does not
# keep its locks for ever.
_SESSION: Final = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
}
# A server that vanished without a word is noticed after this, not after the two hours of TCP's own.
_NETWORK: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
#: Requests run in a few threads; each holds one connection for the time of a transaction.
_CONNECTIONS: Final = 10
_MORE_AT_PEAKS: Final = 20


def open_engine(url: str) -> Engine:
    """The engine of a database that answered; safe to share between threads.

    Raises:
        Invalid: the URL is none, or the database behind it cannot be opened for writing.
    """
    parsed = _parsed(url)
    try:
        engine = create_engine(parsed, **_options(parsed))
    except (ImportError, SQLAlchemyError) as error:
        raise Invalid(_FIELD, f"needs a driver that is not installed ({error})", _EXPECTED) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    try:
        with engine.begin():
            pass
    except (SQLAlchemyError, ValueError) as error:  # ValueError: a path that no file can have
        engine.dispose()
        shown = parsed.render_as_string(hide_password=True)
        cause = getattr(error, "orig", None) or error
        raise Invalid(
            _FIELD, f"{shown} cannot be opened ({cause})", "a database that exists, or a file in a writable directory"
        ) from None
    return engine


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        # Not shown: whatever it is, it may hold a password.
        raise Invalid(_FIELD, "is not a database URL", _EXPECTED) from None
    if backend not in ("sqlite", "postgresql"):
        raise Invalid(_FIELD, f"{backend!r} is not supported", _EXPECTED)
    if backend == "sqlite" and (parsed.database or ":memory:").startswith((":memory:", "file:")):
        raise Invalid(_FIELD, "names no file, so every thread would see another database", _EXPECTED)
    if backend == "sqlite" and parsed.query:
        # They would reach into the settings below; some only work in part, without a word.
        raise Invalid(_FIELD, f"has options ({', '.join(parsed.query)}), which SQLite takes none of here", _EXPECTED)
    return parsed


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {}
    session = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    # What the URL says itself comes last, and wins.
    options = " ".join((session, *_texts(url.query.get("options", ()))))
    defaults = {name: value for name, value in _NETWORK.items() if name not in url.query}
    return {
        "pool_size": _CONNECTIONS,
        "max_overflow": _MORE_AT_PEAKS,
        # A connection that the server ended meanwhile is replaced before it is used.
        "pool_pre_ping": True,
        # What each statement sees is what is committed when it begins; what must not change in between is locked or
        # has a version.
        "isolation_level": "READ COMMITTED",
        "connect_args": {"application_name": "wavegate"} | defaults | {"options": options},
    }


def _texts(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _prepare(connection: SqliteConnection, _record: Any) -> None:
    # None: the driver begins no transactions by itself, `_begin` does.
    connection.isolation_level = None
    for setting in _SETTINGS:
        connection.execute(setting).close()
    # Of several processes that switch a new file at once, all but one fail without waiting. The mode belongs to the
    # file, so they follow; any other trouble meets the first transaction, which reports it.
    with suppress(OperationalError):
        connection.execute("PRAGMA journal_mode = WAL").close()


def _begin(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once and waits for it. A transaction that begins by reading could find, when it
    # comes to write, that another one wrote meanwhile; SQLite then fails at once, whatever the busy timeout.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
