"""The tick: one job of APScheduler, which is imported nowhere else. What is due is asked of the database."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import perf_counter
from typing import Final

from apscheduler.executors.pool import ThreadPoolExecutor as TickExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from wavegate_controller.service.reconcile import tick
from wavegate_controller.service.services import Services

_log: Final = logging.getLogger("wavegate")

#: Questions that are open side by side; each mostly waits for Prometheus.
_LOOKS: Final = 8


class Reconciler:
    """Looks at all due rollouts every tick, until closed. Ticks that come late or pile up become one."""

    def __init__(self, services: Services, *, every: timedelta) -> None:
        self._services = services
        self._closing = False
        self._looks = ThreadPoolExecutor(_LOOKS, thread_name_prefix="look")
        # One thread: a tick is over before the next begins.
        self._scheduler = BackgroundScheduler(executors={"default": TickExecutor(1)}, timezone="UTC")
        self._scheduler.add_job(
            self._tick,
            "interval",
            seconds=every.total_seconds(),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
        # A tick that takes longer than its interval is skipped, which is what we want and no news.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)

    def start(self) -> None:
        """Begin; returns at once."""
        self._scheduler.start()

    def close(self) -> None:
        """Begin no further tick, and ask no further question in one that is under way.

        Whatever that one does meanwhile is one transaction for each rollout; what it leaves out, the next start does.
        """
        self._closing = True
        self._scheduler.shutdown(wait=False)
        self._looks.shutdown(wait=False, cancel_futures=True)

    def _tick(self) -> None:
        begun = perf_counter()
        try:
            looked = tick(self._services, self._looks)
        except Exception:  # noqa: BLE001 - logged with its traceback
            # The loop's edge: a database that is locked or away must not end the watch.
            if not self._closing:
                _log.exception("action=tick_failed")
            return
        self._services.recorder.ticked(seconds=perf_counter() - begun, rollouts=looked)
