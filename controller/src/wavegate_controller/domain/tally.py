"""Counters of looks that are known beforehand, in one pass over their samples: what `counts.advance` gives at each.

A replay looks hundreds of thousands of times. To read a window of each series again at each look would take most of its
time; here a sample is touched once, and a look costs as much as there is that it counted.
"""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from wavegate_controller.domain.counts import series_key
from wavegate_controller.domain.measurement import Series

_NEVER: Final = -math.inf


class Gap(NamedTuple):
    """A sample that came after so long a silence that a reader may have forgotten, or never seen, the one before.

    Attributes:
        series: its number.
        before: time of the sample before, in Unix seconds; minus infinity for the first of all.
        more: what is to be added where the one before is not known, since the counter then starts from 0.
    """

    series: int
    before: float
    more: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A series that begins or ceases to lie in a window before the look."""

    series: int
    there: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Some looks that follow each other.

    Attributes:
        first: number of the first one.
        added: labels of series that were not seen before, each with its number.
        gained: for each look, what each series counted since the look before; those that counted nothing are left out.
        newest: for each look, time of the newest sample since the look before; minus infinity without one.
        gaps: look to the silences that ended since the look before.
        usual: look to the changes of what lies in the window of a look that follows another.
        long: as above, of a look that is the first of a rollout.
        samples: how many were read.
    """

    first: int
    added: Mapping[int, Mapping[str, str]]
    gained: Sequence[Mapping[int, float]]
    newest: Sequence[float]
    gaps: Mapping[int, Sequence[Gap]]
    usual: Mapping[int, Sequence[Change]]
    long: Mapping[int, Sequence[Change]]
    samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Up to where was counted.

    Attributes:
        since: time of the first look of the rollout, in Unix seconds.
        read: time of the last look that could be counted.
        newest: time of the newest sample since then; None where there was none.
    """

    since: float
    read: float
    newest: float | None


@dataclass(slots=True)
class _Window:
    """Which series have a sample in it.

    Attributes:
        lows: where it begins, for each look.
    """

    lows: Sequence[float]
    there: set[int]
    changes: defaultdict[int, list[Change]] = field(default_factory=lambda: defaultdict(list))

    def silence(self, series: int, before: float, look: int, first: int) -> None:
        """No sample after the one before, until this look."""
        gone = bisect_left(self.lows, before)
        if series in self.there and gone < look:
            self.there.discard(series)
            self.changes[first + gone].append(Change(series=series, there=False))

    def sample(self, series: int, look: int, first: int) -> None:
        """A sample after a silence."""
        if series not in self.there:
            self.there.add(series)
            self.changes[first + look].append(Change(series=series, there=True))


@dataclass(slots=True)
class _Counting:
    """What a tally is made of, series by series."""

    looks: Sequence[float]
    first: int
    before: float
    patience: float
    usual: _Window
    long: _Window
    gained: list[dict[int, float]] = field(init=False)
    newest: list[float] = field(init=False)
    gaps: defaultdict[int, list[Gap]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.gained = [{} for _ in self.looks]
        self.newest = [_NEVER] * len(self.looks)

    def follow(
        self, number: int, last: tuple[float, float], samples: Sequence[tuple[float, float]]
    ) -> tuple[float, float]:
        """One series from its last sample on; the new last one. Plain and long: it is done for each sample there is."""
        looks, patience = self.looks, self.patience
        at, value = last
        if samples:
            for window in (self.usual, self.long):
                window.sample(number, bisect_left(looks, samples[0][0]), self.first)
        look, top, total = 0, looks[0], 0.0
        for sampled_at, sample in samples:
            if sampled_at > top:
                self._close(number, look, total, at)
                look, total = look + 1, 0.0
                if sampled_at > looks[look]:
                    look = bisect_left(looks, sampled_at, look)
                top = looks[look]
            if sampled_at - at > patience:
                self._resume(number, look, (at, value), (sampled_at, sample))
            if sample != value:
                total += sample - value if sample > value else sample
            at, value = sampled_at, sample
        self._close(number, look, total, at)
        return at, value

    def _close(self, number: int, look: int, total: float, at: float) -> None:
        if total:
            self.gained[look][number] = total
        if self.before < at > self.newest[look]:
            self.newest[look] = at

    def _resume(self, number: int, look: int, before: tuple[float, float], now: tuple[float, float]) -> None:
        """A sample after so long a time that the one before may lie in no window any more."""
        for window in (self.usual, self.long):
            window.silence(number, before[0], look, self.first)
            window.sample(number, look, self.first)
        reset = now[1] < before[1]
        self.gaps[self.first + look].append(Gap(number, before[0], 0.0 if reset else before[1]))


class Tallying:
    """Takes samples piece by piece, in the order of time."""

    def __init__(self, *, overlap: float, first_look: float) -> None:
        """Nothing was seen yet.

        Args:
            overlap: how far before the look before it a look reaches back, in seconds.
            first_look: how far a look does that is the first of a rollout.
        """
        self._overlap = overlap
        self._first_look = first_look
        self._numbers: dict[int, int] = {}
        self._added: dict[int, Mapping[str, str]] = {}
        self._last: dict[int, tuple[float, float]] = {}
        self._usual: set[int] = set()
        self._long: set[int] = set()

    def remember(self, series: Iterable[Series]) -> None:
        """What lies so far behind the first look that only each last sample matters, where a rollout goes on."""
        for each in series:
            self._last[self._number(each.labels)] = each.samples[-1]

    def take(self, series: Iterable[Series], looks: Sequence[float], *, first: int, before: float) -> Tally:
        """The tally of these looks.

        Args:
            series: all samples after those that were taken before, up to the last of these looks; some may come again.
            looks: their times in Unix seconds.
            first: number of the first of them.
            before: time of the look before it.
        """
        counting = _Counting(
            looks=looks,
            first=first,
            before=before,
            patience=self._overlap,
            usual=_Window([each - self._overlap for each in (before, *looks[:-1])], self._usual),
            long=_Window([each - self._first_look for each in looks], self._long),
        )
        samples = 0
        for each in series:
            number = self._number(each.labels)
            last = self._last.get(number, (_NEVER, 0.0))
            self._last[number] = counting.follow(number, last, _after(last[0], each.samples))
            samples += len(each.samples)
        for window in (counting.usual, counting.long):
            for number in tuple(window.there):
                window.silence(number, self._last[number][0], len(looks), first)
        added, self._added = self._added, {}
        return Tally(
            first=first,
            added=added,
            gained=counting.gained,
            newest=counting.newest,
            gaps=dict(counting.gaps),
            usual=dict(counting.usual.changes),
            long=dict(counting.long.changes),
            samples=samples,
        )

    def _number(self, labels: Mapping[str, str]) -> int:
        place = series_key(labels)
        number = self._numbers.get(place)
        if number is None:
            number = self._numbers[place] = len(self._numbers)
            self._added[number] = labels
        return number


def _after(at: float, samples: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    if not samples or samples[0][0] > at:
        return samples
    return samples[bisect_right(samples, (at, math.inf)) :]
