"""The tick: one job of APScheduler, which is imported nowhere else. What is due is asked of the database."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from datetime import datetime, timedelta
from threading import Event, Thread
from time import perf_counter
from typing import Any, Final, TypeVar

from apscheduler.executors.pool import ThreadPoolExecutor as TickExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from wavegate_controller.service.drills import tend_drills
from wavegate_controller.service.feedback import prune_feedback
from wavegate_controller.service.pilots import watch_pilots
from wavegate_controller.service.pruning import prune
from wavegate_controller.service.reconcile import tick
from wavegate_controller.service.services import Services

_log: Final = logging.getLogger("wavegate")
_T = TypeVar("_T")

#: Questions that are open side by side; each mostly waits for Prometheus.
_LOOKS: Final = 8
#: How often a process that is in the middle of a tick says that it is still there; its claims last for longer.
_SIGN_OF_LIFE_SECONDS: Final = 1.0
#: Between two times that one process looks for what is old.
_PRUNE_SECONDS: Final = 86_400.0
#: Between two looks at the pilots of features.
_WATCH_SECONDS: Final = 15.0
#: How long a stop waits for the database.
_LEAVE_SECONDS: Final = 1.0
#: A tick that takes longer hangs, whatever its process still says: others may take over what it claimed.
_LONGEST_TICK_SECONDS: Final = 600.0


class Reconciler:
    """Looks at all due rollouts every tick, until closed. Ticks that come late or pile up become one.

    Args:
        services: the world.
        every: the time between two ticks.
        keep: how long what nobody needs is kept; 0 for ever.
        keep_feedback: how long what people said is kept; 0 for ever.
        around: entered for each tick, such as a span.
    """

    def __init__(
        self,
        services: Services,
        *,
        every: timedelta,
        keep: timedelta = timedelta(0),
        keep_feedback: timedelta = timedelta(0),
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._services = services
        self._around = around
        self._keep = keep
        self._keep_feedback = keep_feedback
        self._pruned: float | None = None
        self._watched: float | None = None
        self._closing = Event()
        self._begun: float | None = None
        self._last: datetime | None = None
        self._looks = _Looks(_LOOKS, thread_name_prefix="look")
        self._signs_of_life = Thread(target=self._stay, name="signs-of-life", daemon=True)
        # One thread each: a tick is over before the next begins, and waits for no pruning.
        executors = {"default": TickExecutor(1), "pruning": TickExecutor(1)}
        self._scheduler = BackgroundScheduler(executors=executors, timezone="UTC")
        self._scheduler.add_job(
            self._tick,
            "interval",
            seconds=every.total_seconds(),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
        if keep or keep_feedback:
            self._scheduler.add_job(self._prune, "interval", hours=1, executor="pruning", misfire_grace_time=None)
        # A tick that takes longer than its interval is skipped, which is what we want and no news.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)

    def start(self) -> None:
        """Begin; returns at once."""
        self._signs_of_life.start()
        self._scheduler.start()

    def close(self) -> None:
        """Begin no further tick, and ask no further question in one that is under way.

        Whatever that one does meanwhile is one transaction for each rollout; what it leaves out, others do at once, or
        the next start.
        """
        self._closing.set()
        self._scheduler.shutdown(wait=False)
        self._looks.shutdown(wait=False, cancel_futures=True)

    def leave(self) -> None:
        """Let others have at once what was claimed here and not yet looked at; the last thing before the end.

        Nothing is lost without it: the claims end by themselves. So a database that hangs is not waited for.
        """
        leaving = Thread(target=self._leave, name="leaving", daemon=True)
        leaving.start()
        leaving.join(_LEAVE_SECONDS)

    def _leave(self) -> None:
        try:
            with self._services.store.transaction() as work:
                work.claims.leave()
        except Exception as error:  # noqa: BLE001 - see above
            _log.warning("action=leave_failed error=%s", str(error).partition("\n")[0])

    def _tick(self) -> None:
        self._begun = begun = perf_counter()
        try:
            self._notice_the_clock()
            with self._around():
                looked = tick(self._services, self._looks)
                self._beside(tend_drills)
                self._watch_pilots()
        except Exception:  # noqa: BLE001 - logged with its traceback
            # The loop's edge: a database that is locked or away must not end the watch.
            if not self._closing.is_set():
                _log.exception("action=tick_failed")
                self._services.recorder.tick_failed()
            return
        finally:
            self._begun = None
        now = self._services.clock.now()
        self._services.recorder.ticked(seconds=perf_counter() - begun, rollouts=looked, now=now)

    def _watch_pilots(self) -> None:
        if self._watched is None or perf_counter() - self._watched >= _WATCH_SECONDS:
            self._watched = perf_counter()
            self._beside(watch_pilots)

    def _beside(self, act: Callable[[Services], object]) -> None:
        """What is done beside the looks, and does not end the watch when it fails."""
        try:
            act(self._services)
        except Exception:  # noqa: BLE001 - logged with its traceback, and tried again
            if not self._closing.is_set():
                _log.exception("action=act_failed act=%s", act.__name__)

    def _prune(self) -> None:
        if self._pruned is not None and perf_counter() - self._pruned < _PRUNE_SECONDS:
            return
        try:
            removed = prune(self._services, keep=self._keep) if self._keep else 0
            if self._keep_feedback:
                removed += prune_feedback(self._services, keep=self._keep_feedback)
        except Exception:  # noqa: BLE001 - logged with its traceback, and tried again in an hour
            _log.exception("action=pruning_failed")
            return
        self._pruned = perf_counter()
        if removed:
            _log.info("action=pruned rows=%d", removed)

    def _notice_the_clock(self) -> None:
        """After a start, and when the clock was put back, what waits for a later time would wait for too long."""
        now = self._services.clock.now()
        if self._last is None or now < self._last:
            with self._services.store.transaction() as work:
                work.claims.look_again(now=now)
        self._last = now

    def _stay(self) -> None:
        while not self._closing.wait(_SIGN_OF_LIFE_SECONDS):
            begun = self._begun
            if begun is None or perf_counter() - begun > _LONGEST_TICK_SECONDS:
                continue
            try:
                with self._services.store.transaction() as work:
                    work.claims.stay()
            except Exception as error:  # noqa: BLE001 - the tick itself meets the same, and says so
                self._services.recorder.lease_failed()
                _log.debug("action=sign_of_life_failed error=%s", error)


class _Looks(ThreadPoolExecutor):
    """Work that goes on in another thread goes on within the span that it was handed over in."""

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        return super().submit(copy_context().run, fn, *args, **kwargs)
