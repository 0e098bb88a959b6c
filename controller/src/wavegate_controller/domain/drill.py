"""A drill of the way back: a breach that is made up goes the way that a true one would, and each step is timed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from wavegate_controller.domain.access import Kind
from wavegate_controller.domain.errors import Invalid

#: Between a flag's key and the number of a drill, in the key of the flag that stands in for it.
_MARK: Final = ".drill."
_STAND_IN: Final = re.compile(r".*\.drill\.\d+")
#: Of a flag's key, so that the whole stays a key.
_LONGEST_BEFORE: Final = 80
#: How long a drill may take before it is given up, if nobody says otherwise.
PATIENCE: Final = timedelta(minutes=1)
_LEAST_PATIENCE: Final = timedelta(seconds=5)
#: The users of a real flag are without the candidate for as long.
_MOST_PATIENCE: Final = timedelta(minutes=10)


class DrillState(StrEnum):
    """How far a drill is."""

    #: The breach is reported, and nobody has looked yet.
    INJECTED = "injected"
    #: The reconciler has rolled back, and not every client has heard of it.
    DECIDED = "decided"
    #: Everybody is off.
    PASSED = "passed"
    #: It was ended before that.
    ABORTED = "aborted"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drill:
    """How far a drill is, and how long each step took.

    Attributes:
        flag_key: of the feature whose way back is drilled.
        shadow: key of the flag that stands in for it; None where the feature itself is taken from its users.
        rollout_id: that is rolled back; empty while there is none yet.
        begun_by: who signs it.
        begun_as: how they showed who they are.
        injected_at: when the breach was reported.
        ends_by: when it is given up, whoever may have begun it.
        decided_at: when the reconciler rolled back.
        published_at: when apps were offered the revision without it.
        delivered: clients that have that revision, of so many.
        last_off_at: when the last of them had it.
        restored: whether the feature's own rollout stands again where it stood; None where it was not taken back.
        version: counts the changes; a writer must name the version it read.
    """

    flag_key: str
    environment: str
    shadow: str | None
    rollout_id: str
    begun_by: str
    begun_as: Kind
    injected_at: datetime
    ends_by: datetime
    state: DrillState = DrillState.INJECTED
    decided_at: datetime | None = None
    published_at: datetime | None = None
    delivered: int = 0
    of: int = 0
    last_off_at: datetime | None = None
    restored: bool | None = None
    version: int = 1

    @property
    def is_real(self) -> bool:
        """Whether the feature's users are without it meanwhile."""
        return self.shadow is None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in (DrillState.PASSED, DrillState.ABORTED)

    @property
    def sentence(self) -> str:
        """What is said of the breach."""
        return f"a breach that {self.begun_by} made up, to drill the way back"

    def seconds(self, at: datetime | None) -> float | None:
        """From the breach to that moment."""
        return None if at is None else (at - self.injected_at).total_seconds()


def shadow_of(flag_key: str, *, now: datetime) -> str:
    """A key that no other drill has."""
    return f"{flag_key[:_LONGEST_BEFORE]}{_MARK}{int(now.timestamp() * 1000)}"


def check_not_reserved(key: str) -> None:
    """Refuse a key that only a flag that stands in for another one has.

    Raises:
        Invalid: it is.
    """
    if _STAND_IN.fullmatch(key):
        problem = f"{key!r} is how the flags are named that stand in for another one in a drill"
        raise Invalid("key", problem, f"a key that does not end in {_MARK}NUMBER")


def check_patience(patience: timedelta) -> None:
    """Refuse a drill that would be given up at once, or would leave users without the feature for too long.

    Raises:
        Invalid: it would.
    """
    if not _LEAST_PATIENCE <= patience <= _MOST_PATIENCE:
        least, most = _LEAST_PATIENCE.total_seconds(), _MOST_PATIENCE.total_seconds()
        raise Invalid("patience", f"{patience.total_seconds():g} s is out of range", f"{least:g} to {most:g} seconds")


def timings(drill: Drill) -> Mapping[str, Any]:
    """Seconds from the breach to each step, and whom it reached."""
    return {
        "decided_seconds": drill.seconds(drill.decided_at),
        "published_seconds": drill.seconds(drill.published_at),
        "last_off_seconds": drill.seconds(drill.last_off_at),
        "delivered": drill.delivered,
        "of": drill.of,
    }
