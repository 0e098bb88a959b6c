"""YAML that says the same to everybody."""

import pytest

from wavegate_controller.documents.texts import read_texts
from wavegate_controller.domain.errors import Invalid

BOMB = "\n".join(
    ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("2026-01-01", "2026-01-01"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("010", "010"),
        ("true", True),
        ("null", None),
        ("", None),
        ("-7", -7),
        ("1.5e3", 1500.0),
        ('"7"', "7"),
    ],
)
def test_a_word_is_what_it_looks_like(text, value):
    assert list(read_texts(f"a: {text}")) == [{"a": value}]


def test_variants_may_be_called_on_and_off():
    assert list(read_texts("{variants: {on: true, off: false}}")) == [{"variants": {"on": True, "off": False}}]


def test_a_text_may_hold_several_documents_and_empty_ones_do_not_count():
    assert list(read_texts("---\na: 1\n---\n# nothing\n---\nb: 2\n")) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "'a' is given more than once, in line 3"),
        ("1: 2", "1 is no name"),
        ("a: [", "in line"),
        ("a: \x00", "is not YAML"),
        ("!!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("a: !!timestamp 2026-01-01", "could not determine a constructor"),
        (BOMB, "more than 100000 parts"),
        ("&x [*x]", "more than 100000 parts"),
        ("[" * 3000, "is not YAML"),
    ],
)
def test_what_would_be_read_in_two_ways_or_blow_up_is_refused(text, said):
    with pytest.raises(Invalid, match=said):
        list(read_texts(text))
