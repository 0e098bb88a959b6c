"""Freeze windows: when nothing may raise exposure. Wall-clock times of a named zone, right across its clock changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wavegate_controller.domain.errors import Invalid

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK: Final = timedelta(days=7)
#: How far ahead the end of windows that run into each other is looked for.
_HORIZON: Final = timedelta(days=400)


@dataclass(frozen=True, kw_only=True, slots=True)
class Weekly:
    """A moment of every week: a day, 0 for Monday, and a time of that day."""

    day: int
    at: time

    @property
    def since_monday(self) -> timedelta:
        """How long after the beginning of Monday, on a clock that is never changed."""
        return timedelta(days=self.day, hours=self.at.hour, minutes=self.at.minute)


@dataclass(frozen=True, kw_only=True, slots=True)
class FreezeWindow:
    """From one moment to another, every week or once.

    Where a clock change makes a moment happen twice or not at all, the window is the longer one of both readings.

    Attributes:
        name: what people call it; it stands in the reason of a hold.
        time_zone: IANA name, such as Europe/Berlin.
        begin: a moment of every week, or a date and time of that zone, without an offset.
        end: of the same kind; the window ends just before it.
    """

    name: str
    begin: Weekly | datetime
    end: Weekly | datetime
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise Invalid("name", "is empty", "what people call it, such as weekend")
        check_time_zone("time_zone", self.time_zone)
        if isinstance(self.begin, Weekly) != isinstance(self.end, Weekly):
            raise Invalid("to", "is not of the same kind as from", "both weekly (fri 16:00) or both dated (2026-12-20)")
        if self.begin == self.end:
            raise Invalid("to", "is the same moment as from", "a later moment")
        if isinstance(self.begin, datetime) and isinstance(self.end, datetime) and self.end < self.begin:
            raise Invalid("to", f"{self.end:%Y-%m-%d %H:%M} is before from", "a later moment")

    def until(self, now: datetime) -> datetime | None:
        """When the window that `now` is in ends, in UTC; None when `now` is in none."""
        for begin, end in self._around(now):
            starts, ends = _resolved(begin, self.time_zone, min), _resolved(end, self.time_zone, max)
            if starts <= now < ends:
                return ends
        return None

    def _around(self, now: datetime) -> list[tuple[datetime, datetime]]:
        if isinstance(self.begin, datetime) and isinstance(self.end, datetime):
            return [(self.begin, self.end)]
        assert isinstance(self.begin, Weekly) and isinstance(self.end, Weekly)  # noqa: S101, PT018 - checked above
        local = now.astimezone(ZoneInfo(self.time_zone))
        monday = datetime.combine(local.date() - timedelta(days=local.weekday()), time())
        length = (self.end.since_monday - self.begin.since_monday) % _WEEK
        begins = [monday + weeks * _WEEK + self.begin.since_monday for weeks in (-1, 0)]
        return [(begin, begin + length) for begin in begins]


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """Nothing may raise exposure now.

    Attributes:
        window: name of the window.
        until: when the last of the windows ends that run into each other.
    """

    window: str
    until: datetime

    @property
    def sentence(self) -> str:
        """What a person reads."""
        return f"freeze window {self.window!r} until {self.until:%Y-%m-%d %H:%M} UTC: nothing raises exposure before"


def frozen(windows: Sequence[FreezeWindow], now: datetime) -> Frozen | None:
    """Whether one of these windows holds, and until when, those counted along that follow without a pause."""
    end, name = now, ""
    while end - now < _HORIZON:
        later = [(until, window.name) for window in windows if (until := window.until(end)) is not None]
        if not later:
            break
        end, last = max(later)
        name = name or last
    return Frozen(window=name, until=end) if name else None


def check_time_zone(field: str, name: str) -> None:
    """Refuse what is no time zone.

    Raises:
        Invalid: naming the field.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a directory of zones is an OSError
        raise Invalid(field, f"{name!r} is no time zone", "an IANA name, such as Europe/Berlin or UTC") from None


def _resolved(local: datetime, zone: str, choose: object) -> datetime:
    """The moment of a wall-clock time; `choose` is `min` or `max` of its two readings where the clocks are changed."""
    readings = (local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1))
    return min(readings) if choose is min else max(readings)
