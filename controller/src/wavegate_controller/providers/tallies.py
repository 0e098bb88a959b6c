"""Raw samples of the past, fetched in chunks and counted once.

A chunk is as long as the server gives at once: what is too much is halved, what is little doubled, so memory stays
bounded however much there is.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from wavegate_controller.domain.counts import REMEMBERED, CounterSelector
from wavegate_controller.domain.errors import HistoryLost
from wavegate_controller.domain.measurement import Broken, BrokenReason, Series
from wavegate_controller.domain.tally import Tally, Tallying
from wavegate_controller.ports import MetricHistory
from wavegate_controller.service.counting import FIRST_LOOK, OVERLAP

#: Time that is fetched at once, to begin with.
_CHUNK: Final = timedelta(hours=1)
_LONGEST: Final = timedelta(hours=24)
#: Shorter than any distance of two scrapes: what is too much then is too much at a single time.
_SHORTEST: Final = timedelta(seconds=1)
#: Samples of a chunk below which the next one may be longer.
_FEW_SAMPLES: Final = 100_000


def tallies(
    history: MetricHistory, selector: CounterSelector, looks: Sequence[datetime], *, goes_on: bool = False
) -> Iterator[Tally]:
    """The counters at all of these looks, some looks at a time.

    Args:
        history: the server.
        selector: which counters.
        looks: rising.
        goes_on: whether a rollout was under way at the first of them, so that it matters what was seen before.

    Raises:
        HistoryLost: the past could not be had any further.
    """
    tallying = Tallying(overlap=OVERLAP.total_seconds(), first_look=FIRST_LOOK.total_seconds())
    times = [round(each.timestamp(), 3) for each in looks]
    begin, span, place = looks[0] - FIRST_LOOK, _CHUNK, 0
    behind = begin - REMEMBERED
    while goes_on and behind < begin:
        series, most = _between(history, selector, behind, min(behind + span, begin))
        tallying.remember(series)
        behind, span = behind + span, most or span
    while place < len(looks):
        end = max(bisect_right(looks, begin + span), place + 1)
        series, most = _between(history, selector, begin, looks[end - 1])
        if most is not None:
            span = most
        tally = tallying.take(series, times[place:end], first=place, before=round(begin.timestamp(), 3))
        yield tally
        if most is None and tally.samples < _FEW_SAMPLES:
            span = min(2 * span, _LONGEST)
        begin, place = looks[end - 1], end


def _between(
    history: MetricHistory, selector: CounterSelector, begin: datetime, end: datetime
) -> tuple[tuple[Series, ...], timedelta | None]:
    """All samples after the begin, and how much time the server gave at once where that was not all of it."""
    found = history.samples(selector, at=end, lookback=end - begin)
    if not isinstance(found, Broken):
        return found, None
    if found.reason is not BrokenReason.TOO_LARGE:
        raise HistoryLost(f"{begin:%Y-%m-%d %H:%M} UTC: {found.detail}")
    half = (end - begin) / 2
    if half < _SHORTEST:
        raise HistoryLost(
            f"{begin:%Y-%m-%d %H:%M} UTC: the server gives not even one sample of each counter at once: {found.detail}"
        )
    earlier, _ = _between(history, selector, begin, begin + half)
    later, most = _between(history, selector, begin + half, end)
    return _joined(earlier, later), most or half


def _joined(earlier: Sequence[Series], later: Sequence[Series]) -> tuple[Series, ...]:
    known = {tuple(sorted(each.labels.items())): each for each in earlier}
    for each in later:
        place = tuple(sorted(each.labels.items()))
        before = known[place].samples if place in known else ()
        # Older servers give a sample at the border to both sides.
        samples = each.samples[1:] if before and each.samples[0][0] <= before[-1][0] else each.samples
        known[place] = Series(labels=each.labels, samples=before + samples)
    return tuple(known.values())
