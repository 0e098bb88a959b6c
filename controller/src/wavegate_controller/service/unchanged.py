"""Doing something only to the version that somebody has seen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wavegate_controller.domain.errors import NotFound, StaleVersion
from wavegate_controller.ports import Notices, Store, UnitOfWork

#: Reads the version of a thing, which nobody else changes before the transaction ends: kind, name, version.
Lock = Callable[[UnitOfWork], tuple[str, str, int]]


class Unchanged:
    """Fulfils `ports.Store`: until something was changed, its transactions begin by looking at the version.

    Args:
        store: the real one.
        lock: reads the version.
        expected: what it must be; no version is -1.
    """

    def __init__(self, store: Store, lock: Lock, expected: int) -> None:
        self._store = store
        self._lock = lock
        self._expected = expected
        self._has_acted = False

    @property
    def notices(self) -> Notices:
        """Those of the store."""
        return self._store.notices

    @contextmanager
    def transaction(self) -> Iterator[UnitOfWork]:
        """As those of the store; raises StaleVersion where the version is another one."""
        with self._store.transaction() as work:
            if not self._has_acted:
                kind, name, version = self._lock(work)
                if version != self._expected:
                    raise StaleVersion(kind, name, current=version)
            yield work
            acts = work.audit.has_notes
        self._has_acted = self._has_acted or acts


def lock_flag(environment: str, key: str) -> Lock:
    """The version of a flag."""
    return lambda work: ("flag", key, work.flags.lock(environment, key))


def lock_rollout(environment: str, reference: str) -> Lock:
    """The version of a rollout, by its id or as the newest of a flag."""

    def lock(work: UnitOfWork) -> tuple[str, str, int]:
        try:
            return "rollout", reference, work.rollouts.lock(reference)
        except NotFound:
            newest = next(iter(work.rollouts.list(environment, flag_key=reference, limit=1)), None)
            if newest is None:
                raise
            return "rollout", newest.id, work.rollouts.lock(newest.id)

    return lock
