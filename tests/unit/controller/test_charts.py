"""Where a chart puts what was measured: a minute from NOW, 100 wide and HEIGHT high."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from support import rollouts
from support.rollouts import NOW, a_rollout, a_threshold, an_error_rate
from wavegate_controller.domain.decision import Decision, DecisionReason
from wavegate_controller.domain.measurement import (
    Broken,
    BrokenReason,
    Measurement,
    NoData,
    NoDataReason,
    Value,
)
from wavegate_controller.domain.plan import Operator
from wavegate_controller.domain.record import record
from wavegate_controller.domain.transitions import Event, apply
from wavegate_controller.web.charts import (
    HEIGHT,
    Window,
    error_rate_chart,
    evidence_chart,
    marks,
    threshold_chart,
    window_of,
)
from wavegate_controller.web.plots import plot

MINUTE = Window(start=NOW, end=NOW + timedelta(minutes=1))
EVERY = timedelta(seconds=2)
OUTAGE = Broken(reason=BrokenReason.UNREACHABLE, detail="connection refused")


def looks(*answers, every=EVERY, first=NOW):
    """One measurement for each answer; None stands for a look that never happened."""
    return [
        Measurement(gate="any", at=first + every * index, query="q", answer=answer)
        for index, answer in enumerate(answers)
        if answer is not None
    ]


def values(*numbers):
    return [Value(value=number) for number in numbers]


def counts(candidate=(0, 0), stable=(0, 0), scraped=0):
    return rollouts.counts(candidate, stable, newest_sample_at=NOW + timedelta(seconds=scraped))


def threshold(measurements, **gate):
    return threshold_chart(a_threshold(**gate), measurements, window=MINUTE, interval=EVERY)


def error_rate(measurements, *, interval=timedelta(seconds=5), **gate):
    """In steps of ten seconds, unless said otherwise."""
    return error_rate_chart(an_error_rate(**gate), measurements, window=MINUTE, interval=interval)


def line(chart, role):
    return next(each for each in chart.lines if each.role == role)


def record_of(event, *, seconds, rollout):
    after = apply(rollout, event, now=NOW + timedelta(seconds=seconds))
    return record(
        Decision(event=event, reason=DecisionReason.REQUESTED, sentence=""),
        before=rollout,
        after=after,
        now=after.updated_at,
        actor="ada",
        comment="",
        revision=1,
    ), after


def test_a_value_stands_at_its_time_and_its_share_of_the_axis():
    chart = threshold(looks(*values(0.5, 1.0), every=timedelta(seconds=30)), limit=0.8)

    points = line(chart, "value").points

    assert [tick.label for tick in chart.y_ticks] == ["0", "1", "2"]
    assert [(point.x, point.y) for point in points] == [(0.0, HEIGHT * 0.75), (50.0, HEIGHT * 0.5)]


@pytest.mark.parametrize(
    ("operator", "area"),
    [
        (Operator.LESS, (0, HEIGHT / 2)),
        (Operator.LESS_OR_EQUAL, (0, HEIGHT / 2)),
        (Operator.GREATER, (HEIGHT / 2, HEIGHT / 2)),
        (Operator.GREATER_OR_EQUAL, (HEIGHT / 2, HEIGHT / 2)),
    ],
)
def test_the_breach_area_lies_on_the_side_of_the_limit_that_breaks_it(operator, area):
    limit = threshold(looks(*values(1.5)), operator=operator, limit=1.0).limit

    assert (limit.y, limit.area_y, limit.area_height) == (HEIGHT / 2, *area)


def test_a_limit_below_zero_has_its_place_on_the_axis():
    chart = threshold(looks(*values(-3.0)), limit=-2.5, operator=Operator.GREATER_OR_EQUAL)

    assert [tick.label for tick in chart.y_ticks] == ["-4", "-1.5", "1"]
    assert 0 < chart.limit.y < line(chart, "value").points[0].y < HEIGHT


def test_nothing_measured_is_a_hatched_band_with_its_reason_and_a_gap_in_the_line():
    empty = NoData(reason=NoDataReason.EMPTY_RESULT)
    chart = threshold(looks(*values(0.1, 0.1), OUTAGE, OUTAGE, *values(0.1, 0.1), empty, *values(*[0.1] * 22)))

    assert [(band.label, band.x, round(band.x + band.width, 3)) for band in chart.bands] == [
        ("cannot measure: unreachable", 3.333, 10.0),
        ("no data: empty result", 16.667, 20.0),
    ]
    assert len(line(chart, "value").paths) == 3
    assert len(line(chart, "value").points) == 26


def test_time_in_which_the_controller_was_down_is_a_band_of_its_own():
    chart = threshold(looks(*values(0.1, 0.1), *[None] * 10, *values(0.1, 0.1)))

    assert [(band.label, band.x) for band in chart.bands] == [("not looked", 3.333), ("not looked", 43.333)]
    assert round(chart.bands[-1].x + chart.bands[-1].width) == 100
    assert len(line(chart, "value").paths) == 2


def test_error_rates_of_both_arms_are_summed_over_bins_of_round_times():
    chart = error_rate(looks(*[counts((10, 1), (30, 0))] * 10))

    candidate, stable = line(chart, "candidate"), line(chart, "stable")

    assert [tick.label for tick in chart.y_ticks] == ["0", "10", "20"]
    assert [(point.x, point.y) for point in candidate.points] == [(8.333, HEIGHT / 2), (25.0, HEIGHT / 2)]
    assert {point.y for point in stable.points} == {HEIGHT}
    assert candidate.points[0].title == "candidate: 10.0% of 50 around 12:00:05"
    assert chart.summary == "candidate 10.0% of 100; stable 0.0% of 300"


def test_a_step_has_two_looks_two_scrapes_and_a_few_requests_at_least():
    second = timedelta(seconds=1)
    busy = looks(*[counts((10, 0), scraped=at) for at in range(60)], every=second)
    quiet = looks(*[counts((1, 0), scraped=at) for at in range(60)], every=second)
    scraped_seldom = looks(*[counts((10, 0), scraped=at // 7 * 7) for at in range(60)], every=second)

    steps = {
        name: re.search(r"steps of (\d+) s", error_rate(measured, interval=second).unit)[1]
        for name, measured in (("busy", busy), ("quiet", quiet), ("scraped seldom", scraped_seldom))
    }

    assert steps == {"busy": "2", "quiet": "10", "scraped seldom": "15"}


def test_a_bin_that_has_only_begun_is_counted_with_the_one_before_it():
    window = Window(start=NOW, end=NOW + timedelta(seconds=61))
    measured = looks(*[counts((10, 0), (10, 0))] * 30, counts((1, 1), (1, 0)))

    chart = error_rate_chart(an_error_rate(), measured, window=window, interval=timedelta(seconds=5))

    assert len(line(chart, "candidate").points) == 6
    assert line(chart, "candidate").points[-1].title == "candidate: 2.0% of 51 around 12:00:55"


def test_a_line_never_crosses_an_outage_even_one_that_is_shorter_than_a_bin():
    served = counts((10, 0), (10, 0))
    chart = error_rate(looks(*[served] * 6, OUTAGE, *[served] * 23))

    assert [band.label for band in chart.bands] == ["cannot measure: unreachable"]
    assert len(line(chart, "candidate").points) == 6
    assert [path.count("L") for path in line(chart, "candidate").paths] == [4]


def test_looks_between_two_scrapes_are_no_gap_but_a_silent_app_is():
    served, nothing = counts((10, 0), (10, 0)), counts()

    scraped_seldom = error_rate(looks(*[served, nothing, nothing] * 10))
    silent = error_rate(looks(*[served] * 5, *[nothing] * 15, *[served] * 10))

    assert scraped_seldom.bands == ()
    assert [band.label for band in silent.bands] == ["no requests"]


def test_the_ceiling_is_drawn_only_where_the_axis_reaches_it():
    calm = error_rate(looks(*[counts((100, 2), (100, 2))] * 10), ceiling=0.25)
    burning = error_rate(looks(*[counts((100, 40), (100, 2))] * 10), ceiling=0.25)

    assert calm.limit is None
    assert (burning.limit.label, burning.limit.y) == ("ceiling 25 %", HEIGHT / 2)


def test_without_any_measurement_the_axes_and_the_limit_are_still_there():
    for chart in (threshold([]), error_rate([])):
        assert chart.x_ticks
        assert len(chart.y_ticks) == 3
        assert all(not each.points for each in chart.lines)
    assert threshold([]).limit is not None


def test_moves_are_marked_at_their_time_and_neighbours_get_a_lane_each():
    started, rollout = record_of(Event.START, seconds=0, rollout=a_rollout(state="draft", wave=None))
    held, _ = record_of(Event.TICK, seconds=20, rollout=rollout)
    promoted, rollout = record_of(Event.PROMOTE, seconds=30, rollout=rollout)
    gone, _ = record_of(Event.ROLL_BACK, seconds=36, rollout=rollout)

    placed = marks([gone, promoted, held, started], MINUTE)

    assert [(mark.label, mark.x, mark.lane, mark.tone) for mark in placed] == [
        ("start 10 %", 0.0, 0, "good"),
        ("to 25 %", 50.0, 0, "good"),
        ("rolled back", 60.0, 1, "bad"),
    ]


def test_a_young_rollout_fills_the_chart_and_an_old_one_its_last_minutes():
    since, until = NOW - timedelta(minutes=5), NOW

    young = window_of(since=since, until=until, started_at=until - timedelta(seconds=90))
    old = window_of(since=since, until=until, started_at=until - timedelta(days=2))
    just_begun = window_of(since=since, until=until, started_at=until)

    assert young.start == until - timedelta(seconds=92)
    assert old.start == since
    assert just_begun.start == until - timedelta(minutes=1)


@pytest.mark.parametrize("minutes", [1, 5, 60, 24 * 60, 7 * 24 * 60])
def test_the_time_axis_has_a_few_round_labels_at_any_length(minutes):
    window = Window(start=NOW, end=NOW + timedelta(minutes=minutes))

    ticks = threshold_chart(a_threshold(), [], window=window, interval=EVERY).x_ticks

    assert 2 <= len(ticks) <= 6
    assert len({tick.label for tick in ticks}) == len(ticks)
    assert all(0 <= tick.at <= 100 for tick in ticks)


def test_a_rate_is_drawn_with_its_interval_and_in_numbers_for_a_script():
    chart = error_rate(looks(counts((50, 5), (150, 3)), counts((50, 5), (150, 3)), every=timedelta(seconds=20)))

    candidate = next(each for each in plot(chart)["lines"] if each["role"] == "candidate")

    # Five of fifty, by Wilson's interval.
    assert candidate["value"] == [10.0, None, 10.0]
    assert candidate["low"][0] == pytest.approx(4.348, abs=0.001)
    assert candidate["high"][0] == pytest.approx(21.360, abs=0.001)
    assert NOW.timestamp() < candidate["at"][0] < candidate["at"][1] < candidate["at"][2]


def test_evidence_is_drawn_in_powers_of_ten_beside_the_line_that_stops_the_rollout():
    def look(evidence, seconds):
        verdict = {"gate": "error-rate", "limit": 20.0, "figures": {"regression": evidence}}
        kept, _ = record_of(Event.TICK, seconds=0, rollout=a_rollout())
        return replace(kept, at=NOW + timedelta(seconds=seconds), verdicts=(verdict,))

    newest_first = [look(1e9, 20), look(1.0, 10), look(1e-9, 0)]
    chart = evidence_chart(an_error_rate(), newest_first, window=MINUTE, interval=timedelta(seconds=10))

    assert [point.value for point in line(chart, "value").points] == [-2.0, 0.0, pytest.approx(2.301, abs=0.001)]
    assert chart.limit.value == pytest.approx(1.301, abs=0.001)
    assert chart.limit.label == "breach at 20 : 1"
    assert evidence_chart(an_error_rate(), [], window=MINUTE, interval=EVERY) is None
