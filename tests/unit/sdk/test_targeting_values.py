"""What Python's own types are to a condition; what JSON can say is in tests/spec/conditions.json."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum

import pytest

from wavegate.evaluation import Comparison, Operator
from wavegate.evaluation.matching import compile_condition, without_call


class Plan(StrEnum):
    TEAM = "team"


class Level(IntEnum):
    HIGH = 3


class Meters(float):
    pass


DAY = "2026-03-01T00:00:00Z"


@pytest.mark.parametrize(
    ("operator", "value", "attribute", "expected"),
    [
        (Operator.EQUALS, "team", Plan.TEAM, True),
        (Operator.IN, ("team", 1), Plan.TEAM, True),
        (Operator.STARTS_WITH, "te", Plan.TEAM, True),
        (Operator.CONTAINS, "ea", Plan.TEAM, True),
        (Operator.MATCHES, "^te", Plan.TEAM, True),
        (Operator.EQUALS, 3, Level.HIGH, True),
        (Operator.GREATER, 2, Level.HIGH, True),
        (Operator.LESS, 2.5, Meters(2), True),
        (Operator.GREATER, 2, Decimal(3), False),
        (Operator.GREATER, 2, math.nan, False),
        (Operator.AT_MOST, 2, math.nan, False),
        (Operator.GREATER, 2, math.inf, True),
        (Operator.GREATER, 2, 10**400, True),
        (Operator.EQUALS, "a", b"a", False),
        (Operator.STARTS_WITH, "a", b"a", False),
        (Operator.CONTAINS, "a", b"a", False),
        (Operator.CONTAINS, "a", ("a",), True),
        (Operator.CONTAINS, "a", {"a"}, True),
        (Operator.CONTAINS, "a", frozenset("a"), True),
        (Operator.CONTAINS, "a", iter("a"), False),
        (Operator.AFTER, DAY, datetime(2026, 3, 1, 1, tzinfo=UTC), True),
        (Operator.AFTER, DAY, datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=2))), False),
        (Operator.AFTER, DAY, datetime(2026, 3, 2), False),  # noqa: DTZ001 # that it is naive is the case
        (Operator.AFTER, DAY, datetime(2026, 3, 2, tzinfo=UTC).date(), False),
        (Operator.BEFORE, DAY, datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), True),
        (Operator.EXISTS, None, object(), True),
    ],
)
def test_an_attribute_is_taken_for_what_it_is(operator, value, attribute, expected):
    matches = compile_condition(Comparison(attribute="x", operator=operator, value=value), {})

    assert matches(None, {"x": attribute}) is expected


@pytest.mark.parametrize(("operator", "value"), [(Operator.EQUALS, "team"), (Operator.ENDS_WITH, "team")])
def test_an_attribute_may_be_named_by_a_string_of_a_class_of_its_own(operator, value):
    condition = Comparison(attribute=Plan.TEAM, operator=operator, value=value)

    assert without_call(condition)[0] == "team"
    assert compile_condition(condition, {})(None, {"team": "team"}) is True
