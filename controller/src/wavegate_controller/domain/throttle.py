"""How long somebody who guesses passwords must wait: nothing for a few failures, then twice as long each time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: Failures are forgotten after so much quiet.
FORGOTTEN_AFTER: Final = timedelta(hours=1)
_FIRST_WAIT: Final = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """What one kind of count allows.

    Attributes:
        free: failures that cost nothing.
        longest: the longest wait.
    """

    free: int
    longest: timedelta


#: One account from one address: a person who mistypes has a few tries.
PAIR: Final = Limit(free=5, longest=timedelta(minutes=15))
#: One account from anywhere: guessed at by many machines. The wait stays short, or they could lock its owner out.
ACCOUNT: Final = Limit(free=20, longest=timedelta(seconds=30))
#: One address for any account: an office behind one address mistypes more often.
ADDRESS: Final = Limit(free=50, longest=timedelta(minutes=15))


@dataclass(frozen=True, kw_only=True, slots=True)
class Failures:
    """What is remembered of one account, address, or pair."""

    key: str
    count: int
    last_at: datetime


def wait(failures: Failures | None, limit: Limit, *, now: datetime) -> timedelta:
    """How long the next attempt must wait; zero for none."""
    if failures is None or failures.count < limit.free or now - failures.last_at >= FORGOTTEN_AFTER:
        return timedelta(0)
    doublings = min(failures.count - limit.free, 30)
    return max(failures.last_at + min(_FIRST_WAIT * (1 << doublings), limit.longest) - now, timedelta(0))


def failed(failures: Failures | None, key: str, *, now: datetime) -> Failures:
    """One more."""
    is_known = failures is not None and now - failures.last_at < FORGOTTEN_AFTER
    return Failures(key=key, count=failures.count + 1 if failures and is_known else 1, last_at=now)
