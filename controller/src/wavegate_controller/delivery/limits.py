"""How often each key may ask: a steady rate, and a second's worth of it at once."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

#: Keys that are remembered. The one that was silent longest is forgotten first; it may then ask as if it never had.
_MOST_KEYS: Final = 10_000


class RateLimits:
    """One limit for each key.

    Args:
        rate: requests a second; 0 for no limit.
        now: seconds on a clock that never goes back.
    """

    def __init__(self, rate: float, *, now: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._ahead = max(1.0, rate) * self._interval
        self._now = now
        #: When a key would have asked all that it did, had it asked at the steady rate.
        self._due: OrderedDict[str, float] = OrderedDict()

    def wait(self, key_id: str) -> int:
        """0 when the key may ask now, which then counts; else the whole seconds until it may."""
        if not self._interval:
            return 0
        now = self._now()
        due = max(now, self._due.get(key_id, now)) + self._interval
        if due - now > self._ahead:
            return max(1, math.ceil(due - now - self._ahead))
        self._due[key_id] = due
        self._due.move_to_end(key_id)
        if len(self._due) > _MOST_KEYS:
            self._due.popitem(last=False)
        return 0
