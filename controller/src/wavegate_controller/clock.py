"""The wall clock: the only place in the controller that reads it."""

from datetime import UTC, datetime


class SystemClock:
    """Fulfils `ports.Clock`."""

    def now(self) -> datetime:
        """Aware UTC time."""
        return datetime.now(UTC)
