"""Forks and ends of the process: whoever has threads or counts is told, and no lock is left held in a child."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from weakref import WeakValueDictionary

TYPE_CHECKING = False  # as in wavegate/__init__.py
if TYPE_CHECKING:
    from typing import Any, Final, Protocol
else:
    Protocol = object

#: Held while a background thread holds locks of other libraries: a fork waits for it, since in the child
#: nobody would be left to release them.
quiet: Final = threading.Lock()
_PATIENCE_AT_FORK: Final = 5.0

#: How often this process came out of a fork. What was begun before the last is the parent's to count.
forks: Final = [0]


class Resident(Protocol):
    """Something that lives as long as the process, or until it is let go."""

    def after_fork(self) -> None:
        """In a forked child, whose only thread is the one that forked: makes anew what a fork does not copy."""

    def at_exit(self) -> None:
        """Hands over what is left, within a bounded time. May be called more than once."""


_residents: WeakValueDictionary[int, Resident] = WeakValueDictionary()
_is_quiet = [False]
_pid = [os.getpid()]


def adopt(resident: Resident) -> None:
    """Tells the resident of forks and of the end, as long as anybody holds it; in the order of adoption."""
    _residents[id(resident)] = resident
    if len(_residents) == 1:
        _at_fork_of_uwsgi()
        _at_end_of_workers()


def dismiss(resident: Resident) -> None:
    """Tells it no longer."""
    _residents.pop(id(resident), None)


def _all() -> list[Resident]:
    return [resident for reference in _residents.valuerefs() if (resident := reference()) is not None]


def _before_fork() -> None:
    _is_quiet[0] = quiet.acquire(timeout=_PATIENCE_AT_FORK)


def _after_fork_in_parent() -> None:
    if _is_quiet[0]:
        quiet.release()


def _after_fork_in_child() -> None:
    if _pid[0] == os.getpid():
        return
    _pid[0] = os.getpid()
    forks[0] += 1
    # Acquired by this very thread before the fork, or held by one that is no more.
    if quiet.locked():
        quiet.release()
    for resident in _all():
        resident.after_fork()
    _at_end_of_workers()


def _at_exit() -> None:
    for resident in _all():
        resident.at_exit()


def _at_fork_of_uwsgi() -> None:
    """It forks below Python, which then knows nothing of it; but it calls one hook of its own."""
    uwsgi: Any = sys.modules.get("uwsgi")
    if uwsgi is None:
        return
    from importlib import import_module  # noqa: PLC0415 # few run under uWSGI

    with suppress(Exception):
        # Takes the hook when it is first imported, so that has to be before us, not after.
        import_module("uwsgidecorators")
    before = getattr(uwsgi, "post_fork_hook", None)

    def hook() -> None:
        if before is not None:
            before()
        _after_fork_in_child()

    uwsgi.post_fork_hook = hook


def _at_end_of_workers() -> None:
    """Workers of multiprocessing and of Celery end without running `atexit`; each has a way of its own."""
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        _finalize(util)
        # A worker that is just being forked forgets all finalizers first, and then calls what is registered here.
        util.register_after_fork(_at_exit, lambda _: _finalize(util))
    signals: Any = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(_at_end_of_celery, weak=False, dispatch_uid=__name__)


def _finalize(util: Any) -> None:
    util.Finalize(None, _at_exit, exitpriority=0)


def _at_end_of_celery(**_: object) -> None:
    _at_exit()


atexit.register(_at_exit)
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
