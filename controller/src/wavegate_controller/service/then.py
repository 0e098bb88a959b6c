"""What the database knows of the past: the calendar as it is, and how the flags that one needs stood."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.foresight.then import Then
from wavegate_controller.domain.rollout import Rollout, State
from wavegate_controller.ports import UnitOfWork

#: Moves of one rollout that are looked at; more have none.
_MOST_MOVES: Final = 1000


def then_of(work: UnitOfWork, flag: Flag) -> Then:
    """What held rollouts of this flag beside their evidence, for a replay; windows and needs are today's."""
    environment = flag.environment
    needed = work.flags.dependent(environment).get(flag.key, ())
    return Then(
        windows=work.calendars.get(environment).windows,
        flag=flag if needed else None,
        needed={key: work.flags.get(environment, key) for key in needed},
        rollouts={key: _stood(work, environment, key) for key in needed},
    )


def _stood(work: UnitOfWork, environment: str, flag_key: str) -> Sequence[tuple[datetime, Rollout]]:
    stood = (
        (each.at, replace(rollout, state=each.state, wave=each.wave))
        for rollout in work.rollouts.list(environment, flag_key=flag_key)
        for each in work.decisions.list(rollout.id, limit=_MOST_MOVES, moves_only=True)
        if each.state is not State.DRAFT and each.wave is not None
    )
    return sorted(stood, key=lambda each: each[0])
