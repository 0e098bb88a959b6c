"""What differs between two documents."""

import pytest

from wavegate_controller.web.differences import Change, changes


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"a": 1, "b": {"c": [1, 2]}}, {"a": 1, "b": {"c": [1, 3]}}, [("b.c[1]", "2", "3")]),
        ({"deny": ["x"]}, {"deny": ["x", "y"]}, [("deny", '["x"]', '["x", "y"]')]),
        ({"on": True}, {"on": 1}, [("on", "true", "1")]),
        ({"a": ""}, {"b": ""}, [("a", '""', None), ("b", None, '""')]),
        (None, {"enabled": True}, [("", None, '{"enabled": true}')]),
        ({"a": None}, {"a": "text"}, [("a", "null", "text")]),
        ({"a": [1]}, {"a": [1]}, []),
        (None, None, []),
    ],
)
def test_each_path_that_differs_is_a_line(before, after, found):
    assert changes(before, after) == [Change(path=path, before=was, after=now) for path, was, now in found]


def test_a_long_value_is_cut_short():
    (change,) = changes({"prompt": "x" * 5000}, {"prompt": ""})

    assert change.before is not None
    assert len(change.before) == 600
