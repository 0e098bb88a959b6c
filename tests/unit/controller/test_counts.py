"""Exact increments from raw samples: what Prometheus' own functions only estimate."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavegate_controller.domain.counts import (
    BAD_METRIC,
    EXPOSED_METRIC,
    REQUESTS_METRIC,
    VALUE_METRIC,
    CounterKey,
    CounterSelector,
    Increments,
    Needs,
    advance,
    compared,
    copies,
    missing,
    series_key,
)
from wavegate_controller.domain.guardrail import Increment
from wavegate_controller.domain.measurement import Cursor, Series

AT = datetime(2026, 1, 1, tzinfo=UTC)
T = AT.timestamp()
ERRORS = Needs(bad=frozenset({"error"}))


def series(*samples: tuple[float, float], metric: str = REQUESTS_METRIC, variant: str = "on", **labels: str) -> Series:
    """Samples at seconds before or after AT."""
    return Series(
        labels={"__name__": metric, "flag": "f", "variant": variant} | labels,
        samples=tuple((T + second, value) for second, value in samples),
    )


def total(cursor: Cursor | None, *each: Series) -> tuple[float, Cursor]:
    increments, following = advance(cursor, each, at=AT)
    return sum(increments.amounts.values()), following


def test_the_first_read_is_the_starting_line():
    amount, cursor = total(None, series((1, 400), (2, 410)))

    assert amount == 0
    assert total(cursor, series((2, 410), (3, 415)))[0] == 5


def test_samples_at_or_before_the_cursor_are_not_counted_twice():
    _, cursor = total(None, series((1, 10)))
    amount, cursor = total(cursor, series((1, 10), (2, 12)))

    assert amount == 2
    assert total(cursor, series((1, 10), (2, 12)))[0] == 0


def test_a_sample_that_arrives_late_is_counted_by_the_next_read():
    _, cursor = total(None, series((1, 10), instance="fast"), series((1, 10), instance="slow"))
    first, cursor = total(cursor, series((5, 12), instance="fast"))
    second, _ = total(cursor, series((5, 12), instance="fast"), series((4, 17), instance="slow"))

    assert (first, second) == (2, 7)


def test_a_restarted_process_counts_from_zero():
    _, cursor = total(None, series((1, 100)))

    assert total(cursor, series((2, 103), (3, 4), (4, 6)))[0] == 3 + 4 + 2


def test_a_series_born_after_the_first_read_counts_from_zero():
    _, cursor = total(None, series((1, 100)))

    assert total(cursor, series((2, 100)), series((2, 7), instance="new"))[0] == 7


def test_a_series_that_vanishes_for_a_while_loses_nothing():
    _, cursor = total(None, series((1, 100)))
    amount, cursor = total(cursor)

    assert amount == 0
    assert total(cursor, series((9, 130)))[0] == 30


def test_the_place_of_a_series_that_nobody_has_seen_for_a_day_is_given_up():
    _, cursor = advance(None, [series((0, 5), instance="a"), series((60, 5), instance="b")], at=AT)

    _, after = advance(cursor, [], at=AT + timedelta(days=1, seconds=30))

    assert list(after.last) == [series_key(series(instance="b").labels)]


def test_the_same_labels_are_the_same_series_in_whatever_order_and_process():
    labels = {"variant": "on", "instance": "süd:1"}

    assert series_key(labels) == series_key(dict(reversed(labels.items()))) == 16314014893796604017
    assert series_key({"a": "bc"}) != series_key({"ab": "c"})


def test_increments_are_added_up_over_instances_by_metric_kind_variant_and_cohort():
    def read(*values: float) -> list[Series]:
        return [
            series((values[0], 10 * values[0]), cohort="0", instance="a"),
            series((values[0], 1 * values[0]), cohort="0", instance="b"),
            series((values[0], 2 * values[0]), cohort="15"),
            series((values[0], 3 * values[0])),
            series((values[0], 4 * values[0]), cohort="0", kind="error", metric=BAD_METRIC, variant="off"),
            series((values[0], 0.25 * values[0]), cohort="0", kind="cost_usd", metric=VALUE_METRIC),
        ]

    _, cursor = advance(None, read(1), at=AT)

    increments, _ = advance(cursor, read(2), at=AT)

    assert increments.amounts == {
        CounterKey(REQUESTS_METRIC, "", "on", 0): 11,
        CounterKey(REQUESTS_METRIC, "", "on", 15): 2,
        CounterKey(REQUESTS_METRIC, "", "on", None): 3,
        CounterKey(BAD_METRIC, "error", "off", 0): 4,
        CounterKey(VALUE_METRIC, "cost_usd", "on", 0): 0.25,
    }
    assert increments.by_cohort(REQUESTS_METRIC, "on") == {0: 11, 15: 2, None: 3}
    assert increments.total(BAD_METRIC, "off", kinds=("error", "slow")) == 4
    assert increments.newest_sample_at == AT + timedelta(seconds=2)


def test_counts_are_whole_numbers_and_values_are_not_rounded():
    _, cursor = advance(None, [series((0, 2**52)), series((0, 0.1), metric=VALUE_METRIC)], at=AT)

    increments, _ = advance(cursor, [series((1, 2**52 + 1)), series((1, 0.3), metric=VALUE_METRIC)], at=AT)

    assert increments.amounts[CounterKey(REQUESTS_METRIC, "", "on", None)] == 1
    assert isinstance(increments.amounts[CounterKey(REQUESTS_METRIC, "", "on", None)], int)
    assert increments.amounts[CounterKey(VALUE_METRIC, "", "on", None)] == pytest.approx(0.2)


def test_requests_and_bad_outcomes_are_summed_by_arm_over_cohorts():
    increments = Increments(
        amounts={
            CounterKey(REQUESTS_METRIC, "", "on", 1): 10,
            CounterKey(REQUESTS_METRIC, "", "on", 2): 5,
            CounterKey(BAD_METRIC, "error", "on", 1): 2,
            CounterKey(BAD_METRIC, "slow", "on", 1): 4,
            CounterKey(REQUESTS_METRIC, "", "off", None): 80,
            CounterKey(REQUESTS_METRIC, "", "other", None): 99,
        },
        newest_sample_at=AT,
    )

    def counted(cohorts, stable="off"):
        return compared(increments, candidate="on", stable=stable, metric=BAD_METRIC, kinds=("error",), cohorts=cohorts)

    assert counted(1) == Increment(
        candidate_requests=(15,), candidate_amount=(2,), stable_requests=(80,), stable_amount=(0,)
    )
    assert counted(16, stable="nobody") == Increment(
        candidate_requests=(0, 10, 5, *[0] * 13),
        candidate_amount=(0, 2, *[0] * 14),
        stable_requests=(0,) * 16,
        stable_amount=(0,) * 16,
    )


def test_counters_without_a_cohort_are_not_compared_by_cohorts():
    increments = Increments(
        amounts={CounterKey(REQUESTS_METRIC, "", "on", 1): 10, CounterKey(REQUESTS_METRIC, "", "off", None): 80},
        newest_sample_at=AT,
    )

    assert compared(increments, candidate="on", stable="off", metric=BAD_METRIC, kinds=(), cohorts=16) is None


def test_values_are_kept_in_whole_steps():
    increments = Increments(amounts={CounterKey(VALUE_METRIC, "cost_usd", "on", 0): 0.0123456}, newest_sample_at=AT)

    counted = compared(
        increments, candidate="on", stable="off", metric=VALUE_METRIC, kinds=("cost_usd",), cohorts=1, unit=1e-6
    )

    assert counted is not None
    assert counted.candidate_amount == (12_346,)


def test_without_any_sample_there_is_no_newest_one():
    increments, _ = advance(Cursor(read_at=AT, last={}), [], at=AT)

    assert increments.newest_sample_at is None


# What is asked


def test_one_question_asks_for_the_metrics_and_kinds_that_are_needed_of_all_flags():
    needs = Needs(bad=frozenset({"slow", "error"})) | Needs(values=frozenset({"cost_usd"}), exposed=True)

    selector = CounterSelector(flags=("b.2", "a"), needs=needs)

    assert selector.promql == (
        '{__name__=~"wavegate_requests_total|wavegate_bad_total|wavegate_value_total|wavegate_exposed_users_total",'
        r'flag=~"a|b\\.2",kind=~"|cost_usd|error|slow",cohort!="targeted"}'
    )


def test_a_kind_that_somebody_made_up_stays_inside_its_quotes():
    selector = CounterSelector(flags=("a",), needs=Needs(bad=frozenset({'x"}\n|y\\'})))

    assert r'kind=~"|x\"\\}\n\\|y\\\\"' in selector.promql


@pytest.mark.parametrize(
    ("labels", "matches"),
    [
        ({"__name__": REQUESTS_METRIC, "flag": "a"}, True),
        ({"__name__": REQUESTS_METRIC, "flag": "a", "cohort": "3"}, True),
        ({"__name__": BAD_METRIC, "flag": "a", "kind": "error"}, True),
        ({"__name__": BAD_METRIC, "flag": "a", "kind": "slow"}, False),
        ({"__name__": BAD_METRIC, "flag": "a"}, False),
        ({"__name__": REQUESTS_METRIC, "flag": "b"}, False),
        ({"__name__": REQUESTS_METRIC, "flag": "a", "cohort": "targeted"}, False),
        ({"__name__": VALUE_METRIC, "flag": "a", "kind": "error"}, False),
        ({"__name__": "wavegate_requests_created", "flag": "a"}, False),
    ],
)
def test_a_selector_knows_its_series(labels, matches):
    assert CounterSelector(flags=("a",), needs=ERRORS).matches(labels) is matches


# What must not be counted


def requests(**labels: str) -> Series:
    return series((0, 1), cohort="1", **labels)


def bad(**labels: str) -> Series:
    return series((0, 1), metric=BAD_METRIC, cohort="1", **{"kind": "error"} | labels)


@pytest.mark.parametrize(
    ("given", "absent"),
    [
        ([], None),
        ([requests(), bad()], None),
        ([requests(), bad(), requests(variant="off"), bad(variant="off")], None),
        ([requests()], 'wavegate_bad_total{kind="error",variant="on"}'),
        ([requests(), bad(kind="slow")], 'wavegate_bad_total{kind="error",variant="on"}'),
        ([requests(), bad(kind="")], 'wavegate_bad_total{kind="error",variant="on"}'),
        ([requests(instance="a"), bad(instance="a"), requests(instance="b")], 'wavegate_bad_total{kind="error",'),
        ([bad()], 'wavegate_requests_total{variant="on"}'),
        ([requests(variant="off"), bad(variant="off"), bad()], 'wavegate_requests_total{variant="on"}'),
    ],
    ids=[
        "no traffic",
        "all there",
        "both arms",
        "bad renamed",
        "kind unknown",
        "kind label empty",
        "one instance without",
        "requests renamed",
        "requests of one arm renamed",
    ],
)
def test_a_counter_that_is_absent_beside_others_is_no_zero(given, absent):
    found = missing(given, ERRORS)

    assert (found is None) if absent is None else found.startswith(absent)


def test_exposed_users_are_counted_once_for_all_cohorts():
    needs = Needs(exposed=True)
    two = [requests(), series((0, 1), cohort="2")]

    assert missing([*two, series((0, 1), metric=EXPOSED_METRIC)], needs) is None
    assert missing(two, needs) == 'wavegate_exposed_users_total{variant="on"}'


@pytest.mark.parametrize("label", ["prometheus_replica", "replica", "receive_replica"])
def test_the_same_counter_from_two_prometheus_is_told_apart_from_two_counters(label):
    twice = [requests(**{label: "a"}), requests(**{label: "b"})]
    two_apps = [requests(**{label: "a", "instance": "1"}), requests(**{label: "b", "instance": "2"})]

    assert copies(twice) == label
    assert copies(two_apps) is None
    assert copies([requests(), bad()]) is None


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=30),
    st.sets(st.integers(1, 29)),
    st.sets(st.integers(1, 29)),
)
def test_however_the_reads_fall_and_whenever_the_process_restarts_the_sum_is_exact(
    increments: list[int], reads: set[int], restarts: set[int]
):
    """A process that restarts right after a scrape loses nothing; what it counts is scraped once a second."""
    value, samples = 0, [(0.0, 0.0)]
    for second, increment in enumerate(increments, start=1):
        # A restart shows only if the counter is lower afterwards; that is the limit of any scrape.
        value = increment if second in restarts and increment < value else value + increment
        samples.append((float(second), float(value)))

    _, cursor = total(None, series(samples[0]))
    counted, done = 0, 1
    for read in sorted({min(read, len(samples)) for read in reads} | {len(samples)}):
        amount, cursor = total(cursor, series(*samples[max(0, done - 3) : read])) if read > done else (0, cursor)
        counted, done = counted + amount, max(done, read)

    assert counted == sum(increments)
