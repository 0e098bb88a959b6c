"""Patterns say what Python's `re` says, and never take long over it."""

import re
from itertools import product
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavegate.evaluation.pattern import LONGEST_TEXT, compile_pattern

atoms = st.sampled_from(["a", "b", "c", ".", "\\d", "\\W", "[ab]", "[^a]", "[a-c1]", "\\.", "\\$", "\n", "é"])
quantifiers = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}"])
bodies = st.recursive(
    st.builds("".join, st.lists(st.builds(str.__add__, atoms, quantifiers), min_size=1, max_size=4)),
    lambda inner: st.builds(
        "({}){}{}".format,
        st.builds("|".join, st.lists(inner, min_size=1, max_size=3)),
        quantifiers,
        st.one_of(st.just(""), inner),
    ),
    max_leaves=5,
)
texts = st.text("abc1.$\né ", max_size=12)


@given(body=bodies, at_start=st.booleans(), at_end=st.booleans(), text=texts)
def test_a_pattern_is_found_where_python_finds_it(body, at_start, at_end, text):
    found = compile_pattern(("^" if at_start else "") + body + ("$" if at_end else ""))

    expected = re.compile((r"\A" if at_start else "") + body + (r"\Z" if at_end else ""), re.ASCII).search(text)

    # Twice: the second time goes the way that the first has made.
    assert (found(text), found(text)) == (expected is not None,) * 2


@pytest.mark.parametrize("pattern", ["a|b", "(a|b)*c$", "^(ab?)+$", "a(b|ab)*b"])
def test_a_pattern_is_found_in_every_short_text_where_python_finds_it(pattern):
    found, expected = compile_pattern(pattern), re.compile(pattern)

    for length in range(7):
        for letters in product("abc", repeat=length):
            assert found("".join(letters)) == (expected.search("".join(letters)) is not None)


# Each takes Python's `re` from minutes to longer than the universe has been there.
@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^(a+)+$", "a" * 511 + "!"),
        ("^(a|a)*$", "a" * 511 + "!"),
        ("^(a|aa)+$", "a" * 511 + "!"),
        ("^([a-zA-Z]+)*$", "a" * 511 + "1"),
        ("(.*a){20}", "a" * 19 + "b" * 493),
        ("^(\\w+\\s?)*$", "word " * 102 + "!"),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 512),
        ("^([a-zA-Z0-9])(([\\-.]|[_]+)?([a-zA-Z0-9]+))*(@)$", "a" * 511 + "!"),
        ("(x+x+)+y", "x" * 512),
        ("^(a?){60}a{60}$", "a" * 59),
        (".*.*.*.*=.*", "x" * 512),
    ],
)
def test_patterns_that_other_engines_never_finish_take_milliseconds(pattern, text):
    found = compile_pattern(pattern)
    started = process_time()

    assert not found(text[:LONGEST_TEXT])
    assert process_time() - started < 0.25


def test_texts_made_to_fill_its_memory_do_not_make_a_pattern_slow_or_large():
    found = compile_pattern("(a|b)*a(a|b){9}c$")
    started = process_time()

    for number in range(300):
        assert not found(f"{number * 2654435761 % 2**48:048b}".replace("0", "a").replace("1", "b"))
        assert not found("".join(map(chr, range(1000 + number * 40, 1040 + number * 40))))

    assert process_time() - started < 5
    assert len(found.__closure__[0].cell_contents._states) <= 2049
    assert found("ab" * 20 + "c")
