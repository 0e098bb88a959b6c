"""A metrics server as it would have answered in the past, asked for much at once and little at a time.

What cannot be had now is no outage of then: it is raised, and ends the replay.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from wavegate_controller.domain.counts import CounterSelector
from wavegate_controller.domain.errors import HistoryLost
from wavegate_controller.domain.foresight.relabelling import Relabel
from wavegate_controller.domain.measurement import Answer, Broken, BrokenReason
from wavegate_controller.domain.tally import Tally
from wavegate_controller.ports import MetricHistory
from wavegate_controller.providers import response
from wavegate_controller.providers.response import Data
from wavegate_controller.providers.tallies import tallies

#: Points that a server gives of one series.
_MOST_POINTS: Final = 10_000


@dataclass(slots=True)
class _Values:
    """A query's answers at the times of looks: index of the look to what it gave."""

    begin: int
    end: int
    answers: dict[int, list[tuple[Mapping[str, str], float]]] = field(default_factory=dict)


class Past:
    """The past of a server, for looks that are known beforehand."""

    def __init__(
        self,
        history: MetricHistory,
        looks: Sequence[datetime],
        *,
        step: timedelta,
        relabel: Relabel | None = None,
        goes_on: bool = False,
    ) -> None:
        """Nothing is asked yet.

        Args:
            history: the server.
            looks: when it will be looked at, rising.
            step: time between two of them, as a rule.
            relabel: which part the counters play.
            goes_on: whether a rollout is under way at the first of them already.
        """
        self.looks = looks
        self.relabel = relabel
        self._history = history
        self._start = looks[0]
        self._end = looks[-1]
        self._step = step
        self._goes_on = goes_on
        self._tallies: Iterator[Tally] | None = None
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

    def alert_rule(self, name: str) -> Broken | None:
        """As the server says now: of its rules it remembers nothing."""
        if name not in self._rules:
            self._rules[name] = self._history.alert_rule(name)
        return self._rules[name]

    def tally(self, selector: CounterSelector, look: int) -> Tally:
        """The counters at this look and some that follow it; looks are asked for in their order.

        Raises:
            HistoryLost: the past could not be had any further.
        """
        if self._tallies is None:
            self._tallies = tallies(self._history, selector, self.looks, goes_on=self._goes_on)
        for tally in self._tallies:
            if look < tally.first + len(tally.gained):
                return tally
        raise ValueError(f"look {look} was asked for too late")

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
