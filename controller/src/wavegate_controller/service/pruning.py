"""Removing what was kept for long enough: holds, and evidence that explains nothing any more. Moves stay for ever."""

from datetime import timedelta
from typing import Final

from wavegate_controller.service.services import Services

_LEASE: Final = "pruning"
#: Once in this time, however many processes there are and however often they start.
_EVERY: Final = timedelta(hours=24)
#: Rows for each transaction: on SQLite everybody else waits while it is open.
_TOGETHER: Final = 500


def prune(services: Services, *, keep: timedelta) -> int:
    """Remove what is older than `keep`; how many rows. Nothing where another process has done it within a day."""
    before = services.clock.now() - keep
    with services.store.transaction() as work:
        if work.leases.take(_LEASE, ttl=_EVERY) is None:
            return 0
        rollouts = work.retention.rollouts(before=before)
    removed = 0
    for rollout_id in rollouts:
        while True:
            with services.store.transaction() as work:
                rows = work.retention.prune(rollout_id, before=before, limit=_TOGETHER)
            removed += rows
            if not rows:
                break
    return removed
