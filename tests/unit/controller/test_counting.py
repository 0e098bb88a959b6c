"""Which rollouts share a question, and what becomes of each when the answer is too large, or wrong for one of them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from support.rollouts import NOW, a_rollout
from wavegate_controller.domain.counts import REQUESTS_METRIC, Needs
from wavegate_controller.domain.measurement import Broken, BrokenReason, Cursor, Series
from wavegate_controller.service.asking import Asking
from wavegate_controller.service.counting import Counted, Group, Wanted, group, read, still_valid

TOO_LARGE = Broken(reason=BrokenReason.TOO_LARGE, detail="too large")


def wanted(number: int, *, read_ago: float | None = 15, series: int = 100) -> Wanted:
    flag = f"flag-{number}"
    cursor = None
    if read_ago is not None:
        last = dict.fromkeys(range(series), (0.0, 0.0))
        cursor = Cursor(read_at=NOW - timedelta(seconds=read_ago), last=last)
    return Wanted(rollout=a_rollout(id=f"{flag}:1", flag_key=flag), needs=Needs(), cursor=cursor)


def sizes(*each: Wanted) -> list[tuple[int, float]]:
    return [(len(group.members), group.lookback.total_seconds()) for group in group(each, now=NOW)]


class Counters:
    """One counter for each flag; refuses more than it likes to give."""

    notice = None

    def __init__(self, *, most_flags=1000, longest=timedelta(hours=9), mad=()):
        self.most_flags, self.longest, self.mad = most_flags, longest, mad
        self.asked = []

    def samples(self, selector, *, at, lookback):
        self.asked.append((len(selector.flags), lookback))
        if len(selector.flags) > self.most_flags or lookback > self.longest:
            return TOO_LARGE
        if set(self.mad) & set(selector.flags):
            raise RuntimeError("a bug of ours")
        return tuple(
            Series(
                labels={"__name__": REQUESTS_METRIC, "flag": flag, "variant": "on"},
                samples=((at.timestamp(), 7.0),),
            )
            for flag in selector.flags
        )


def read_all(provider: Counters, *each: Wanted):
    with ThreadPoolExecutor(1) as executor:
        asking = Asking(provider, executor, at=NOW)
        return read(asking, Group(members=each, lookback=timedelta(seconds=45)))


def test_a_thousand_rollouts_are_a_handful_of_questions():
    assert sizes(*(wanted(number) for number in range(1000))) == [(100, 45.0)] * 10


def test_no_question_is_for_more_series_than_can_be_read():
    assert [size for size, _ in sizes(*(wanted(number, series=6000) for number in range(10)))] == [4, 4, 2]
    assert sizes(wanted(0, series=100_000)) == [(1, 45.0)]


def test_who_catches_up_with_an_outage_does_not_make_the_others_fetch_hours():
    late, new, usual = wanted(1, read_ago=3600), wanted(2, read_ago=None), [wanted(3), wanted(4)]

    assert sizes(*usual, late, new) == [(2, 45.0), (1, 300.0), (1, 3630.0)]


def test_a_read_in_the_future_of_this_clock_is_no_negative_time():
    assert sizes(wanted(1, read_ago=-100)) == [(1, 30.0)]


def test_nobody_waiting_is_no_question():
    assert sizes() == []


@pytest.mark.parametrize(
    ("read_ago", "evidence_since", "valid"),
    [(15, 3600, True), (15, 10, False), (6 * 3600 + 1, 10 * 3600, False), (5 * 3600, 10 * 3600, True)],
    ids=["usual", "from before the test began", "from another day", "from before an outage"],
)
def test_a_cursor_that_would_count_what_is_no_evidence_is_not_used(read_ago, evidence_since, valid):
    cursor = Cursor(read_at=NOW - timedelta(seconds=read_ago), last={})
    rollout = a_rollout(evidence_since=NOW - timedelta(seconds=evidence_since))

    assert (still_valid(cursor, rollout, now=NOW) is cursor) is valid


def test_an_answer_that_is_too_large_is_asked_for_in_parts():
    provider = Counters(most_flags=2)

    counting = read_all(provider, *(wanted(number) for number in range(5)))

    assert sorted(counting) == [f"flag-{number}:1" for number in range(5)]
    assert all(isinstance(each, Counted) for each in counting.values())
    assert [flags for flags, _ in provider.asked] == [5, 2, 3, 1, 2]


def test_a_flag_with_too_many_samples_is_asked_for_a_shorter_time():
    each = wanted(1)
    provider = Counters(longest=timedelta(minutes=30))
    with ThreadPoolExecutor(1) as executor:
        asking = Asking(provider, executor, at=NOW)
        counting = read(asking, Group(members=(each,), lookback=timedelta(hours=5)))

    assert isinstance(counting["flag-1:1"], Counted)
    assert provider.asked[-1] == (1, timedelta(hours=5) / 16)


def test_a_flag_that_is_too_large_however_short_the_time_is_broken():
    assert read_all(Counters(most_flags=0), wanted(1), wanted(2)) == {"flag-1:1": TOO_LARGE, "flag-2:1": TOO_LARGE}


def test_a_mistake_of_ours_in_one_rollouts_numbers_leaves_the_others_alone():
    counting = read_all(Counters(mad=("flag-2",)), *(wanted(number) for number in range(4)))

    assert isinstance(counting["flag-2:1"], RuntimeError)
    assert [isinstance(counting[f"flag-{number}:1"], Counted) for number in (0, 1, 3)] == [True] * 3


def test_what_the_controller_counted_for_another_environment_is_not_counted():
    class Labelled(Counters):
        def samples(self, selector, *, at, lookback):
            (mine,) = super().samples(selector, at=at, lookback=lookback)
            names = ("production", "staging", "eu-west")
            return tuple(replace(mine, labels=mine.labels | {"environment": name}) for name in names)

    both = (replace(wanted(1, series=0), elsewhere=frozenset({name})) for name in ("staging", "production"))
    counted = [read_all(Labelled(), each)["flag-1:1"] for each in (*both, wanted(1, series=0))]

    # What an app calls its own surroundings is no environment of ours.
    assert [sum(each.increments.amounts.values()) for each in counted] == [14, 14, 21]


def test_series_that_nobody_asked_for_are_counted_for_nobody():
    class Generous(Counters):
        def samples(self, selector, *, at, lookback):
            mine = super().samples(selector, at=at, lookback=lookback)
            return (*mine, Series(labels={"__name__": REQUESTS_METRIC, "flag": "x"}, samples=((at.timestamp(), 9.0),)))

    counting = read_all(Generous(), wanted(1, series=0))

    assert sum(counting["flag-1:1"].increments.amounts.values()) == 7
