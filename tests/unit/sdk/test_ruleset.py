"""A ruleset is valid or not constructed, and says where it is wrong."""

import json
import math
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from wavegate import evaluation
from wavegate.evaluation import (
    FULL_WEIGHT,
    AllOf,
    AnyOf,
    Comparison,
    Flag,
    Generation,
    Holdout,
    InSegment,
    InvalidRuleset,
    Not,
    Operator,
    Pilot,
    Prerequisite,
    Rollout,
    Rule,
    Ruleset,
    Share,
    Stale,
    WavegateError,
    ruleset_from_json,
    ruleset_to_json,
)

SCHEMA = Draft202012Validator(json.loads(Path(evaluation.__file__).with_name("ruleset.schema.json").read_text()))


def document(**changed):
    flag = {
        "state": "enabled",
        "variants": {"on": True, "off": False},
        "default_variant": "off",
        "rollout": {"stable": "off", "candidate": "on", "weight": 10_000},
    }
    return {"schema": 1, "environment": "production", "revision": 7, "flags": {"ai-summaries": flag | changed}}


def rollout(**changed):
    return {"stable": "off", "candidate": "on", "weight": 10_000} | changed


# What the JSON Schema sees as well; then what only the reader sees.
REFUSED_BY_SHAPE = [
    (document(rollout=rollout(weight=-1)), "flags.ai-summaries.rollout.weight", "-1"),
    (document(rollout=rollout(weight=100_001)), "flags.ai-summaries.rollout.weight", "100001"),
    (document(rollout=rollout(weight=True)), "flags.ai-summaries.rollout.weight", "True"),
    (document(rollout=rollout(weight=12.5)), "flags.ai-summaries.rollout.weight", "12.5"),
    (document(rollout=rollout(weight="10%")), "flags.ai-summaries.rollout.weight", "10%"),
    (document(rollout={"stable": "off", "weight": 1}), "flags.ai-summaries.rollout.candidate", "missing"),
    (document(rollout="10%"), "flags.ai-summaries.rollout", "a string"),
    (document(state="on"), "flags.ai-summaries.state", "'on'"),
    (document(state=True), "flags.ai-summaries.state", "True"),
    (document(variants={}), "flags.ai-summaries.variants", "no variant"),
    (document(variants={"": 1}), "flags.ai-summaries.variants", "''"),
    (document(variants=["on"]), "flags.ai-summaries.variants", "a list"),
    (document(generation="v1"), "flags.ai-summaries.generation", "v1"),
    (document(generation=["v3"]), "flags.ai-summaries.generation", "v3"),
    (document(salt=""), "flags.ai-summaries.salt", "''"),
    (document(bucket_by=5), "flags.ai-summaries.bucket_by", "5"),
    (document() | {"flags": {"": document()["flags"]["ai-summaries"]}}, "flags", "''"),
    (document() | {"flags": {"a": None}}, "flags.a", "null"),
    (document() | {"flags": []}, "flags", "a list"),
    (document() | {"schema": 2}, "schema", "2"),
    (document() | {"schema": "1"}, "schema", "'1'"),
    (document() | {"revision": -1}, "revision", "-1"),
    (document() | {"revision": "7"}, "revision", "'7'"),
    (document() | {"environment": ""}, "environment", "''"),
    ({"schema": 1, "environment": "production", "revision": 7}, "flags", "missing"),
    ({}, "schema", "missing"),
    ([], "ruleset", "a list"),
]
REFUSED_BY_SENSE = [
    (document(default_variant="of"), "flags.ai-summaries.default_variant", "'of'"),
    (document(rollout=rollout(stable="of")), "flags.ai-summaries.rollout.stable", "'of'"),
    (document(rollout=rollout(candidate="om")), "flags.ai-summaries.rollout.candidate", "'om'"),
    (document(rollout=rollout(candidate="off")), "flags.ai-summaries.rollout.candidate", "stable variant"),
    (document(salt="\ud800"), "flags.ai-summaries.salt", "ud800"),
]


@pytest.mark.parametrize(("wrong", "path", "found"), REFUSED_BY_SHAPE + REFUSED_BY_SENSE)
def test_a_malformed_ruleset_is_refused_whole_with_the_place_and_what_was_found(wrong, path, found):
    with pytest.raises(InvalidRuleset) as refused:
        ruleset_from_json(wrong)

    assert refused.value.path == path
    assert found in refused.value.problem
    assert str(refused.value) == f"{path}: {refused.value.problem}; {refused.value.expected}"
    assert isinstance(refused.value, WavegateError | ValueError)


@pytest.mark.parametrize(("wrong", "path", "found"), REFUSED_BY_SHAPE)
def test_the_published_schema_refuses_what_the_reader_refuses(wrong, path, found):
    assert not SCHEMA.is_valid(wrong)


