"""A drill of the way back: a breach that is made up goes the way that a true one would, and each step is timed."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

#: Between a flag's key and the number of a drill, in the key of the flag that stands in for it.
MARK: Final = ".drill."


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
        shadow: key of the flag that stands in for it.
        injected_at: when the breach was reported.
        decided_at: when the reconciler rolled back.
        published_at: when apps were offered the revision without it.
        delivered: clients that have that revision, of so many.
        last_off_at: when the last of them had it.
    """

    flag_key: str
    shadow: str
    state: DrillState
    injected_at: datetime
    decided_at: datetime | None = None
    published_at: datetime | None = None
    delivered: int = 0
    of: int = 0
    last_off_at: datetime | None = None

    def seconds(self, at: datetime | None) -> float | None:
        """From the breach to that moment."""
        return None if at is None else (at - self.injected_at).total_seconds()


def shadow_of(flag_key: str, *, now: datetime) -> str:
    """A key that no other drill has."""
    return f"{flag_key}{MARK}{int(now.timestamp())}"


def is_shadow(key: str, of: str) -> bool:
    """Whether that flag stands in for this one."""
    return key.startswith(f"{of}{MARK}")
