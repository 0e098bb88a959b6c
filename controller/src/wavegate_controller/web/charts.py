"""From measurements to the geometry of a chart: pure, no markup.

Across, everything is in percent of the plot's width, so that the page may stretch it; down, in pixels of HEIGHT.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median_low
from typing import Final

from wavegate_controller.domain.gates import ComparedGate, ErrorRateGate, ThresholdGate
from wavegate_controller.domain.measurement import ArmCounts, Broken, Counts, Measurement, NoData, Value
from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.transitions import Event

#: How far back a chart reaches at the least.
LOOKBACK: Final = timedelta(minutes=5)
#: Height of the plot in pixels.
HEIGHT: Final = 132
_BINS: Final = (2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_TICKS: Final = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 172800, 604800)
_MOST_TICKS: Final = 5
_MOST_BINS: Final = 40
_FEWEST_BINS: Final = 8
#: So many requests of the candidate a bin should have, since a rate of three says nothing.
_ENOUGH_REQUESTS: Final = 10
#: An error rate's axis never shows less than this, so that noise around nothing looks like nothing.
_SMALLEST_RATE_AXIS: Final = 0.05
#: Labels nearer to each other than this would overlap.
_LABEL_WIDTH: Final = 17.0
_LANES: Final = 3
#: Of a normal distribution: the intervals that are drawn hold the true rate in 95 of 100 cases, each for itself.
_TWO_SIDED: Final = 1.96
#: Evidence is drawn between these powers of ten, the second one beyond its limit: further says no more.
_WEAKEST, _BEYOND = -2.0, 1.0
#: Looks may be this many intervals apart before the time between them counts as not looked at.
_LATE: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The time a chart covers."""

    start: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        """Percent of the width, kept inside."""
        return round(min(max(100 * ((at - self.start) / (self.end - self.start)), 0.0), 100.0), 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One measured number.

    Attributes:
        at: when, and `value` what was measured, in the chart's unit.
        low: where the true number is at least, with 95 % confidence; None where that is not known.
        high: where it is at most.
    """

    x: float
    y: float
    title: str
    at: datetime
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One series.

    Attributes:
        role: `candidate`, `stable` or `value`; chooses colour and dash.
        paths: SVG path data, one for each stretch without a gap.
        stretches: the points between two gaps.
    """

    role: str
    name: str
    paths: tuple[str, ...]
    stretches: tuple[tuple[Point, ...], ...]

    @property
    def points(self) -> tuple[Point, ...]:
        """All of them, so that a lonely one is seen too."""
        return tuple(point for stretch in self.stretches for point in stretch)


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """A time in which nothing was measured, and why."""

    begin: datetime
    end: datetime
    x: float
    width: float
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """Something that happened.

    Attributes:
        lane: row of its label, so that neighbours do not overlap.
        tone: `good`, `bad` or `calm`.
    """

    at: datetime
    x: float
    label: str
    lane: int
    tone: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """The line that must not be crossed, and the area behind it.

    Attributes:
        value: where it is, in the chart's unit.
        above: whether the area is above it.
    """

    value: float
    above: bool
    y: float
    label: str
    area_y: float
    area_height: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """All that is drawn.

    Attributes:
        window: the time that it covers, and `low` to `high` the numbers.
        is_logarithmic: whether the numbers are powers of ten of what is meant.
        unit: what the numbers on the left are.
        summary: the chart in words, for who does not see it.
    """

    window: Window
    low: float
    high: float
    unit: str
    lines: tuple[Line, ...]
    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]
    limit: Limit | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    summary: str
    is_logarithmic: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bin:
    middle: datetime
    candidate: ArmCounts
    stable: ArmCounts


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scale:
    low: float
    high: float

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(HEIGHT * (1 - min(max(share, 0.0), 1.0)), 2)


