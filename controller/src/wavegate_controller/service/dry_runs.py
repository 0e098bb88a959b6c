"""What a dry run would have done with a rollout, beside what people did."""

from collections.abc import Sequence
from typing import Final

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.foresight.dry_run import Compared, compare
from wavegate_controller.service.services import Services

#: Moves of one rollout that are looked at; with more of them nobody reads the report.
_MOST: Final = 1000


def compare_rollout(services: Services, rollout_id: str, *, by: Principal) -> Sequence[Compared]:
    """What came of all that was noted and done, in the order of time.

    Raises:
        NotFound: there is no such rollout.
        Forbidden: they may not see it.
    """
    with services.store.transaction() as work:
        rollout = work.rollouts.get(rollout_id)
        by.require(Permission.READ, rollout.environment)
        moves = work.decisions.list(rollout.id, limit=_MOST, moves_only=True)
    return compare(list(reversed(moves)))
