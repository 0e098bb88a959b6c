"""A replay counts at each look what the reconciler would have counted, through restarts, gaps and silences."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from support.raw import BEGIN, FLAG, Raw, counters
from support.rollouts import a_rollout
from wavegate_controller.domain.counts import REQUESTS_METRIC, Needs
from wavegate_controller.domain.errors import HistoryLost
from wavegate_controller.domain.measurement import Series
from wavegate_controller.providers.past import Past
from wavegate_controller.service.asking import Asking
from wavegate_controller.service.counting import Counted, Wanted, group, read
from wavegate_controller.service.recounting import Recounting

NEEDS = Needs(bad=frozenset({"error"}), values=frozenset({"cost_usd"}))


def reconciled(raw, looks, starts):
    """As the reconciler counts: from its cursor, look by look."""
    cursor, found = None, []
    with ThreadPoolExecutor(1) as executor:
        for number, at in enumerate(looks):
            cursor = None if number in starts else cursor
            mine = Wanted(rollout=a_rollout(id="flag:1", flag_key=FLAG), needs=NEEDS, cursor=cursor)
            (one,) = group([mine], now=at)
            counted = read(Asking(raw, executor, at=at), one)["flag:1"]
            if isinstance(counted, Counted):
                cursor = counted.cursor
            found.append(counted)
    return found


def recounted(raw, looks, starts, step):
    counting, place, found = Recounting(Past(raw, looks, step=step), FLAG, NEEDS), None, []
    for number, at in enumerate(looks):
        counted, place = counting.read(None if number in starts else place, number, at=at)
        found.append(counted)
    return found


def told(each):
    return each.increments if isinstance(each, Counted) else each


@pytest.mark.parametrize("seed", range(12))
def test_each_look_counts_what_the_reconciler_would_have_counted(seed):
    chance = random.Random(seed)
    step = timedelta(seconds=chance.choice([15, 15, 30, 7.5, 120]))
    raw = Raw(counters(chance, quiet=chance.choice([21, 100, 900])), most=chance.choice([300, 3000, 10**9]))
    looks = [BEGIN + number * step + timedelta(milliseconds=chance.randrange(1000)) for number in range(130)]
    starts = {0, *(chance.randrange(130) for _ in range(3))}

    assert list(map(told, recounted(raw, looks, starts, step))) == list(
        map(told, reconciled(Raw(raw.series), looks, starts))
    )


def test_both_kinds_of_answers_come_about():
    chance = random.Random(4)
    raw = Raw(counters(chance, quiet=200))
    looks = [BEGIN + number * timedelta(seconds=15) for number in range(200)]

    found = recounted(raw, looks, {0}, timedelta(seconds=15))

    counted = [each for each in found if isinstance(each, Counted)]
    assert len(counted) < len(found)
    assert sum(bool(each.increments.amounts) for each in counted) > 30


def test_a_series_that_comes_back_after_a_day_starts_from_0():
    step = timedelta(hours=1)
    labels = {"__name__": REQUESTS_METRIC, "flag": FLAG, "variant": "on", "cohort": "0"}
    at = BEGIN.timestamp()
    back = (at + 26 * 3600 + 5, 110.0)
    raw = Raw([Series(labels=labels, samples=((at - 5, 90.0), (at + 5, 100.0), back))])
    looks = [BEGIN + number * step for number in range(30)]
    needs = replace(NEEDS, bad=frozenset(), values=frozenset())

    counting, place, amounts = Recounting(Past(raw, looks, step=step), FLAG, needs), None, []
    for number, when in enumerate(looks):
        counted, place = counting.read(place, number, at=when)
        amounts.append(sum(counted.increments.amounts.values()))

    assert [each for each in amounts if each] == [10, 110]


def test_a_server_that_gives_not_even_one_time_at_once_is_said_so():
    chance = random.Random(1)
    looks = [BEGIN + number * timedelta(seconds=15) for number in range(5)]

    with pytest.raises(HistoryLost, match="not even one sample of each counter at once"):
        recounted(Raw(counters(chance, quiet=21), most=3), looks, {0}, timedelta(seconds=15))