def error_rate_chart(
    gate: ErrorRateGate,
    measurements: Sequence[Measurement],
    *,
    window: Window,
    interval: timedelta,
    marks: Sequence[Mark] = (),
    candidate: str = "candidate",
    stable: str = "stable",
) -> Chart:
    """Share of bad outcomes of the candidate beside stable, in bins of time."""
    step = _bin_step(measurements, window, interval)
    bins = _bins(measurements, window, step)
    bands = _bands(measurements, window, interval=interval, quiet=step)
    rates = [each.bad / each.requests for one in bins for each in (one.candidate, one.stable) if each.requests]
    scale = _Scale(low=0, high=_round_up(max([*rates, _SMALLEST_RATE_AXIS]) * 1.15))
    arms: tuple[tuple[str, str, Callable[[_Bin], ArmCounts]], ...] = (
        ("stable", stable, lambda each: each.stable),
        ("candidate", candidate, lambda each: each.candidate),
    )
    return Chart(
        window=window,
        low=100 * scale.low,
        high=100 * scale.high,
        unit=f"% of requests that went wrong, in steps of {step.total_seconds():g} s",
        lines=tuple(_line(role, name, _rate_points(bins, arm, name, window, scale, bands)) for role, name, arm in arms),
        bands=bands,
        marks=tuple(marks),
        limit=_limit(gate.ceiling, f"ceiling {gate.ceiling * 100:g} %", scale, above=True, unit=100)
        if gate.ceiling is not None and gate.ceiling <= scale.high
        else None,
        x_ticks=_time_ticks(window),
        y_ticks=tuple(Tick(at=scale.y(value), label=f"{value * 100:g}") for value in _steps(scale)),
        summary="; ".join(
            f"{name} {_share(sum((arm(each) for each in bins), ArmCounts()))}" for _, name, arm in reversed(arms)
        ),
    )


def threshold_chart(
    gate: ThresholdGate,
    measurements: Sequence[Measurement],
    *,
    window: Window,
    interval: timedelta,
    marks: Sequence[Mark] = (),
) -> Chart:
    """Each look's value and the limit, the breach area shaded."""
    inside = [each for each in measurements if window.start <= each.at <= window.end]
    values = [each.answer.value for each in inside if isinstance(each.answer, Value)]
    shown = [*values, gate.limit, 0.0]
    scale = _Scale(low=-_round_up(-min(shown) * 1.15) or 0.0, high=_round_up(max(shown) * 1.25) or 1.0)
    points: list[Point | None] = []
    for before, each in zip([None, *inside], inside, strict=False):
        if before is not None and each.at - before.at > _LATE * interval:
            points.append(None)
        match each.answer:
            case Value(value=value):
                title = f"{value:.4g} at {each.at:%H:%M:%S}"
                points.append(Point(x=window.x(each.at), y=scale.y(value), title=title, at=each.at, value=value))
            case _:
                points.append(None)
    newest = f"newest value {values[-1]:.4g}" if values else "no value"
    return Chart(
        window=window,
        low=scale.low,
        high=scale.high,
        unit=gate.name,
        lines=(_line("value", gate.name, points),),
        bands=_bands(inside, window, interval=interval, quiet=interval),
        marks=tuple(marks),
        limit=_limit(gate.limit, f"limit {gate.limit:g}", scale, above=gate.operator.wants_low),
        x_ticks=_time_ticks(window),
        y_ticks=tuple(Tick(at=scale.y(value), label=f"{value:.4g}") for value in _steps(scale)),
        summary=f"{newest}, must stay {gate.operator} {gate.limit:g}; {len(values)} values",
    )


