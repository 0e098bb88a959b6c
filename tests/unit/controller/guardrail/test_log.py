"""The evidence log: small, and the same after it was written and read."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.guardrails import BEGIN, MINUTE, increment, reads
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.guardrail import Entry, Exposure, Increment, decode, encode

COUNTS = st.integers(min_value=0, max_value=2**40) | st.just(0)


@st.composite
def increments(draw: st.DrawFn, cohorts: int) -> Increment:
    row = st.tuples(*[COUNTS] * cohorts)
    return Increment(
        candidate_requests=draw(row), candidate_amount=draw(row), stable_requests=draw(row), stable_amount=draw(row)
    )


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    since = BEGIN + draw(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000)))
    rows = draw(st.lists(increments(draw(st.sampled_from([1, 8, 16]))), max_size=3))
    if rows and draw(st.booleans()):  # errors and latency share their requests
        rows.append(rows[-1])
    exposure = st.builds(Exposure, candidate=COUNTS, stable=COUNTS)
    return Entry(
        at=since + draw(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30))),
        wave=draw(st.integers(min_value=0, max_value=20)),
        wave_since=since,
        increments=tuple(rows),
        exposure=draw(st.none() | exposure),
    )


@given(entries())
def test_an_entry_reads_back_as_it_was_written(entry: Entry):
    assert decode(encode(entry)) == entry


@pytest.mark.parametrize("requests", [16 * 9, 100_000])
def test_a_tick_of_one_metric_takes_about_a_hundred_bytes(requests: int):
    (entry,) = reads([increment(requests // 10, requests // 1000, requests, requests // 100, cohorts=16)])

    assert len(encode(entry)) <= 128


def test_metrics_of_the_same_requests_write_them_once():
    counted = increment(10_000, 10, 90_000, 90, cohorts=16)
    one, three = reads([[counted], [counted] * 3])

    assert len(encode(three)) - len(encode(one)) < 2 * 40


@given(entries(), st.data())
def test_a_torn_entry_is_refused(entry: Entry, data: st.DataObject):
    whole = encode(entry)
    kept = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))

    with pytest.raises(Invalid, match="evidence"):
        decode(whole[:kept])


@given(st.binary(max_size=200))
def test_bytes_that_are_no_entry_are_refused_by_name(data: bytes):
    try:
        entry = decode(data)
    except Invalid:
        return
    assert decode(encode(entry)) == entry


def test_an_entry_of_another_format_is_refused():
    (entry,) = reads([increment(1, 0, 1, 0)])

    with pytest.raises(Invalid, match="format 9 is not known"):
        decode(b"\x09" + encode(entry)[1:])


def test_a_counter_that_fell_is_refused():
    with pytest.raises(Invalid, match="a counter fell"):
        Increment(candidate_requests=(-1,), candidate_amount=(0,), stable_requests=(0,), stable_amount=(0,))


def test_rows_of_different_length_are_refused():
    with pytest.raises(Invalid, match="differ in length"):
        Increment(candidate_requests=(1, 2), candidate_amount=(0,), stable_requests=(0,), stable_amount=(0,))


def test_a_read_before_its_wave_is_refused():
    with pytest.raises(Invalid, match="wave_since"):
        Entry(at=BEGIN, wave=0, wave_since=BEGIN + MINUTE, increments=())
