"""Reading the counters of many rollouts with few questions, each rollout from its own cursor."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Final

from wavegate_controller.domain.counts import CounterSelector, Increments, Needs, advance, copies, missing
from wavegate_controller.domain.measurement import Broken, BrokenReason, Cursor, Series
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.service.asking import Asking

#: How far a read reaches back behind the last one: a sample is stamped when its scrape starts, but seen when it ends.
OVERLAP: Final = timedelta(seconds=30)
#: How far the first read looks for the series that exist; Prometheus' own look-back.
FIRST_LOOK: Final = timedelta(minutes=5)
#: Longest outage that a single read catches up with; beyond it the counts start again from the next read.
_FURTHEST: Final = timedelta(hours=6)
#: Shortest look-back that is tried where a longer one gives more than can be read.
_SHORTEST: Final = timedelta(minutes=1)

#: Most flags in one question: a longer alternative is slower than two.
_MOST_FLAGS: Final = 100
#: Most series that one question should give, some 8 MB; how many there are is known from the read before.
_MOST_SERIES: Final = 25_000
#: What is expected of a rollout that was never read: two instances.
_USUAL_SERIES: Final = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """One rollout's share in a question.

    Attributes:
        cursor: from where to count; None makes this read the starting line.
        elsewhere: other environments of this controller. What it counted for them itself has their name; any other
            label of that name is an app's own affair.
    """

    rollout: Rollout
    needs: Needs
    cursor: Cursor | None
    elsewhere: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """What was counted since the cursor.

    Attributes:
        cursor: to be stored in the transaction that keeps the increments.
    """

    increments: Increments
    cursor: Cursor


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Rollouts that are read with one question."""

    members: tuple[Wanted, ...]
    lookback: timedelta


#: Rollout id to what came of it: None where no counters are needed, an exception where we made a mistake.
Counting = Mapping[str, Counted | Broken | Exception | None]


def still_valid(cursor: Cursor | None, rollout: Rollout, *, now: datetime) -> Cursor | None:
    """A cursor from before the test began would count what is not evidence; so would one from another day."""
    if cursor is None or rollout.evidence_since is None:
        return None
    if cursor.read_at < rollout.evidence_since or now - cursor.read_at > _FURTHEST:
        return None
    return cursor


def without(series: Sequence[Series], elsewhere: frozenset[str]) -> Sequence[Series]:
    """Leave out what a controller counted itself for its other environments; see `Wanted.elsewhere`."""
    if not elsewhere:
        return series
    return [each for each in series if each.labels.get("environment") not in elsewhere]


def group(wanted: Iterable[Wanted], *, now: datetime) -> Iterator[Group]:
    """As few groups as the answers' size allows.

    All members of a group look back as far as the one that must look furthest, so those that were read at about the
    same time go together: one that catches up with an outage of hours does not make the others fetch hours.
    """
    similar: defaultdict[int, list[Wanted]] = defaultdict(list)
    for each in wanted:
        similar[int(_lookback(each, now=now).total_seconds()).bit_length()].append(each)
    for _, alike in sorted(similar.items()):
        members: list[Wanted] = []
        series = 0
        for each in alike:
            expected = len(each.cursor.last) if each.cursor and each.cursor.last else _USUAL_SERIES
            if members and (len(members) == _MOST_FLAGS or series + expected > _MOST_SERIES):
                yield _group(members, now=now)
                members, series = [], 0
            members.append(each)
            series += expected
        yield _group(members, now=now)


def read(asking: Asking, group: Group) -> Counting:
    """Ask for a group and count for each member; an answer that is too large is asked for in parts.

    A single flag whose samples are too many is asked for a shorter time: counters add up, so what is lost is only
    what a process counted before a restart in the time left out.
    """
    needs = reduce(or_, (each.needs for each in group.members))
    selector = CounterSelector(flags=tuple(each.rollout.flag_key for each in group.members), needs=needs)
    try:
        answer = asking.samples(selector, lookback=group.lookback)
    except Exception as error:  # noqa: BLE001 - handed on; the other half may be well
        if len(group.members) == 1:
            return {group.members[0].rollout.id: error}
        return _read_halves(asking, group)
    if isinstance(answer, Broken):
        if answer.reason is BrokenReason.TOO_LARGE:
            if len(group.members) > 1:
                return _read_halves(asking, group)
            if group.lookback >= 2 * _SHORTEST:
                return read(asking, Group(members=group.members, lookback=group.lookback / 2))
        return {each.rollout.id: answer for each in group.members}
    by_flag: defaultdict[str, list[Series]] = defaultdict(list)
    for series in answer:
        by_flag[series.labels.get("flag", "")].append(series)
    return {each.rollout.id: _count(each, _meant(each, by_flag), at=asking.at) for each in group.members}


def _meant(wanted: Wanted, by_flag: Mapping[str, Sequence[Series]]) -> Sequence[Series]:
    return without(by_flag.get(wanted.rollout.flag_key, ()), wanted.elsewhere)


def _read_halves(asking: Asking, group: Group) -> Counting:
    half = len(group.members) // 2
    counting: dict[str, Counted | Broken | Exception | None] = {}
    for members in (group.members[:half], group.members[half:]):
        counting |= read(asking, Group(members=members, lookback=group.lookback))
    return counting


def _count(wanted: Wanted, series: Sequence[Series], *, at: datetime) -> Counted | Broken | Exception:
    try:
        if broken := unfit(series, wanted.needs, flag=wanted.rollout.flag_key):
            return broken
        increments, cursor = advance(wanted.cursor, series, at=at)
    except Exception as error:  # noqa: BLE001 - handed on; the others are well
        return error
    return Counted(increments=increments, cursor=cursor)


def unfit(series: Sequence[Series], needs: Needs, *, flag: str) -> Broken | None:
    """Why these series cannot be counted, by their labels; None when they can."""
    if label := copies(series):
        return Broken(
            reason=BrokenReason.SEVERAL_SERIES,
            detail=f"each counter of flag {flag} comes several times, told apart only by {label}: several "
            "Prometheus scrape the same apps; ask an endpoint that removes the copies",
        )
    if absent := missing(series, needs):
        return Broken(
            reason=BrokenReason.COUNTER_MISSING,
            detail=f"{absent} of flag {flag} is absent, wholly or in part, while others of its counters are there: "
            "is it renamed or dropped on the way, or does an app not count it?",
        )
    return None


def _group(members: Sequence[Wanted], *, now: datetime) -> Group:
    return Group(members=tuple(members), lookback=max(_lookback(each, now=now) for each in members))


def _lookback(wanted: Wanted, *, now: datetime) -> timedelta:
    if wanted.cursor is None:
        return FIRST_LOOK
    # A clock that was put back, or another machine's, may have read later than now.
    return max(now - wanted.cursor.read_at, timedelta(0)) + OVERLAP
