"""Counting for a replay: what `counting.read` would give at each look, from counters that were tallied beforehand."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from wavegate_controller.domain.counts import (
    REMEMBERED,
    VALUE_METRIC,
    CounterKey,
    CounterSelector,
    Increments,
    Needs,
    counter_key,
)
from wavegate_controller.domain.measurement import Broken, Cursor, Series
from wavegate_controller.domain.tally import Change, Gap, Place, Tally
from wavegate_controller.ports import Past
from wavegate_controller.service.counting import FIRST_LOOK, Counted, unfit

_NEVER: Final = float("-inf")
_Known = tuple[CounterKey, Series]


@dataclass(slots=True)
class _Waiting:
    """What was gained at looks whose counters could not be counted: the next that can counts all of it."""

    gained: dict[int, float] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    seen: frozenset[int] = frozenset()


class Recounting:
    """Looks at the counters of one flag, look after look."""

    def __init__(self, past: Past, flag: str, needs: Needs, *, elsewhere: frozenset[str] = frozenset()) -> None:
        """Nothing is counted yet.

        Args:
            past: the counters.
            flag: whose.
            needs: which of them.
            elsewhere: other environments, whose counts are left out.
        """
        self._past = past
        self._flag = flag
        self._needs = needs
        self._selector = CounterSelector(flags=(flag,), needs=needs)
        self._elsewhere = elsewhere
        self._series: dict[int, _Known | None] = {}
        self._tally: Tally | None = None
        self._look = 0
        self._usual: frozenset[int] = frozenset()
        self._long: frozenset[int] = frozenset()
        self._newest = _NEVER
        self._waiting: _Waiting | None = None
        self._unfit: dict[frozenset[int], Broken | None] = {}

    def read(self, place: Place | None, look: int, *, at: datetime) -> tuple[Counted | Broken, Place | None]:
        """What was counted since the place, and the place after it; without one this look is the starting line.

        Raises:
            HistoryLost: the past could not be had any further.
        """
        while self._look < look:
            self._pass()  # nobody looked at it
        gained, gaps = self._pass()
        now = round(at.timestamp(), 3)
        if place is None:
            self._waiting = None
            if broken := self._broken(self._long):
                return broken, None
            newest = self._newest if self._newest > now - FIRST_LOOK.total_seconds() else None
            return _counted({}, newest, at), Place(since=now, read=now, newest=newest)
        seen = self._usual
        if self._waiting is not None:
            gained = _sum(self._waiting.gained, gained)
            gaps = [*self._waiting.gaps, *gaps]
            seen |= self._waiting.seen
        newest = place.newest
        if self._newest > place.since and (newest is None or self._newest > newest):
            newest = self._newest
        if broken := self._broken(seen):
            self._waiting = _Waiting(gained=dict(gained), gaps=list(gaps), seen=seen)
            return broken, place
        self._waiting = None
        remembered = place.read - REMEMBERED.total_seconds()
        if newest is not None and newest <= remembered:
            newest = None
        forgotten = max(place.since - FIRST_LOOK.total_seconds(), remembered)
        if gaps:
            unknown = {each.series: each.more for each in gaps if _NEVER < each.before <= forgotten}
            gained = _sum(gained, unknown)
        return _counted(self._amounts(gained), newest, at), Place(since=place.since, read=now, newest=newest)

    def _pass(self) -> tuple[Mapping[int, float], Iterable[Gap]]:
        """The next look: what was gained since the one before, and which silences ended."""
        look = self._look
        tally = self._tally
        if tally is None or look >= tally.first + len(tally.gained):
            tally = self._tally = self._past.tally(self._selector, look)
            for number, labels in tally.added.items():
                self._series[number] = self._known(labels)
        self._look += 1
        index = look - tally.first
        self._newest = max(self._newest, tally.newest[index])
        if look in tally.usual:
            self._usual = _changed(self._usual, tally.usual[look])
        if look in tally.long:
            self._long = _changed(self._long, tally.long[look])
        return tally.gained[index], tally.gaps.get(look, ())

    def _known(self, labels: Mapping[str, str]) -> _Known | None:
        if labels.get("environment") in self._elsewhere:
            return None
        part = labels if self._past.relabel is None else self._past.relabel(labels)
        return None if part is None else (counter_key(part), Series(labels=part, samples=()))

    def _broken(self, seen: frozenset[int]) -> Broken | None:
        if seen not in self._unfit:
            series = [known[1] for number in sorted(seen) if (known := self._series[number]) is not None]
            self._unfit[seen] = unfit(series, self._needs, flag=self._flag)
        return self._unfit[seen]

    def _amounts(self, gained: Mapping[int, float]) -> Mapping[CounterKey, float]:
        amounts: dict[CounterKey, float] = {}
        for number, total in gained.items():
            known = self._series[number]
            if known is not None:
                key = known[0]
                amounts[key] = amounts.get(key, 0) + (total if key.metric == VALUE_METRIC else round(total))
        return amounts


def _sum(left: Mapping[int, float], right: Mapping[int, float]) -> dict[int, float]:
    together = dict(left)
    for number, amount in right.items():
        together[number] = together.get(number, 0.0) + amount
    return together


def _changed(there: frozenset[int], changes: Iterable[Change]) -> frozenset[int]:
    now = set(there)
    for each in changes:
        (now.add if each.there else now.discard)(each.series)
    return frozenset(now)


def _counted(amounts: Mapping[CounterKey, float], newest: float | None, at: datetime) -> Counted:
    return Counted(
        increments=Increments(
            amounts=amounts, newest_sample_at=None if newest is None else datetime.fromtimestamp(newest, UTC)
        ),
        # Where it is counted from is the place that is handed on beside it.
        cursor=Cursor(read_at=at, last={}),
    )
