"""Flags from text are made when they are asked for, and nobody can tell but by the clock."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavegate.evaluation import Flag, InvalidRuleset, Rollout, Ruleset, ruleset_from_json, ruleset_to_json
from wavegate.evaluation.parsed_flags import is_plain

PLAIN = {
    "state": "enabled",
    "variants": {"on": True, "off": False},
    "default_variant": "off",
    "generation": "v3",
    "rollout": {"stable": "off", "candidate": "on", "weight": 10_000},
}


def document(**flags):
    return {"schema": 1, "environment": "production", "revision": 7, "flags": flags}


def read(**flags):
    return ruleset_from_json(json.dumps(document(**flags)))


odd = st.sampled_from(
    [None, True, False, 0, 1, -1, 2.5, 100_000, 100_001, "", "on", "off", "v2", "v3", "disabled", "é", "\ud800", [], {}]
)
variants = st.just(PLAIN["variants"]) | odd | st.dictionaries(st.sampled_from(["on", "off", "", "é", "\ud800"]), odd)
rollouts = (
    st.fixed_dictionaries(
        {}, optional={"stable": odd, "candidate": odd, "weight": odd | st.just(5), "holdout": odd, "more": odd}
    )
    | odd
)
documents = st.one_of(
    odd,
    st.fixed_dictionaries(
        {},
        optional={
            "state": odd,
            "variants": variants,
            "default_variant": odd,
            "generation": odd,
            "rollout": rollouts | st.just(PLAIN["rollout"]),
            "salt": odd,
            "rules": odd,
        },
    ),
    st.sampled_from([*PLAIN]).flatmap(lambda name: odd.map(lambda value: PLAIN | {name: value})),
    st.sampled_from([*PLAIN["rollout"]]).flatmap(
        lambda name: odd.map(lambda value: PLAIN | {"rollout": PLAIN["rollout"] | {name: value}})
    ),
)


def outcome(source):
    try:
        return ruleset_from_json(source)
    except InvalidRuleset as refused:
        return str(refused)


@given(key=st.sampled_from(["f", "", "é", "\ud800"]), flag=documents)
def test_a_ruleset_from_text_is_read_or_refused_as_the_same_ruleset_already_parsed_is(key, flag):
    """What is parsed already is read in full at once, so this holds each way against the other, to the last flag."""
    whole = document(**{"first": PLAIN, key: flag})

    assert outcome(json.dumps(whole)) == outcome(whole)


@pytest.mark.parametrize("without", [[], ["state"], ["generation"], ["rollout"], ["state", "generation", "rollout"]])
def test_what_most_flags_look_like_is_taken_for_plain(without):
    assert is_plain("f", {name: value for name, value in PLAIN.items() if name not in without})


def test_a_flag_is_made_once():
    ruleset = read(a=PLAIN)

    assert ruleset.flags["a"] is ruleset.flags["a"]
    assert ruleset.flags["a"] == Flag(
        key="a",
        variants={"on": True, "off": False},
        default_variant="off",
        rollout=Rollout(stable="off", candidate="on", weight=10_000),
    )


def test_flags_from_text_are_a_mapping_like_any_other():
    flags = read(a=PLAIN, b=PLAIN | {"salt": "s"}).flags

    assert [*flags] == ["a", "b"]
    assert len(flags) == 2
    assert "a" in flags
    assert "c" not in flags
    assert flags.get("c") is None
    with pytest.raises(KeyError, match="c"):
        flags["c"]
    assert repr(flags) == repr({**flags})


def test_rulesets_from_text_are_equal_when_their_flags_are_however_many_are_made():
    one, same, other = read(a=PLAIN), read(a=PLAIN), read(a=PLAIN | {"state": "disabled"})

    assert one == same
    assert one != other
    assert one.flags["a"] == same.flags["a"]
    assert one == read(a=PLAIN)
    assert one == read(a={name: value for name, value in PLAIN.items() if name != "state"})
    assert one == Ruleset(environment="production", revision=7, flags={"a": one.flags["a"]})


@pytest.mark.parametrize("again", [copy.deepcopy, lambda ruleset: pickle.loads(pickle.dumps(ruleset))])
def test_rulesets_from_text_can_be_copied_and_sent_to_other_processes(again):
    ruleset = read(a=PLAIN, b=PLAIN | {"salt": "s"})

    assert again(ruleset) == ruleset
    assert ruleset_to_json(again(ruleset)) == ruleset_to_json(ruleset)


def test_a_plain_flag_can_be_what_another_needs():
    needing = PLAIN | {"prerequisites": [{"flag": "a", "variants": ["sideways"]}]}

    with pytest.raises(InvalidRuleset, match=r"flags\.b\.prerequisites\[0\]\.variants\[0\]: is 'sideways'"):
        read(a=PLAIN, b=needing)


def test_who_changes_what_a_ruleset_was_read_from_changes_nothing():
    source = document(a=json.loads(json.dumps(PLAIN)))
    ruleset = ruleset_from_json(source)
    source["flags"]["a"]["rollout"]["weight"] = -1

    assert ruleset.flags["a"].rollout.weight == 10_000