def test_the_message_for_a_wrong_weight_says_what_would_be_right():
    with pytest.raises(InvalidRuleset, match=r"is 100001; give an integer from 0 to 100000"):
        ruleset_from_json(document(rollout=rollout(weight=100_001)))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "is not JSON"),
        (b"<html>", "is not JSON"),
        (b"\xff\xfe\xfa", "is not JSON"),
        (b'{"schema": NaN}', "holds NaN"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"schema": ' + b"1" * 5000 + b"}", "is not JSON"),
        ("null", "is null"),
    ],
)
def test_text_that_is_no_ruleset_is_refused(text, problem):
    with pytest.raises(InvalidRuleset, match=problem):
        ruleset_from_json(text)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, {1: "a"}, {"a": {"b": math.nan}}, ["\ud800"], object(), (1, 2), b"bytes"]
)
def test_a_variant_must_be_what_json_can_carry(value):
    with pytest.raises(InvalidRuleset, match=r"flags\.model\.variants\.a"):
        Flag(key="model", variants={"a": value}, default_variant="a")


def test_a_variant_nested_past_the_limit_is_refused():
    value = []
    for _ in range(40):
        value = [value]

    with pytest.raises(InvalidRuleset, match="use 32 levels at most"):
        Flag(key="model", variants={"a": value}, default_variant="a")


def test_a_flag_is_filed_under_its_own_key():
    flag = Flag(key="one", variants={"on": True}, default_variant="on")

    with pytest.raises(InvalidRuleset, match=r"flags\.other: holds the flag 'one'"):
        Ruleset(environment="production", revision=1, flags={"other": flag})


def test_a_refusal_survives_pickling_as_process_pools_do_it():
    refused = InvalidRuleset("revision", "is -1", "give an integer, 0 or more")

    assert str(pickle.loads(pickle.dumps(refused))) == str(refused)


def test_unknown_fields_are_ignored():
    known = document()
    newer = document(horoscope=[{"if": "anything"}], rollout=rollout(ramp="fast")) | {"signed_by": "somebody"}

    assert ruleset_from_json(newer) == ruleset_from_json(known)


def test_what_may_be_left_out_has_a_default():
    flag = ruleset_from_json(
        document() | {"flags": {"a": {"variants": {"on": True}, "default_variant": "on", "salt": None}}}
    ).flags["a"]

    assert flag == Flag(key="a", variants={"on": True}, default_variant="on")
    assert (flag.enabled, flag.generation) == (True, Generation.V3)


def test_a_flag_with_a_rollout_and_nothing_more_is_written_with_nothing_more():
    ruleset = ruleset_from_json(document(deny=[], allow={}, rules=None, pilot=None, prerequisites=[], stale="keep"))

    assert ruleset_to_json(ruleset) == (
        b'{"environment":"production","flags":{"ai-summaries":{"default_variant":"off","generation":"v3",'
        b'"rollout":{"candidate":"on","stable":"off","weight":10000},"state":"enabled",'
        b'"variants":{"off":false,"on":true}}},"revision":7,"schema":1}'
    )


def test_flags_whose_prerequisites_double_are_refused_before_they_cost_anything():
    def needing(key, *others):
        needs = tuple(Prerequisite(flag=other, variants=("on",)) for other in others)
        return Flag(key=key, variants={"on": True}, default_variant="on", prerequisites=needs)

    flags = [needing("f0")] + [needing(f"f{n}", f"f{n - 1}", f"f{n - 1}") for n in range(1, 60)]

    with pytest.raises(InvalidRuleset, match="ask too many others; let it need 64 at most") as refused:
        Ruleset(environment="e", revision=1, flags={flag.key: flag for flag in flags})

    assert refused.value.path == "flags.f6.prerequisites[1]"


@pytest.mark.parametrize("reverse", [False, True])
def test_a_chain_of_prerequisites_longer_than_the_stack_is_refused(reverse):
    chain = {
        f"f{n}": Flag(
            key=f"f{n}",
            variants={"on": True},
            default_variant="on",
            prerequisites=() if n == 0 else (Prerequisite(flag=f"f{n - 1}", variants=("on",)),),
        )
        for n in range(5000)
    }

    with pytest.raises(InvalidRuleset, match="ask too many others"):
        Ruleset(environment="e", revision=1, flags=dict(reversed(chain.items())) if reverse else chain)


def test_a_chain_of_segments_longer_than_the_stack_is_refused():
    last = {"s0": Comparison(attribute="x", operator=Operator.EXISTS)}
    segments = {f"s{n}": InSegment(f"s{n - 1}") for n in range(5000, 0, -1)} | last

    with pytest.raises(InvalidRuleset, match="nested too deeply; use 16 levels at most"):
        Ruleset(environment="e", revision=1, segments=segments)


def test_a_condition_deeper_than_the_stack_is_refused():
    condition = Comparison(attribute="x", operator=Operator.EXISTS)
    for _ in range(5000):
        condition = Not(condition)

    with pytest.raises(InvalidRuleset, match="nested too deeply"):
        Ruleset(environment="e", revision=1, segments={"s": condition})


