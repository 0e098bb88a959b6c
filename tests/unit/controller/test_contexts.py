"""An evaluation context as people write it."""

import pytest

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.web.contexts import read_attributes


def test_lines_give_numbers_truths_lists_and_text():
    text = 'country=NO\nage = 34\nbeta=true\nversion="2.10"\ngroups=["a","b"]\n\nurl=https://acme.example/?a=b\nnone=null\nempty='

    assert read_attributes(text) == {
        "country": "NO",
        "age": 34,
        "beta": True,
        "version": "2.10",
        "groups": ["a", "b"],
        "url": "https://acme.example/?a=b",
        "none": "null",
        "empty": "",
    }


def test_an_object_is_taken_as_it_is():
    assert read_attributes(' {"country": "NO", "age": null} ') == {"country": "NO", "age": None}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("country", "line 1, 'country', has no key and value"),
        ("a=1\n=2", "line 2, '=2', has no key and value"),
        ("a=1\na=2", "line 2 gives 'a' again"),
        ('a="x', 'a begins with " and is no JSON'),
        ('{"a": }', "is no JSON at line 1, column 7: Expecting value"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ("{" * 100_000, "is no JSON at line 1, column 2: Expecting property name enclosed in double quotes"),
        ('{"a":' + "[" * 100_000, "is nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text, problem):
    with pytest.raises(Invalid) as refused:
        read_attributes(text)

    assert refused.value.problem == problem
