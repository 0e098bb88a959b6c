"""The loop that sends: claims what is due in the outbox, has it sent side by side, and comes back for more."""

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Condition, Event, Thread
from time import monotonic
from typing import Final

from wavegate_controller.domain.notification import Channel, Delivery
from wavegate_controller.service import notifications
from wavegate_controller.service.audits import length
from wavegate_controller.service.notifications import OUTBOX
from wavegate_controller.service.services import Services

_log: Final = logging.getLogger("wavegate")

#: Channels that are sent to side by side; each one mostly waits.
_WORKERS: Final = 8
_FIGURES_EVERY: Final = 5.0
_TIDY_EVERY: Final = 3600.0
#: How long a stop waits for what is on its way; each that is cut off is sent twice.
_GRACE_SECONDS: Final = 0.5


class Sender:
    """Sends until closed. Several processes may: each message is claimed by one of them at a time."""

    def __init__(self, services: Services, *, every: float = 1.0) -> None:
        """Nothing is sent yet.

        Args:
            services: the world.
            every: seconds between two looks that nobody asked for.
        """
        self._services = services
        self._every = every
        self._wake = Event()
        self._closing = False
        self._settled = Condition()
        self._free = _WORKERS
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="notify")
        self._thread = Thread(target=self._run, name="wavegate-sender", daemon=True)
        self._figures_at = self._tidy_at = monotonic()

    def start(self) -> None:
        """Begin; returns at once."""
        self._services.store.notices.listen(OUTBOX, lambda _: self._wake.set())
        self._thread.start()

    def close(self) -> None:
        """Claim no more. What is still on its way after a moment is sent again by whoever runs next."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_GRACE_SECONDS)
        with self._settled:
            self._settled.wait_for(lambda: self._free == _WORKERS, _GRACE_SECONDS)
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._closing:
            self._wake.clear()
            try:
                claimed = self._claim()
                self._housekeeping()
            except Exception:  # noqa: BLE001 - logged with its traceback
                # The loop's edge: a database that is locked or away must not end the sending.
                if not self._closing:
                    _log.exception("action=sending_failed")
                claimed = 0
            if not claimed:
                self._wake.wait(self._every)

    def _claim(self) -> int:
        with self._settled:
            free = self._free
        claimed = notifications.claim(self._services, limit=free) if free else ()
        for channel, delivery in claimed:
            with self._settled:
                self._free -= 1
            self._workers.submit(self._deliver, channel, delivery)
        return len(claimed)

    def _deliver(self, channel: Channel | None, delivery: Delivery) -> None:
        try:
            notifications.deliver(self._services, channel, delivery)
        except Exception:  # noqa: BLE001 - logged with its traceback
            # How it went could not be kept: the claim expires, and it is sent again.
            if not self._closing:
                _log.exception("action=delivery_not_settled delivery=%d", delivery.id)
        finally:
            with self._settled:
                self._free += 1
                self._settled.notify_all()
            self._wake.set()

    def _housekeeping(self) -> None:
        now = monotonic()
        if now >= self._figures_at:
            self._figures_at = now + _FIGURES_EVERY
            self.look()
        if now >= self._tidy_at:
            self._tidy_at = now + _TIDY_EVERY
            notifications.tidy(self._services)

    def look(self) -> None:
        """Show how much waits, and how long the audit is."""
        backlog = notifications.backlog(self._services)
        self._services.recorder.waiting(backlog, audit_entries=length(self._services), now=self._services.clock.now())
