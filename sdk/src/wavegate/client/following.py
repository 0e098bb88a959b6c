"""When to open a stream, and when to be content with polling for a while."""

from typing import Final

from wavegate.client.clock import monotonic
from wavegate.client.worker import at_random, jittered

# Where streams do not get through they are tried again, ever more seldom: each try may cost a time-out, in which
# nobody polls.
_FIRST_PAUSE: Final = 10.0
_LONGEST_PAUSE: Final = 600.0
# Where they do, a lost one is opened again soon, at a moment of its own: after a restart all come back.
_RETRY: Final = 1.0
_LONGEST_RETRY: Final = 8.0
#: A stream that was silent for so many heartbeats is lost.
SILENT_BEATS: Final = 2.5


class Streams:
    """How the streams of one client fared so far."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._not_before = 0.0
        self._refusals = 0
        self._losses = 0
        self._opened = 0.0
        self._heartbeat = 0.0

    @property
    def are_due(self) -> bool:
        """Whether to open one now."""
        return self._wanted and monotonic() >= self._not_before

    @property
    def are_refused(self) -> bool:
        """Whether the last one did not get through, so that its failure is no news."""
        return self._refusals > 0

    def opened(self, heartbeat: float) -> None:
        """One is open."""
        self._opened = monotonic()
        self._heartbeat = heartbeat

    def heard(self) -> None:
        """Something came. What comes a heartbeat after the opening was not held back on the way."""
        if monotonic() - self._opened > self._heartbeat:
            self._refusals = self._losses = 0

    def lost(self, retry: float | None) -> float:
        """One that was open ended; the seconds after which to look again."""
        within = min((retry or _RETRY) * 2.0 ** min(self._losses, 16), _LONGEST_RETRY)
        self._losses += 1
        return at_random(within)

    def refused(self, retry_after: float | None = None) -> None:
        """One did not get through, or was silent: poll for a while."""
        pause = min(_FIRST_PAUSE * 2.0 ** min(self._refusals, 16), _LONGEST_PAUSE)
        self._refusals += 1
        self._not_before = monotonic() + jittered(max(pause, retry_after or 0.0))

    def after_fork(self) -> None:
        """In a forked child: none is open, and none failed."""
        self._not_before = 0.0
        self._refusals = self._losses = 0