def evidence_chart(
    gate: ComparedGate,
    decisions: Sequence[DecisionRecord],
    *,
    window: Window,
    interval: timedelta,
    marks: Sequence[Mark] = (),
) -> Chart | None:
    """The evidence that the candidate is worse, as each look found it, and where it would stop the rollout.

    Args:
        gate: that compares.
        decisions: newest first, with the verdicts that they were made on.
        window: of the chart.
        interval: between two looks.
        marks: what happened.
    """
    found = [
        (record.at, verdict["figures"]["regression"], verdict["limit"])
        for record in reversed(decisions)
        for verdict in record.verdicts
        if verdict["gate"] == gate.name and verdict["limit"] and "regression" in verdict["figures"]
    ]
    if not found:
        return None
    _, newest, limit = found[-1]
    scale = _Scale(low=_WEAKEST, high=math.log10(limit) + _BEYOND)
    points: list[Point | None] = []
    before: datetime | None = None
    for at, evidence, _ in found:
        if before is not None and at - before > _LATE * interval:
            points.append(None)
        before, power = at, min(max(math.log10(max(evidence, 10**_WEAKEST)), scale.low), scale.high)
        points.append(
            Point(x=window.x(at), y=scale.y(power), title=f"{evidence:.3g} : 1 at {at:%H:%M:%S}", at=at, value=power)
        )
    return Chart(
        window=window,
        low=scale.low,
        high=scale.high,
        unit="evidence of harm, to 1 (logarithmic)",
        lines=(_line("value", "evidence", points),),
        bands=(),
        marks=tuple(marks),
        limit=_limit(math.log10(limit), f"breach at {limit:g} : 1", scale, above=True),
        x_ticks=_time_ticks(window),
        y_ticks=tuple(Tick(at=scale.y(power), label=f"{10**power:g}") for power in (scale.low, 0.0, math.log10(limit))),
        summary=f"evidence of harm {newest:.3g} to 1, breach at {limit:g} to 1; {len(found)} looks",
        is_logarithmic=True,
    )


def marks(decisions: Iterable[DecisionRecord], window: Window) -> tuple[Mark, ...]:
    """Moves as vertical lines, oldest first; a hold is none.

    Args:
        decisions: newest first.
        window: of the chart.
    """
    placed: list[Mark] = []
    for record in reversed(list(decisions)):
        if record.event is Event.TICK or not window.start <= record.at <= window.end:
            continue
        mark = _mark(record, window)
        near = {each.lane for each in placed if mark.x - each.x < _LABEL_WIDTH}
        placed.append(replace(mark, lane=next((lane for lane in range(_LANES) if lane not in near), 0)))
    return tuple(placed)


def window_of(*, since: datetime, until: datetime, started_at: datetime | None) -> Window:
    """From `since`, or from the start of a young rollout, so that its first minute is not a sliver at the edge."""
    shortest = until - timedelta(minutes=1)
    begin = since if started_at is None else max(since, started_at - timedelta(seconds=2))
    return Window(start=min(begin, shortest), end=until)


def _mark(record: DecisionRecord, window: Window) -> Mark:
    share = f"{percent(record.weight):g} %"
    label, tone = {
        Event.START: (f"start {share}", "good"),
        Event.UNDO: (f"undone, {share}", "calm"),
        Event.RESTORE: (f"drill over, {share}", "calm"),
        Event.RESTART: (f"restart {share}", "good"),
        Event.PROMOTE: (f"to {share}", "good"),
        Event.APPROVE: (f"approved, {share}", "good"),
        Event.COMPLETE: ("completed", "good"),
        Event.STEP_BACK: (f"back to {share}", "bad"),
        Event.ROLL_BACK: ("rolled back", "bad"),
        Event.CANCEL: ("cancelled", "bad"),
        Event.REJECT: ("rejected", "bad"),
        Event.PAUSE: ("paused", "calm"),
        Event.RESUME: ("resumed", "calm"),
        Event.AWAIT_APPROVAL: ("asks approval", "calm"),
        Event.TICK: ("held", "calm"),
        Event.SIGN: ("signed", "calm"),
        Event.BAKE: ("final bake", "good"),
        Event.PIN: (f"pinned, {share}", "calm"),
        Event.UNPIN: ("unpinned", "calm"),
        Event.ALERT: ("breach under a pin", "bad"),
        Event.REARM: ("enabled, bakes anew", "calm"),
        Event.DRY_RUN: (f"dry run: would {(record.would or Event.TICK).replace('_', ' ')}", "calm"),
    }[record.event]
    return Mark(at=record.at, x=window.x(record.at), label=label, lane=0, tone=tone)


