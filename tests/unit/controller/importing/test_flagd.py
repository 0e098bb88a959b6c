"""Flags of flagd; those that this project exports come back as they were."""

import json

import pytest

from support.importing import Asked
from wavegate.evaluation import Generation, compile_ruleset, evaluate, ruleset_from_json
from wavegate_controller.documents.flagd import export
from wavegate_controller.domain.errors import Invalid


def flags(targeting, evaluators=None, **fields):
    search = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"} | fields
    return Asked("flagd", {"flags": {"search": search | {"targeting": targeting}}, "$evaluators": evaluators or {}})


def met(condition, **attributes):
    asked = flags({"if": [condition, "on"]})
    assert asked.lost("search") == []
    return asked("search", **attributes) == "on"


VAR = {"var": "plan"}


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ({"==": [VAR, "team"]}, ["team"], ["free", None]),
        ({"!==": ["team", VAR]}, ["free", None], ["team"]),
        ({"in": [VAR, ["team", "pro"]]}, ["pro"], ["free", None]),
        ({"in": ["@a.com", VAR]}, ["x@a.com"], ["x@b.com", None]),
        (VAR, ["x", 1, True], ["", 0, False, None]),
        ({"!": [VAR]}, ["", 0, None], ["x", 5]),
        ({"starts_with": [VAR, "te"]}, ["team"], ["pro", None]),
        ({">=": [VAR, 5]}, [5], [4, "5"]),
        ({"<": [1, VAR, 5]}, [2], [1, 5]),
        ({"sem_ver": [VAR, ">=", "2"]}, ["2.0.0"], ["1.9.0", "x"]),
        ({"sem_ver": [VAR, "^", "2.3.0"]}, ["2.9.0", "2.0.0"], ["3.0.0", "1.9.0"]),
        ({"sem_ver": [VAR, "!=", "2.3.0"]}, ["2.9.0"], ["2.3.0"]),
        ({"and": [{"!": [{"==": [VAR, "free"]}]}, {"or": [{"==": [VAR, "a"]}, {"==": [VAR, "b"]}]}]}, ["b"], ["c"]),
    ],
)
def test_a_condition_asks_the_same(condition, good, bad):
    assert all(met(condition, plan=value) for value in good)
    assert not any(met(condition, plan=value) for value in bad)


def test_branches_within_branches_are_rules():
    targeting = {
        "if": [
            {"==": [VAR, "team"]},
            {"if": [{"==": [{"var": "country"}, "NO"]}, "on"]},
            {"==": [VAR, "pro"]},
            True,
            None,
        ]
    }
    asked = flags(targeting, variants={"true": 1, "on": 2, "off": 3})

    assert asked("search", plan="team", country="NO") == "on"
    assert asked("search", plan="team", country="SE") == "off"
    assert asked("search", plan="pro") == "true"
    assert asked("search") == "off"


def test_an_evaluator_that_is_named_is_a_segment():
    asked = flags({"if": [{"$ref": "isTeam"}, "on"]}, evaluators={"isTeam": {"==": [VAR, "team"]}})

    assert list(asked.ruleset.segments) == ["is-team"]
    assert [asked("search", plan="team"), asked("search", plan="free")] == ["on", "off"]


@pytest.mark.parametrize("generation", Generation)
@pytest.mark.parametrize(
    "fields",
    [
        {"rollout": {"stable": "off", "candidate": "on", "weight": 31_700}},
        {"salt": "2026", "rollout": {"stable": "off", "candidate": "on", "weight": 50_000}},
        {"salt": "2026", "bucket_by": "company", "rollout": {"stable": "off", "candidate": "on", "weight": 50_000}},
        {
            "allow": {"on": ["person-1"]},
            "deny": ["person-2"],
            "rules": [{"if": {"attribute": "company", "operator": "in", "value": ["c-1", "c-2"]}, "serve": "on"}],
            "rollout": {"stable": "off", "candidate": "on", "weight": 10_000},
        },
    ],
)
def test_people_stay_in_their_variants(fields, generation):
    flag = {"variants": {"on": True, "off": False}, "default_variant": "off", "generation": generation.value} | fields
    document = {"schema": 1, "environment": "production", "revision": 1, "flags": {"search": flag}}
    original = ruleset_from_json(document)

    asked = Asked("flagd", export(original).document)

    assert asked.lost("search") == []
    wanted, there = compile_ruleset(original), compile_ruleset(asked.ruleset)
    for number in range(1000):
        key, attributes = f"person-{number}", {"company": f"c-{number % 50}"}
        before = evaluate(wanted, "search", key, None, attributes)
        after = evaluate(there, "search", key, None, attributes)
        assert after.variant == before.variant, key


def test_weights_of_any_total_are_shares():
    asked = flags({"fractional": [["on", 1], ["off", 2]]})

    assert asked.share("search", "on") == pytest.approx(33.3, abs=2.5)
    assert "targeting" in asked.minded("search")


@pytest.mark.parametrize(
    ("targeting", "why"),
    [
        ({"if": [{"+": [VAR, 1]}, "on"]}, "asks +"),
        ({"if": [{">": [{"var": "$flagd.timestamp"}, 5]}, "on"]}, "is no attribute"),
        ({"if": [{"==": [VAR, "a"]}, {"cat": ["o", "n"]}]}, "serves what is no variant by name"),
        ({"fractional": [VAR, ["on", 1], ["off", 1]]}, "splits people by something else"),
        ({"fractional": [["on", 1.5], ["off", 1]]}, "weighs a variant by 1.5"),
        ({"if": [{"$ref": "gone"}, "on"]}, "names the evaluator gone"),
    ],
)
def test_what_cannot_be_carried_over_is_left_out_and_named(targeting, why):
    asked = flags(targeting)

    assert asked.share("search", "on", people=20, plan="a") == 0
    assert why in asked.lost("search")[0]


def test_a_disabled_flag_serves_its_default():
    asked = flags({"if": [{"==": [VAR, "a"]}, "on"]}, state="DISABLED")

    assert asked("search", plan="a") == "off"
    assert asked.lost("search") == ["state: it is off at flagd, and what is off has no rules here"]


@pytest.mark.parametrize("document", [{}, {"flags": {"a": 1}}, {"flags": {"a": {"variants": {"A": 1, "a": 2}}}}])
def test_what_is_no_definition_is_refused(document):
    with pytest.raises(Invalid):
        Asked("flagd", json.loads(json.dumps(document)))
