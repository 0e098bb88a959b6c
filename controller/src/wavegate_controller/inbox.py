"""Takes what people said from the data plane, which never asks the database, and writes it down in its own thread.

What comes at about the same time shares a transaction; whoever brought it is told once that is committed.
"""

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import Condition, Thread
from typing import Final

from wavegate_controller.domain.answers import FeedbackAnswer, Taken
from wavegate_controller.service.feedback import keep
from wavegate_controller.service.services import Services

_log: Final = logging.getLogger("wavegate")
#: More at once are refused: a database that is slow must not fill the memory.
_MOST_WAITING: Final = 5_000
#: Answers in one transaction: on SQLite everybody else waits while it is open.
_TOGETHER: Final = 200
_PATIENCE_AT_CLOSE: Final = 1.0


class Inbox:
    """Fulfils the data plane's `Inbox`, until it is closed."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._waiting: deque[tuple[Sequence[FeedbackAnswer], Future[Sequence[Taken]]]] = deque()
        self._changed = Condition()
        self._is_closing = False
        self._thread = Thread(target=self._run, name="inbox", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what is there, and take no more."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_AT_CLOSE)

    def put(self, answers: Sequence[FeedbackAnswer]) -> Future[Sequence[Taken]]:
        """What becomes of each, once it is written down; OSError where it cannot be."""
        future: Future[Sequence[Taken]] = Future()
        with self._changed:
            if self._is_closing or len(self._waiting) >= _MOST_WAITING:
                future.set_exception(OSError("answers cannot be written down now"))
            else:
                self._waiting.append((answers, future))
                self._changed.notify()
        return future

    def _run(self) -> None:
        while batch := self._next():
            try:
                taken = iter(keep(self._services, [each for answers, _ in batch for each in answers]))
            except Exception:  # noqa: BLE001 - a database that is away; whoever waits is told, and comes again
                _log.exception("action=feedback_not_kept")
                for _, future in batch:
                    _settle(future, None)
            else:
                for answers, future in batch:
                    _settle(future, [next(taken) for _ in answers])

    def _next(self) -> list[tuple[Sequence[FeedbackAnswer], Future[Sequence[Taken]]]]:
        """What is written together; nothing at the end."""
        with self._changed:
            while not self._waiting and not self._is_closing:
                self._changed.wait()
            batch = []
            size = 0
            while self._waiting and size < _TOGETHER:
                batch.append(self._waiting.popleft())
                size += len(batch[-1][0])
            return batch


def _settle(future: Future[Sequence[Taken]], taken: Sequence[Taken] | None) -> None:
    # Whoever waited may have gone.
    with suppress(Exception):
        if taken is None:
            future.set_exception(OSError("answers cannot be written down now"))
        else:
            future.set_result(taken)