def _bin_step(measurements: Sequence[Measurement], window: Window, interval: timedelta) -> timedelta:
    """At least two looks and two scrapes long, and long enough for a few requests of the candidate."""
    counted = [(each.at, each.answer) for each in measurements if isinstance(each.answer, Counts)]
    scraped = sorted({answer.newest_sample_at for _, answer in counted if answer.newest_sample_at is not None})
    scrapes = [after - before for before, after in pairwise(scraped)]
    length = window.end - window.start
    wanted = max(length / _MOST_BINS, 2 * interval, 2 * median_low(scrapes) if scrapes else interval)
    requests = sum(answer.candidate.requests for _, answer in counted)
    if requests:
        enough = (counted[-1][0] - counted[0][0] + interval) * _ENOUGH_REQUESTS / requests
        wanted = max(wanted, min(enough, length / _FEWEST_BINS))
    return timedelta(seconds=next((each for each in _BINS if each >= wanted.total_seconds()), _BINS[-1]))


def _bins(measurements: Sequence[Measurement], window: Window, step: timedelta) -> list[_Bin]:
    """Bins hang on round times, not on the window, so that a chart slides without its shape changing."""
    width = step.total_seconds()
    counted: dict[int, _Bin] = {}
    for each in measurements:
        if not isinstance(each.answer, Counts) or not window.start <= each.at <= window.end:
            continue
        index = math.floor(each.at.timestamp() / width)
        so_far = counted.get(index) or _empty_bin(index, width)
        counted[index] = replace(
            so_far, candidate=so_far.candidate + each.answer.candidate, stable=so_far.stable + each.answer.stable
        )
    if not counted:
        return []
    bins = [counted.get(index) or _empty_bin(index, width) for index in range(min(counted), max(counted) + 1)]
    if len(bins) > 1 and bins[-1].middle + step / 2 > window.end:
        # A bin that has only begun would jump about with its few requests.
        last = bins.pop()
        bins[-1] = replace(
            bins[-1], candidate=bins[-1].candidate + last.candidate, stable=bins[-1].stable + last.stable
        )
    return bins


def _empty_bin(index: int, width: float) -> _Bin:
    middle = datetime.fromtimestamp((index + 0.5) * width, UTC)
    return _Bin(middle=middle, candidate=ArmCounts(), stable=ArmCounts())


def _rate_points(
    bins: Sequence[_Bin],
    arm: Callable[[_Bin], ArmCounts],
    name: str,
    window: Window,
    scale: _Scale,
    bands: Sequence[Band],
) -> list[Point | None]:
    """An empty bin between two scrapes is bridged; a time in which nothing was measured never is, however short."""
    points: list[Point | None] = []
    bridge = 2.5 * (window.x(bins[1].middle) - window.x(bins[0].middle)) if len(bins) > 1 else 0.0
    for each in bins:
        counts = arm(each)
        if not counts.requests:
            continue
        x = window.x(each.middle)
        before = points[-1].x if points and points[-1] else x
        if x - before > bridge or any(band.x < x and band.x + band.width > before for band in bands):
            points.append(None)
        title = f"{name}: {_share(counts)} around {each.middle:%H:%M:%S}"
        rate = counts.bad / counts.requests
        low, high = _wilson(counts.bad, counts.requests)
        points.append(
            Point(x=x, y=scale.y(rate), title=title, at=each.middle, value=100 * rate, low=100 * low, high=100 * high)
        )
    return points


