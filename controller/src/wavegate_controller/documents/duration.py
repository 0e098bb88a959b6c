"""Durations as Prometheus writes them (https://prometheus.io/docs/prometheus/latest/querying/basics/#time-durations)."""

import re
from datetime import timedelta
from typing import Final

_UNITS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")


def parse_duration(value: object) -> timedelta:
    """A duration from "1h30m", "15s", "500ms", or from a number of seconds.

    Raises:
        ValueError: saying what would be right.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:  # noqa: PLR2004 - 31 years
        milliseconds = round(value * 1000)
        if abs(value * 1000 - milliseconds) > 1e-6:  # noqa: PLR2004 - what binary fractions leave of a decimal one
            raise ValueError("a duration in whole milliseconds")
        return timedelta(milliseconds=milliseconds)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or not match[0]:
        raise ValueError('a duration such as "15s", "10m" or "1h30m", or a number of seconds')
    parts = zip(match.groups(), _UNITS.values(), strict=True)
    try:
        return timedelta(milliseconds=sum(int(number) * unit for number, unit in parts if number))
    except (OverflowError, ValueError):
        # More days than a calendar has, or more digits than Python reads.
        raise ValueError("a shorter duration") from None


def format_duration(duration: timedelta) -> str:
    """The shortest Prometheus duration that says the same, to the millisecond."""
    left = round(duration.total_seconds() * 1000)
    parts = []
    for unit, milliseconds in _UNITS.items():
        count, left = divmod(left, milliseconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
