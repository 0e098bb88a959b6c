"""Brings the SDK keys of the database to the data plane, which never asks the database, and their use back to it."""

import logging
from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Final

from wavegate_controller.domain.credential import Credential
from wavegate_controller.ports import KEYS
from wavegate_controller.service.credentials import good_keys, keys_used
from wavegate_controller.service.services import Services

_log: Final = logging.getLogger("wavegate")
#: Keys that run out do so without a word.
_EVERY_SECONDS: Final = 30.0
#: Looks for keys between two times that their use is written down.
_LOOKS_PER_NOTE: Final = 2


class Keyring:
    """Keeps the data plane's keys those of the database, until closed.

    Args:
        services: the world.
        show: takes the keys that are good now, by the hash of their secret.
        used: gives the ids of the keys that were shown since it was last asked.
    """

    def __init__(
        self,
        services: Services,
        show: Callable[[Mapping[str, Credential]], None],
        used: Callable[[], frozenset[str]],
    ) -> None:
        self._services = services
        self._show = show
        self._used = used
        self._closing = Event()
        self._thread = Thread(target=self._run, name="keyring", daemon=True)

    def start(self) -> None:
        """Show the keys, and go on with that."""
        self.refresh()
        self._services.store.notices.listen(KEYS, self._hear)
        self._thread.start()

    def close(self) -> None:
        """Go on no longer."""
        self._closing.set()

    def refresh(self) -> None:
        """Show the keys as they are now."""
        self._show(good_keys(self._services))

    def note_use(self) -> None:
        """Write down which keys were used."""
        keys_used(self._services, self._used())

    def _hear(self, _value: str) -> None:
        self._try(self.refresh)

    def _run(self) -> None:
        looks = 0
        while not self._closing.wait(_EVERY_SECONDS):
            looks += 1
            self._try(self.refresh)
            if looks % _LOOKS_PER_NOTE == 0:
                self._try(self.note_use)

    def _try(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception:  # noqa: BLE001 - a database that is away keeps no key from working; the next look comes
            if not self._closing.is_set():
                _log.exception("action=keyring_failed")
