"""Freeze windows are wall-clock times: right in summer, in winter, and in the hours in which clocks are changed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavegate_controller.documents import parse
from wavegate_controller.documents.freeze import FreezeWindowDocument, freeze_window_to_document
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.freeze import frozen


def window(begin: str, end: str, zone: str = "Europe/Berlin", name: str = "freeze"):
    return parse(FreezeWindowDocument, {"name": name, "from": begin, "to": end, "time_zone": zone}).to_domain()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


WEEKEND = window("fri 16:00", "mon 08:00", name="weekend")


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-01-02 14:59", None),  # Friday 15:59 in Berlin, winter
        ("2026-01-02 15:00", "2026-01-05 07:00"),
        ("2026-01-05 06:59", "2026-01-05 07:00"),
        ("2026-01-05 07:00", None),
        ("2026-07-03 13:59", None),  # Friday 15:59 in Berlin, summer
        ("2026-07-03 14:00", "2026-07-06 06:00"),
        # Clocks go forward on Sunday the 29th of March 2026: begins in winter time, ends in summer time.
        ("2026-03-27 15:00", "2026-03-30 06:00"),
        # And back on Sunday the 25th of October 2026.
        ("2026-10-23 14:00", "2026-10-26 07:00"),
    ],
)
def test_a_weekly_window_holds_by_the_clock_on_the_wall(now: str, until: str | None):
    assert WEEKEND.until(utc(now)) == (until and utc(until))


@pytest.mark.parametrize(
    ("begin", "end", "inside", "outside"),
    [
        # 02:30 does not exist on the 29th of March: the window takes in both readings, 00:30 and 01:30 UTC.
        ("2026-03-29 02:30", "2026-03-29 12:00", "2026-03-29 00:30", "2026-03-29 00:29"),
        ("2026-03-28 12:00", "2026-03-29 02:30", "2026-03-29 01:29", "2026-03-29 01:30"),
        # 02:30 happens twice on the 25th of October: from the first one, to the second one.
        ("2026-10-25 02:30", "2026-10-25 12:00", "2026-10-25 00:30", "2026-10-25 00:29"),
        ("2026-10-24 12:00", "2026-10-25 02:30", "2026-10-25 01:29", "2026-10-25 01:30"),
    ],
)
def test_a_moment_that_happens_twice_or_not_at_all_makes_the_window_the_longer_one(begin, end, inside, outside):
    dated = window(begin, end)

    assert dated.until(utc(inside)) is not None
    assert dated.until(utc(outside)) is None


def test_a_weekly_window_may_go_over_the_end_of_the_week():
    night = window("sun 22:00", "mon 06:00", "UTC")

    assert night.until(utc("2026-01-05 05:59")) == utc("2026-01-05 06:00")
    assert night.until(utc("2026-01-04 22:00")) == utc("2026-01-05 06:00")
    assert night.until(utc("2026-01-04 21:59")) is None


def test_windows_that_run_into_each_other_are_one_freeze_under_the_name_of_the_first():
    holidays = window("2026-12-20 00:00", "2027-01-04 12:00", "UTC", name="holidays")
    after = window("mon 09:00", "mon 18:00", "UTC", name="mondays")

    found = frozen([after, holidays], utc("2026-12-24 18:00"))

    assert found is not None
    assert (found.window, found.until) == ("holidays", utc("2027-01-04 18:00"))


def test_windows_that_never_end_are_a_freeze_all_the_same():
    week = [window("mon 00:00", "thu 00:00", "UTC"), window("thu 00:00", "mon 00:00", "UTC")]

    found = frozen(week, utc("2026-01-01 12:00"))

    assert found is not None
    assert found.until > utc("2027-01-01 00:00")


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo"]
moments = st.integers(0, 4 * 365 * 24 * 60).map(lambda minutes: utc("2024-01-01 00:00") + timedelta(minutes=minutes))


@given(moments, st.sampled_from(ZONES), st.integers(0, 6), st.integers(0, 23), st.integers(0, 6), st.integers(1, 23))
def test_whoever_waits_until_the_end_of_a_window_is_out_of_it(now, zone, day, hour, other_day, other_hour):
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    begin, end = f"{days[day]} {hour:02}:30", f"{days[other_day]} {other_hour:02}:00"
    weekly = window(begin, end, zone)

    until = weekly.until(now)

    if until is not None:
        assert now < until <= now + timedelta(days=8)
        assert weekly.until(until) is None


@pytest.mark.parametrize("text", ["fri 16:00", "mon 00:00"])
def test_a_window_comes_back_as_it_was_written(text: str):
    document = {"name": "x", "time_zone": "Asia/Tokyo", "from": text, "to": "tue 12:30"}

    assert freeze_window_to_document(parse(FreezeWindowDocument, document).to_domain()) == document


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"from": "freitag", "to": "mon"}, "from"),
        ({"from": "fri 25:00", "to": "mon"}, "from"),
        ({"from": "2026-06-31", "to": "2026-07-02"}, "from"),
        ({"from": "fri", "to": "2026-07-02"}, "to"),
        ({"from": "fri", "to": "fri"}, "to"),
        ({"from": "2026-07-03", "to": "2026-07-02"}, "to"),
        ({"from": "fri", "to": "mon", "time_zone": "Europe/Atlantis"}, "time_zone"),
        ({"from": "fri", "to": "mon", "time_zone": "Europe"}, "time_zone"),
        ({"from": "fri", "to": "mon", "time_zone": "../etc/passwd"}, "time_zone"),
        ({"from": "fri", "to": "mon", "name": " "}, "name"),
    ],
)
def test_a_wrong_window_is_refused_by_field(fields: dict, field: str):
    with pytest.raises(Invalid) as refused:
        parse(FreezeWindowDocument, fields).to_domain()

    assert refused.value.field == field
    assert refused.value.expected
