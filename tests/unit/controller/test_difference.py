"""What would change, and who changed it: as applied last, as it is, as it is wanted."""

import pytest
from hypothesis import given, strategies

from wavegate_controller.domain.difference import Cause, differences

fields = strategies.dictionaries(strategies.sampled_from("abcd"), strategies.integers(0, 2))
DEFAULTS = dict.fromkeys("abcd", 0)


def one(applied, live, wanted):
    return [
        (change.field, change.live, change.wanted, change.cause)
        for change in differences(applied, {"a": live}, wanted, {"a": 0})
    ]


@pytest.mark.parametrize(
    ("applied", "live", "wanted", "changes"),
    [
        (None, 1, {"a": 1}, []),
        (None, 1, {"a": 2}, [("a", 1, 2, Cause.WANTED)]),
        (None, 1, {}, []),
        ({}, 1, {}, []),
        ({"a": 1}, 1, {"a": 2}, [("a", 1, 2, Cause.WANTED)]),
        ({"a": 1}, 2, {"a": 1}, [("a", 2, 1, Cause.DRIFT)]),
        ({"a": 1}, 2, {"a": 2}, []),
        ({"a": 1}, 2, {"a": 3}, [("a", 2, 3, Cause.BOTH)]),
        ({"a": 1}, 1, {}, [("a", 1, 0, Cause.WANTED)]),
        ({"a": 1}, 0, {}, []),
        ({"a": 1}, 2, {}, [("a", 2, 0, Cause.BOTH)]),
    ],
)
def test_each_case(applied, live, wanted, changes):
    assert one(applied, live, wanted) == changes


@given(applied=fields | strategies.none(), edits=fields, wanted=fields)
def test_after_applying_nothing_differs_and_what_nobody_applied_is_untouched(applied, edits, wanted):
    live = DEFAULTS | (applied or {}) | edits

    after = live | {change.field: change.wanted for change in differences(applied, live, wanted, DEFAULTS)}

    assert not list(differences(wanted, after, wanted, DEFAULTS))
    assert {name: after[name] for name in wanted} == wanted
    assert all(after[name] == live[name] for name in live if name not in wanted and name not in (applied or {}))


@given(applied=fields, edits=fields)
def test_drift_is_told_from_a_wish(applied, edits):
    live = DEFAULTS | applied | edits

    changes = list(differences(applied, live, applied, DEFAULTS))

    assert {change.field for change in changes} == {name for name in applied if live[name] != applied[name]}
    assert all(change.cause is Cause.DRIFT for change in changes)
