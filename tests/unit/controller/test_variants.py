"""Variants as rows of a form, and two people's changes put together."""

import pytest

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.web.merging import Clash, merge
from wavegate_controller.web.variants import Row, notes, read_rows, rows_of


def test_what_rows_are_made_of_they_give_back():
    variants = {"on": True, "small": {"model": "small", "stops": ["\n"]}, "text": "ß", "none": None}

    assert read_rows([*rows_of(variants), Row()]) == variants


@pytest.mark.parametrize(
    ("rows", "field", "problem"),
    [
        ([Row(name="on", text="true"), Row(name="off", text="no")], "variants[1]", "is no JSON at line 1, column 1"),
        ([Row(name="on", text='{\n"a": }')], "variants[0]", "is no JSON at line 2, column 6"),
        ([Row(text="true")], "variants[0]", "has a value and no name"),
        ([Row(name="on", text="1"), Row(name="on", text="2")], "variants[1]", "is 'on' again"),
        ([Row(name="on", text="NaN")], "variants[0]", "NaN is no number of JSON"),
        ([Row(name="on", text="[" * 100_000)], "variants[0]", "is nested too deeply"),
    ],
)
def test_a_row_that_gives_no_variant_is_named(rows, field, problem):
    with pytest.raises(Invalid) as refused:
        read_rows(rows)

    assert refused.value.field == field
    assert refused.value.problem.startswith(problem)


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ({"on": True, "off": False}, []),
        ({"a": 1, "b": 1.5}, []),
        ({"on": True, "off": 0}, ["The variants are of several types: on is a boolean, off is a number."]),
        ({"a": {"model": "x"}, "b": {"model": "y", "top_p": 1}}, ["a lacks top_p"]),
        ({"a": {"top_p": "1"}, "b": {"top_p": 1}}, ["top_p is a number here and a string there."]),
    ],
)
def test_what_apps_would_stumble_over_is_said(variants, said):
    found = list(notes(variants))

    assert len(found) == len(said)
    assert all(note.startswith(beginning) for note, beginning in zip(found, said, strict=True))


def test_what_only_they_changed_is_taken_and_what_both_changed_is_shown():
    base = {"description": "old", "salt": None, "variants": {"on": True}}
    theirs = {"description": "theirs", "salt": "spring", "variants": {"on": True}}
    mine = {"description": "mine", "salt": None, "variants": {"on": 1}}

    merged = merge(base, theirs, mine)

    assert merged.document == {"description": "mine", "salt": "spring", "variants": {"on": 1}}
    assert merged.taken == ["salt"]
    assert merged.clashes == [Clash(field="description", base="old", theirs="theirs", mine="mine")]


def test_two_who_changed_the_same_to_the_same_do_not_clash():
    assert merge({"a": 1}, {"a": 2}, {"a": 2}).clashes == []
