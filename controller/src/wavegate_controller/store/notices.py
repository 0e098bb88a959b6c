"""Word of what was committed, for those who keep something of it in memory.

In one process it goes from the committing thread to the listeners. On PostgreSQL NOTIFY, which is part of the
transaction, carries it to the listeners of every other process on the same database. A notice is a hint and no data: it
may come twice, late, or, across a lost connection, not at all. That is made up for by asking everybody to look for
themselves, after each reconnect and every few seconds besides.
"""

import json
import logging
import os
import socket
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread, current_thread
from typing import Any, Final, cast
from uuid import uuid4

import psycopg
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from wavegate_controller.ports import LOOK, NoticeListener

_log: Final = logging.getLogger("wavegate")

_CHANNEL: Final = "wavegate"
#: Most time between two looks that need no notice: a proxy in between may swallow them all.
POLL_SECONDS: Final = 5.0
#: Between attempts to connect; the last one goes on.
_RETRY_SECONDS: Final = (0.0, 0.1, 0.5, 1.0, 2.0)
#: PostgreSQL takes less than 8,000 bytes.
_LONGEST: Final = 7_000

#: Topic and value.
Notice = tuple[str, str]


class Notices:
    """Fulfils `ports.Notices`."""

    def __init__(self, engine: Engine, *, poll_seconds: float) -> None:
        self._me = uuid4().hex
        self._lock = Lock()
        self._listeners: defaultdict[str, list[tuple[NoticeListener, bool]]] = defaultdict(list)
        on_postgres = engine.dialect.name == "postgresql"
        self._wire = _Wire(engine, hear=self._hear, look=self._look, poll_seconds=poll_seconds) if on_postgres else None
        # Whoever ends the use of the database ends this with it.
        event.listen(engine, "engine_disposed", self.close)

    def listen(self, topic: str, callback: NoticeListener, *, own: bool = True) -> None:
        """Call back after each commit that notified the topic."""
        with self._lock:
            self._listeners[topic].append((callback, own))
        if self._wire:
            self._wire.start()

    def close(self, *_: object) -> None:
        """Hear no more of other processes."""
        if self._wire:
            self._wire.close()

    def send(self, connection: Connection, topic: str, value: str) -> None:
        """Within the transaction: other processes hear of it if and when it commits."""
        if self._wire is None:
            return
        payload = json.dumps([self._me, topic, value])
        if len(payload) > _LONGEST:
            raise ValueError(f"a notice on {topic!r} has {len(payload)} characters; it is a hint and carries no data")
        connection.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": _CHANNEL, "payload": payload})

    def committed(self, notices: Sequence[Notice]) -> None:
        """After the commit, in the thread that made it."""
        for topic, value in dict.fromkeys(notices):
            self._call(topic, value, own=True)

    def _hear(self, payload: str) -> None:
        try:
            sender, topic, value = json.loads(payload)
        except ValueError:
            _log.warning("action=notice_ignored payload=%.100r", payload)
            return
        # What this process said itself, its listeners know already.
        if sender != self._me:
            self._call(topic, value, own=False)

    def _look(self) -> None:
        for topic in tuple(self._listeners):
            self._call(topic, LOOK, own=False)

    def _call(self, topic: str, value: str, *, own: bool) -> None:
        for callback, wants_own in tuple(self._listeners.get(topic, ())):
            if own and not wants_own:
                continue
            try:
                callback(value)
            except Exception:  # noqa: BLE001 - logged with its traceback
                # The commit stands, and the others are to hear of it, too.
                _log.exception("action=notice_failed topic=%s value=%s", topic, value)


class _Wire:
    """A thread with one connection that listens; it connects again for as long as it takes."""

    def __init__(
        self, engine: Engine, *, hear: Callable[[str], None], look: Callable[[], None], poll_seconds: float
    ) -> None:
        self._engine = engine
        self._hear, self._look, self._poll_seconds = hear, look, poll_seconds
        self._lock = Lock()
        self._thread: Thread | None = None
        self._closing = Event()
        self._line: psycopg.Connection[Any] | None = None

    def start(self) -> None:
        """Listen from when this returns or, while the database is away, from when it is back."""
        with self._lock:
            if self._thread is not None or self._closing.is_set():
                return
            ready = Event()
            self._thread = Thread(target=self._run, args=(ready,), name="notices", daemon=True)
            self._thread.start()
        ready.wait(self._poll_seconds)

    def close(self) -> None:
        """End the thread, which may be waiting for its connection."""
        self._closing.set()
        with self._lock:
            if self._line is not None:
                with suppress(OSError), socket.socket(fileno=os.dup(self._line.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)
        if self._thread is not None and self._thread is not current_thread():
            self._thread.join(_RETRY_SECONDS[-1])

    def _run(self, ready: Event) -> None:
        attempt = 0
        while not self._closing.wait(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)]):
            try:
                with self._engine.connect() as connection:
                    attempt = 0
                    self._listen(connection, ready)
            except (psycopg.Error, SQLAlchemyError) as error:
                if attempt == 0 and not self._closing.is_set():
                    _log.warning("action=notices_lost error=%s", str(error).strip().partition("\n")[0])
                attempt += 1
                ready.set()

    def _listen(self, connection: Connection, ready: Event) -> None:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        line: psycopg.Connection[Any] = cast("Any", connection.connection.driver_connection)
        # Out of the pool: nobody else is to get a connection that listens.
        connection.detach()
        connection.exec_driver_sql(f"LISTEN {_CHANNEL}")
        with self._lock:
            self._line = line
        ready.set()
        try:
            while not self._closing.is_set():
                self._look()
                for notice in line.notifies(timeout=self._poll_seconds):
                    self._hear(notice.payload)
        finally:
            with self._lock:
                self._line = None
