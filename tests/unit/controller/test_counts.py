"""Exact increments from raw samples: what Prometheus' own functions only estimate."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from wavegate_controller.domain.counts import advance, by_arm
from wavegate_controller.domain.measurement import ArmCounts, Cursor, Series

AT = datetime(2026, 1, 1, tzinfo=UTC)


def series(*samples: tuple[float, float], **labels: str) -> Series:
    return Series(labels={"__name__": "wavegate_requests_total", "variant": "on"} | labels, samples=samples)


def total(cursor: Cursor | None, *each: Series) -> tuple[int, Cursor]:
    increments, following = advance(cursor, each, at=AT)
    return sum(amount for _, amount in increments), following


def test_the_first_read_is_the_starting_line():
    amount, cursor = total(None, series((1, 400), (2, 410)))

    assert amount == 0
    assert total(cursor, series((2, 410), (3, 415)))[0] == 5


def test_samples_at_or_before_the_cursor_are_not_counted_twice():
    _, cursor = total(None, series((1, 10)))
    amount, cursor = total(cursor, series((1, 10), (2, 12)))

    assert amount == 2
    assert total(cursor, series((1, 10), (2, 12)))[0] == 0


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


def test_requests_and_bad_outcomes_are_summed_by_arm_over_instances_and_cohorts():
    labels = [
        ({"__name__": "wavegate_requests_total", "variant": "on", "cohort": "1"}, 10),
        ({"__name__": "wavegate_requests_total", "variant": "on", "cohort": "2"}, 5),
        ({"__name__": "wavegate_bad_total", "variant": "on", "kind": "error"}, 2),
        ({"__name__": "wavegate_bad_total", "variant": "on", "kind": "slow"}, 4),
        ({"__name__": "wavegate_requests_total", "variant": "off"}, 80),
        ({"__name__": "wavegate_requests_total", "variant": "other"}, 99),
    ]
    cursor = Cursor(read_at=AT, last={"a": (1_767_225_600.0, 1.0)})

    counts = by_arm(labels, candidate="on", stable="off", kinds=("error",), cursor=cursor)

    assert counts.candidate == ArmCounts(requests=15, bad=2)
    assert counts.stable == ArmCounts(requests=80, bad=0)
    assert counts.newest_sample_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_without_any_sample_there_is_no_newest_one():
    counts = by_arm([], candidate="on", stable="off", kinds=("error",), cursor=Cursor(read_at=AT, last={}))

    assert counts.newest_sample_at is None


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
