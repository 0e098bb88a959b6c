"""A metrics server as it would have answered in the past, asked for much at once and little at a time.

What cannot be had now is no outage of then: it is raised, and ends the replay.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from wavegate_controller.domain.counts import CounterSelector
from wavegate_controller.domain.errors import HistoryLost
from wavegate_controller.domain.foresight.relabelling import Relabel
from wavegate_controller.domain.measurement import Answer, Broken, BrokenReason, Series
from wavegate_controller.ports import MetricHistory
from wavegate_controller.providers import response
from wavegate_controller.providers.response import Data

#: Time that is fetched at once, to begin with; what turns out to be too much is halved, what is little doubled.
_CHUNK: Final = timedelta(hours=1)
_LONGEST: Final = timedelta(hours=24)
_SHORTEST: Final = timedelta(minutes=1)
#: Samples of a chunk below which the next one may be longer.
_FEW_SAMPLES: Final = 100_000
#: Points that a server gives of one series.
_MOST_POINTS: Final = 10_000
#: Looks whose counters are read reach back behind the one before; so do chunks.
_BEHIND: Final = timedelta(minutes=6)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Chunk:
    """Raw samples of a time."""

    begin: datetime
    end: datetime
    series: tuple[tuple[Mapping[str, str], tuple[float, ...], tuple[tuple[float, float], ...]], ...]


@dataclass(slots=True)
class _Values:
    """A query's answers at the times of looks: index of the look to what it gave."""

    begin: int
    end: int
    answers: dict[int, list[tuple[Mapping[str, str], float]]] = field(default_factory=dict)


class Past:
    """The past of a server, for looks at `start` and every `step` after it; a `ports.MetricProvider`."""

    notice = None

    def __init__(
        self, history: MetricHistory, *, start: datetime, end: datetime, step: timedelta, relabel: Relabel | None = None
    ) -> None:
        """Nothing is asked yet."""
        self._history = history
        self._start = start
        self._end = end
        self._step = step
        self._relabel = relabel
        self._span = _CHUNK
        self._chunk: _Chunk | None = None
        self._values: dict[str, _Values] = {}
        self._asked: dict[str, int] = {}
        self._rules: dict[str, Broken | None] = {}

    def query(self, promql: str, *, at: datetime) -> Answer:
        """One number at one time."""
        index, off = divmod(at - self._start, self._step)
        # A query that changes with each look is asked by itself; one that comes again will come more often.
        again = self._asked.get(promql) in (index - 1, index)
        self._asked = {key: asked for key, asked in self._asked.items() if asked >= index - 1} | {promql: index}
        if off or not again:
            found = self._history.vector(promql, at=at)
            if isinstance(found, Broken):
                return self._then(found)
            return _number([(each.labels, each.value) for each in found], at=at)
        known = self._values.get(promql)
        if known is None or not known.begin <= index <= known.end:
            known = self._fetch(promql, index)
        return _number(known.answers.get(index, []), at=at)

    def check(self, promql: str) -> Broken | None:
        """As the server says now."""
        return self._history.check(promql)

    def alert_rule(self, name: str) -> Broken | None:
        """As the server says now: of its rules it remembers nothing."""
        if name not in self._rules:
            self._rules[name] = self._history.alert_rule(name)
        return self._rules[name]

    def samples(self, selector: CounterSelector, *, at: datetime, lookback: timedelta) -> tuple[Series, ...] | Broken:
        """Raw samples, as they would have been there at that time."""
        chunk = self._chunk
        if chunk is None or not (chunk.begin <= at - lookback and at <= chunk.end):
            chunk = self._chunk = self._load(selector, at, lookback)
        first, last = (at - lookback).timestamp(), at.timestamp()
        answer = []
        for labels, times, samples in chunk.series:
            begin, end = bisect_right(times, first), bisect_right(times, last)
            if begin < end:
                answer.append(Series(labels=labels, samples=samples[begin:end]))
        return tuple(answer)

    def _load(self, selector: CounterSelector, at: datetime, lookback: timedelta) -> _Chunk:
        while True:
            begin = at - max(lookback, _BEHIND)
            end = max(min(at + self._span, self._end), at)
            series = self._history.samples(selector, at=end, lookback=end - begin)
            if not isinstance(series, Broken):
                break
            if series.reason is not BrokenReason.TOO_LARGE or self._span <= _SHORTEST:
                raise HistoryLost(f"{begin:%Y-%m-%d %H:%M} UTC: {series.detail}")
            self._span /= 2
        if sum(len(each.samples) for each in series) < _FEW_SAMPLES:
            self._span = min(2 * self._span, _LONGEST)
        kept = []
        for each in series:
            labels = each.labels if self._relabel is None else self._relabel(each.labels)
            if labels is not None:
                kept.append((labels, tuple(sampled_at for sampled_at, _ in each.samples), each.samples))
        return _Chunk(begin=begin, end=end, series=tuple(kept))

    def _fetch(self, promql: str, index: int) -> _Values:
        points = _MOST_POINTS
        while True:
            begin = self._start + index * self._step
            end = min(begin + (points - 1) * self._step, max(self._end, begin))
            series = self._history.values(promql, start=begin, end=end, step=self._step)
            if not isinstance(series, Broken):
                break
            if series.reason is not BrokenReason.TOO_LARGE or points == 1:
                return self._by_itself(promql, index, series)
            points //= 4
        values = _Values(index, index + (end - begin) // self._step)
        for each in series:
            for sampled_at, value in each.samples:
                place = index + round((sampled_at - begin.timestamp()) / self._step.total_seconds())
                values.answers.setdefault(place, []).append((each.labels, value))
        self._values = {key: known for key, known in self._values.items() if known.end >= index} | {promql: values}
        return values

    def _by_itself(self, promql: str, index: int, broken: Broken) -> _Values:
        """What a server does not evaluate over a time, such as two series that meet in it, it may at one."""
        at = self._start + index * self._step
        found = self._history.vector(promql, at=at)
        if isinstance(found, Broken):
            raise HistoryLost(f"{at:%Y-%m-%d %H:%M} UTC: {broken.detail}")
        return _Values(index, index, {index: [(each.labels, each.value) for each in found]})

    def _then(self, broken: Broken) -> Answer:
        """A query that cannot be evaluated on the data of then was so then, too; a server that is away now was not."""
        if broken.reason is BrokenReason.QUERY_REJECTED:
            return broken
        raise HistoryLost(broken.detail)


def _number(found: list[tuple[Mapping[str, str], float]], *, at: datetime) -> Answer:
    """As the server's answer at that time would have been read."""
    time = at.astimezone(UTC).timestamp()
    result = [{"metric": labels, "value": [time, repr(value)]} for labels, value in found]
    return response.number(Data(kind="vector", result=result), at=at)
