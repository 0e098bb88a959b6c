"""Which flags have done their work and only wait to be taken out of the code."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.rollout import WATCHED, Rollout, State


class StaleReason(StrEnum):
    """Why a flag is stale."""

    #: Its rollout has completed, and it is still there.
    COMPLETED = "completed"
    #: Everybody has had the candidate for long, though the rollout has not ended.
    EVERYBODY = "everybody"
    #: Nobody has had anything but the default or stable variant for long.
    NOBODY = "nobody"
    #: No app whose metrics are read has evaluated it.
    NOT_EVALUATED = "not_evaluated"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stale:
    """One reason, and since when it holds."""

    reason: StaleReason
    since: datetime
    sentence: str


def staleness(
    flag: Flag, rollout: Rollout | None, *, evaluated: bool | None, after: timedelta, now: datetime
) -> list[Stale]:
    """Why this flag is stale; nothing when it is not.

    Args:
        flag: not archived.
        rollout: its newest.
        evaluated: whether apps evaluate it; None when nobody could be asked.
        after: how long something must hold.
        now: aware UTC time of the report.
    """
    found = [_served(flag, rollout)]
    if evaluated is False:
        sentence = "no app whose metrics are read has evaluated it since it started"
        found.append(Stale(reason=StaleReason.NOT_EVALUATED, since=flag.created_at, sentence=sentence))
    return [each for each in found if each is not None and each.since <= now - after]


def _served(flag: Flag, rollout: Rollout | None) -> Stale | None:
    if rollout is not None and rollout.state is State.COMPLETED:
        sentence = f"rollout {rollout.id!r} completed: keep {rollout.candidate!r} in the code, and archive the flag"
        return Stale(reason=StaleReason.COMPLETED, since=rollout.updated_at, sentence=sentence)
    if rollout is not None and rollout.state in WATCHED and rollout.weight == FULL_WEIGHT and rollout.wave_since:
        sentence = f"everybody has had {rollout.candidate!r}, but rollout {rollout.id!r} is {rollout.state}"
        return Stale(reason=StaleReason.EVERYBODY, since=rollout.wave_since, sentence=sentence)
    if (rollout is not None and rollout.weight) or flag.rules or flag.allow or flag.pilot:
        return None
    served = flag.default_variant if rollout is None or not flag.enabled else rollout.stable
    changed = flag.updated_at if rollout is None else max(flag.updated_at, rollout.updated_at)
    sentence = f"nobody has had anything but {served!r}"
    return Stale(reason=StaleReason.NOBODY, since=changed, sentence=sentence)