def test_the_written_form_does_not_depend_on_the_order_of_anything():
    one = document() | {"flags": {"a": document()["flags"]["ai-summaries"], "ß": document()["flags"]["ai-summaries"]}}
    other = dict(reversed(one.items())) | {"flags": dict(reversed(one["flags"].items()))}

    written = ruleset_to_json(ruleset_from_json(one))

    assert written == ruleset_to_json(ruleset_from_json(other))
    assert written.startswith(b'{"environment":"production","flags":{"a":{"default_variant":"off","generation"')
    assert "ß".encode() in written


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


scalars = text | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
several = st.lists(scalars, min_size=1, max_size=3).map(tuple)
affixes = text | st.lists(text, min_size=1, max_size=3).map(tuple)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
versions = st.sampled_from(["1.0.0", "2.10.0-rc.1", "0.0.1-a.b+c"])
instants = st.sampled_from(["2026-03-01T00:00:00Z", "2026-03-01T00:00+05:30", "1999-12-31T23:59:59.999999-08:00"])
OPERANDS = {
    Operator.EQUALS: scalars,
    Operator.IN: several,
    Operator.CONTAINS: scalars.filter(lambda value: value != "") | several,
    Operator.STARTS_WITH: affixes,
    Operator.ENDS_WITH: affixes,
    Operator.MATCHES: st.sampled_from(["a", "^(a|b)+\\.$"]),
    Operator.EXISTS: st.none(),
}


@st.composite
def comparisons(draw):
    operator = draw(st.sampled_from(Operator))
    others = versions if "semver" in operator else instants if "date" in operator else numbers
    return Comparison(attribute=draw(text), operator=operator, value=draw(OPERANDS.get(operator, others)))


conditions = st.recursive(
    comparisons() | st.just(InSegment("nordics")),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda items: AllOf(tuple(items)))
        | st.lists(inner, min_size=1, max_size=3).map(lambda items: AnyOf(tuple(items)))
        | inner.map(Not)
    ),
    max_leaves=4,
)
people = st.lists(text, max_size=3, unique=True).map(tuple)


@st.composite
def serves(draw, variants):
    names = draw(st.lists(st.sampled_from(variants), min_size=1, unique=True))
    first = draw(st.integers(0, FULL_WEIGHT))
    if len(names) == 1 and draw(st.booleans()):
        return names[0]
    weights = [FULL_WEIGHT] if len(names) == 1 else [first, FULL_WEIGHT - first, *[0] * (len(names) - 2)]
    return tuple(Share(variant=name, weight=weight) for name, weight in zip(names, weights, strict=True))


@st.composite
def pilots(draw):
    keys, condition = draw(people), draw(st.none() | conditions)
    return Pilot(
        keys=keys,
        condition=draw(conditions) if condition is None and not keys else condition,
        limit=draw(st.none() | st.integers(3, 20)) if keys else None,
        opted_out=draw(people),
    )


@st.composite
def flags(draw):
    variants = draw(st.dictionaries(text, json_values, min_size=2, max_size=4))
    stable, candidate = draw(st.permutations(sorted(variants)))[:2]
    holdouts = st.builds(Holdout, weight=st.integers(0, FULL_WEIGHT), salt=st.none() | text)
    moving = st.builds(
        Rollout,
        stable=st.just(stable),
        candidate=st.just(candidate) | serves([name for name in sorted(variants) if name != stable]),
        weight=st.integers(0, FULL_WEIGHT),
        holdout=st.none() | holdouts,
    )
    rollout = draw(st.none() | moving)
    rules = st.builds(Rule, condition=conditions, serve=serves(sorted(variants)), name=st.none() | text)
    return Flag(
        key=draw(text),
        variants=variants,
        default_variant=draw(st.sampled_from(sorted(variants))),
        enabled=draw(st.booleans()),
        salt=draw(st.none() | text),
        bucket_by=draw(st.none() | text),
        generation=draw(st.sampled_from(Generation)),
        rollout=rollout,
        deny=draw(people),
        allow=draw(st.just({}) | people.map(lambda keys: {stable: keys})),
        rules=tuple(draw(st.lists(rules, max_size=2))),
        pilot=None if rollout is None else draw(st.none() | pilots()),
        stale=draw(st.sampled_from(Stale)),
    )


@given(
    environment=text,
    revision=st.integers(0, 2**53),
    flags=st.lists(flags(), max_size=4, unique_by=lambda flag: flag.key),
)
def test_a_ruleset_survives_the_wire_and_fits_the_published_schema(environment, revision, flags):
    needing = Flag(
        key="needs all",
        variants={"on": 1},
        default_variant="on",
        prerequisites=tuple(Prerequisite(flag=flag.key, variants=tuple(flag.variants)) for flag in flags),
    )
    ruleset = Ruleset(
        environment=environment,
        revision=revision,
        flags={flag.key: flag for flag in flags} | {needing.key: needing},
        segments={"nordics": Comparison(attribute="country", operator=Operator.IN, value=("NO", "SE"))},
    )

    written = ruleset_to_json(ruleset)

    assert ruleset_from_json(written) == ruleset
    assert ruleset_to_json(ruleset_from_json(written)) == written
    SCHEMA.validate(json.loads(written))
