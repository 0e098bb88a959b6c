"""Processes on one database tell each other which clients they hear, so that each can say who has a revision.

In a thread of its own: the data plane never asks the database, and a database that is away keeps nobody from anything
but from knowing of the others' clients.
"""

import logging
from threading import Event, Thread
from time import monotonic
from typing import Final
from uuid import uuid4

from wavegate_controller.ports import WORDS
from wavegate_controller.service.fleets import KEPT, greet, hear, part, tell
from wavegate_controller.service.services import Services

_log: Final = logging.getLogger("wavegate")
#: Between two words of one process, however much happens.
_EVERY: Final = 1.0
#: A process says that it is there, if it has nothing else to say.
_BEAT: Final = 15.0
_PATIENCE_AT_CLOSE: Final = 1.0


class Siblings:
    """Talks with the others until closed."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._process = uuid4().hex
        self._closing = Event()
        self._heard = Event()
        self._after: int | None = None
        self._heard_at = self._beat_at = 0.0
        self._owes_all = True
        self._is_well = True
        self._thread = Thread(target=self._run, name="siblings", daemon=True)

    def start(self) -> None:
        """Begin to talk."""
        self._services.store.notices.listen(WORDS, lambda _: self._heard.set(), own=False)
        self._thread.start()

    def close(self) -> None:
        """Say good-bye, and talk no longer."""
        self._closing.set()
        self._heard.set()
        self._thread.join(_PATIENCE_AT_CLOSE)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._try()
            # What comes often is taken together.
            if not self._closing.wait(_EVERY / 2):
                self._heard.wait(_EVERY / 2)
        try:
            part(self._services, self._process)
        except Exception:  # noqa: BLE001 - the others find out by its silence
            _log.info("action=siblings_not_told")

    def _try(self) -> None:
        try:
            self._talk()
        except Exception as error:  # noqa: BLE001 - a database that is away; the next word comes
            # What the fleets gave away was not said.
            self._owes_all = True
            if self._is_well and not self._closing.is_set():
                _log.warning("action=siblings_unreachable error=%s", str(error).partition("\n")[0])
            self._is_well = False
        else:
            self._is_well = True

    def _talk(self) -> None:
        now = monotonic()
        if self._after is None or now - self._heard_at > KEPT.total_seconds() / 2:
            # What was said meanwhile may be gone. At this word the others say everything anew.
            self._after, self._heard_at = greet(self._services, self._process), now
            self._owes_all = True
        if self._heard.is_set():
            self._heard.clear()
            self._after, is_asked = hear(self._services, self._process, after=self._after)
            self._heard_at, self._owes_all = now, self._owes_all or is_asked
        is_due = now - self._beat_at >= _BEAT
        tell(self._services, self._process, all_of_it=self._owes_all, is_due=is_due)
        if is_due:
            self._beat_at = now
        self._owes_all = False
