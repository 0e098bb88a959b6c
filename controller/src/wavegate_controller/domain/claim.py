"""Who looks at a rollout, and when: one reconciler at a time, at times that do not drift."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from wavegate_controller.domain.rollout import Rollout


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One reconciler's right to look at a rollout and to write what it sees.

    Attributes:
        rollout: as it was when it was claimed.
        term: number of this claim of the rollout. Whoever claims it next has a higher one, and then this claim writes
            nothing any more, however late it comes back.
        due: when the look was due.
    """

    rollout: Rollout
    term: int
    due: datetime


def next_look(due: datetime, interval: timedelta, *, now: datetime) -> datetime:
    """The first look after now, in step with the one that was due: late looks shift no later one, missed ones are one.

    Args:
        due: when the look was due that is taken now; in the future if somebody took it and never came back.
        interval: the plan's.
        now: aware UTC time.
    """
    return due if due > now else due + ((now - due) // interval + 1) * interval