def _wilson(bad: int, requests: int) -> tuple[float, float]:
    """An interval for a share; see https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval."""
    square = _TWO_SIDED**2
    middle = (bad + square / 2) / (requests + square)
    half = _TWO_SIDED / (requests + square) * math.sqrt(bad * (requests - bad) / requests + square / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def _line(role: str, name: str, points: Sequence[Point | None]) -> Line:
    stretches: list[list[Point]] = [[]]
    for point in points:
        if point is None:
            stretches.append([])
        else:
            stretches[-1].append(point)
    return Line(
        role=role,
        name=name,
        paths=tuple(
            "M" + " L".join(f"{point.x:g} {point.y:g}" for point in stretch)
            for stretch in stretches
            if len(stretch) > 1
        ),
        stretches=tuple(tuple(stretch) for stretch in stretches if stretch),
    )


def _bands(
    measurements: Sequence[Measurement], window: Window, *, interval: timedelta, quiet: timedelta
) -> tuple[Band, ...]:
    """Where nothing was measured: each look speaks for the time since the one before it.

    Requests that are only missing for less than two steps are no gap: scrapes come more seldom than looks.
    """
    stretches: list[tuple[datetime, datetime, str]] = []
    before: Measurement | None = None
    for each in measurements:
        begin = each.at - interval if before is None else before.at
        if before is not None and each.at - before.at > _LATE * interval:
            stretches.append((before.at, each.at - interval, "not looked"))
            begin = each.at - interval
        reason = _gap(each)
        if reason and stretches and stretches[-1][1:] == (begin, reason):
            stretches[-1] = (stretches[-1][0], each.at, reason)
        elif reason:
            stretches.append((begin, each.at, reason))
        before = each
    if before is not None and window.end - before.at > _LATE * interval:
        stretches.append((before.at, window.end, "not looked"))
    return tuple(
        Band(begin=begin, end=end, x=window.x(begin), width=round(window.x(end) - window.x(begin), 3), label=reason)
        for begin, end, reason in stretches
        if end > window.start and begin < window.end and (reason != _NO_REQUESTS or end - begin >= 2 * quiet)
    )


_NO_REQUESTS: Final = "no requests"


def _gap(measurement: Measurement) -> str | None:
    match measurement.answer:
        case Broken(reason=reason):
            return f"cannot measure: {reason.replace('_', ' ')}"
        case NoData(reason=reason):
            return f"no data: {reason.replace('_', ' ')}"
        case Counts(candidate=candidate, stable=stable) if not candidate.requests and not stable.requests:
            return _NO_REQUESTS
        case _:
            return None


def _limit(value: float, label: str, scale: _Scale, *, above: bool, unit: float = 1) -> Limit:
    y = scale.y(value)
    return Limit(
        value=unit * value,
        above=above,
        y=y,
        label=label,
        area_y=0 if above else y,
        area_height=y if above else round(HEIGHT - y, 2),
    )


def _time_ticks(window: Window) -> tuple[Tick, ...]:
    length = (window.end - window.start).total_seconds()
    step = next((each for each in _TICKS if length / each <= _MOST_TICKS), _TICKS[-1])
    pattern = "%H:%M:%S" if step < 60 else "%H:%M" if length < 86400 else "%d %b %H:%M"  # noqa: PLR2004
    first = math.ceil(window.start.timestamp() / step) * step
    times = (datetime.fromtimestamp(first + step * index, UTC) for index in range(_MOST_TICKS + 1))
    return tuple(Tick(at=window.x(at), label=f"{at:{pattern}}") for at in times if at <= window.end)


def _steps(scale: _Scale) -> tuple[float, ...]:
    return tuple(dict.fromkeys((scale.low, (scale.low + scale.high) / 2, scale.high)))


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5 or 10 times a power of ten; 0 for what is not positive."""
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 10, 20) if step * power >= value)


def _share(counts: ArmCounts) -> str:
    return f"{counts.bad / counts.requests:.1%} of {counts.requests}" if counts.requests else "no requests"
