"""Deltas between rulesets: what they hold, and that who applies them has the very bytes."""

import json
import random
from pathlib import Path

import pytest

from support.schemas import DELTA
from wavegate.evaluation import ruleset_from_json, ruleset_to_json
from wavegate.evaluation.deltas import DeltaMismatch, apply_delta, delta_between, document_hash

GOLDEN = json.loads((Path(__file__).parents[2] / "spec" / "deltas.json").read_text())


def canonical(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def ruleset(revision, flags, segments=None):
    document = {"schema": 1, "environment": "production", "revision": revision, "flags": flags}
    if segments:
        document["segments"] = segments
    return ruleset_to_json(ruleset_from_json(document))


def flag(default="off", **variants):
    return {"variants": {"on": True, "off": False} | variants, "default_variant": default}


BEFORE = ruleset(1, {"search": flag(), "chat": flag()})
AFTER = ruleset(2, {"search": flag("on"), "new": flag()})


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_golden_deltas(case):
    before, after = canonical(case["before"]), canonical(case["after"])

    DELTA.validate(case["delta"])
    assert json.loads(delta_between(before, after)) == case["delta"]
    assert apply_delta(before, json.dumps(case["delta"])) == after


@pytest.mark.parametrize("case", GOLDEN["refused"], ids=lambda case: case["name"])
def test_golden_refusals(case):
    with pytest.raises(DeltaMismatch):
        apply_delta(canonical(case["before"]), json.dumps(case["delta"]))


def test_a_delta_has_only_what_changed_and_null_for_what_is_gone():
    delta = json.loads(delta_between(BEFORE, AFTER))

    assert set(delta["flags"]) == {"chat", "new", "search"}
    assert delta["flags"]["chat"] is None
    assert (delta["base"], delta["revision"], delta["hash"]) == (1, 2, document_hash(AFTER))
    assert "segments" not in delta


def test_values_that_python_takes_for_the_same_are_told_apart():
    before, after = (ruleset(number, {"a": flag(x=value)}) for number, value in ((1, 1), (2, 1.0)))

    assert apply_delta(before, delta_between(before, after)) == after
    assert "a" in json.loads(delta_between(before, after))["flags"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"base": None},
        {"revision": "2"},
        {"hash": "short"},
        {"schema": 2},
        {"flags": {"search": {"variants": {}}}},
        {"flags": {}},
        {"segments": {"teams": {"operator": "is"}}},
    ],
    ids=str,
)
def test_the_schema_refuses_what_is_no_delta(wrong):
    delta = json.loads(delta_between(BEFORE, AFTER))

    assert DELTA.is_valid(delta)
    assert not DELTA.is_valid(delta | wrong)


@pytest.mark.parametrize(
    "broken",
    [b"", b"[]", b"{}", b"null", delta_between(AFTER, BEFORE), delta_between(BEFORE, AFTER).replace(b"on", b"of")],
)
def test_whatever_does_not_fit_is_a_mismatch(broken):
    with pytest.raises(DeltaMismatch):
        apply_delta(BEFORE, broken)


def test_after_a_thousand_random_sequences_of_changes_the_bytes_are_those_of_the_newest():
    chance = random.Random(5)
    for sequence in range(1000):
        flags, segments = {}, {}
        held = newest = ruleset(1, flags)
        for revision in range(2, 2 + chance.randint(1, 6)):
            key = f"flag-{chance.randrange(6)}"
            if flags.pop(key, None) is None or chance.random() < 0.6:
                flags[key] = flag(
                    chance.choice(["on", "off"]), x=chance.choice([1, 1.0, True, "ö\u2028\n", {"a": [None]}])
                )
            if chance.random() < 0.3:
                segments = {"teams": {"attribute": "plan", "operator": "equals", "value": chance.choice(["a", 1])}}
            elif chance.random() < 0.3:
                segments = {}
            newest, before = ruleset(revision, flags, segments), newest
            delta = delta_between(before, newest)
            # Validating each would take seconds.
            assert sequence % 20 or DELTA.is_valid(json.loads(delta))
            held = apply_delta(held, delta)

        assert held == newest
