"""flagd's flag definitions: what becomes of a flag, and what is refused. Agreement with flagd's own evaluators is
measured in tests/benchmarks/flagd_agreement."""

import json
import os
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from wavegate.evaluation import Generation, ruleset_from_json
from wavegate_controller.documents.flagd import export

SPECS = Path(os.environ.get("WAVEGATE_SPECS") or Path(__file__).parents[4] / "shared" / "specs") / "flagd-schema"
FLAG = {"variants": {"on": True, "off": False}, "default_variant": "off"}
HALF = {"rollout": {"stable": "off", "candidate": "on", "weight": 50_000}}
SHARES = [{"variant": "on", "weight": 30_000}, {"variant": "off", "weight": 70_000}]
KEY = {"var": "targetingKey"}


def exported(generation=None, segments=None, **flags):
    document = {"schema": 1, "environment": "production", "revision": 7, "flags": flags, "segments": segments or {}}
    return export(ruleset_from_json(json.loads(json.dumps(document))), generation)


def targeting(**fields):
    result = exported(search=FLAG | fields)
    assert not result.refused
    return result.document["flags"]["search"].get("targeting")


def asked(attribute, operator, value):
    condition = {"attribute": attribute, "operator": operator, "value": value}
    return targeting(rules=[{"if": condition, "serve": "on"}])["if"][0]


def refusal(**fields):
    result = exported(search=FLAG | fields)
    assert "search" not in result.document["flags"]
    return result.refused["search"]


def test_a_flag_without_targeting_is_its_default_variant():
    flag = exported(search=FLAG).document["flags"]["search"]

    assert flag == {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}


def test_a_flag_that_is_switched_off_goes_on_serving_its_default_variant():
    flag = exported(search=FLAG | HALF | {"state": "disabled"}).document["flags"]["search"]

    # A flag that flagd knows as disabled gives apps the default in their own code, whatever that is.
    assert flag["state"] == "ENABLED"
    assert "targeting" not in flag
    assert flag["metadata"] == {"disabled": True}


def test_a_percentage_is_split_by_flagds_own_hash_of_the_flag_key():
    assert targeting(**HALF) == {"fractional": [["on", 50_000], ["off", 50_000]]}


def test_a_salt_is_joined_to_the_key():
    split = {"fractional": [{"cat": ["spring", KEY]}, ["on", 50_000], ["off", 50_000]]}

    assert targeting(**HALF, salt="spring") == {"if": [{"!": [KEY]}, None, split]}


def test_who_has_no_company_is_in_no_arm():
    company = {"var": "company"}

    logic = targeting(**HALF, bucket_by="company")

    assert logic["if"][:2] == [{"!": [company]}, None]
    assert logic["if"][2]["fractional"][0] == {"cat": ["search", company]}


def test_at_full_weight_everybody_has_the_candidate():
    rollout = {"stable": "off", "candidate": "on", "weight": 100_000}

    assert targeting(rollout=rollout) == {"if": [True, "on"]}


def test_steps_come_in_the_order_of_the_sdk():
    logic = targeting(
        **HALF,
        deny=["d"],
        allow={"on": ["a"]},
        rules=[{"if": {"attribute": "plan", "operator": "equals", "value": "team"}, "serve": "on"}],
        pilot={"keys": ["p", "q"], "opted_out": ["q"]},
    )

    conditions, served = logic["if"][:-1:2], logic["if"][1::2]
    assert conditions == [
        {"in": [KEY, ["d"]]},
        {"in": [KEY, ["a"]]},
        {"===": [{"var": "plan"}, "team"]},
        {"in": [KEY, ["p"]]},
    ]
    assert served == ["off", "on", "on", "on"]
    assert logic["if"][-1] == {"fractional": [["on", 50_000], ["off", 50_000]]}


def test_a_hold_out_is_asked_beside_the_percentage():
    logic = targeting(rollout=HALF["rollout"] | {"holdout": {"weight": 5_000}})

    held = {"fractional": [{"cat": ["search:holdout:", KEY]}, ["out", 5_000], ["in", 95_000]]}
    share = {"fractional": [["in", 50_000], ["out", 50_000]]}
    assert logic["if"][2] == {
        "if": [{"and": [{"==": [share, "in"]}, {"==": [held, "in"]}]}, "on", "off"],
    }


def test_a_needed_flag_is_written_out():
    needed = FLAG | HALF | {"salt": "spring"}
    result = exported(needed=needed, search=FLAG | {"prerequisites": [{"flag": "needed", "variants": ["on"]}]})

    unmet, served, rest = result.document["flags"]["search"]["targeting"]["if"]
    assert unmet["!"][0]["in"][1] == ["on"]
    assert unmet["!"][0]["in"][0] == result.document["flags"]["needed"]["targeting"]
    assert (served, rest) == ("off", "off")


def test_a_segment_is_written_out():
    condition = {"attribute": "country", "operator": "in", "value": ["NO", "SE"]}
    flag = FLAG | {"rules": [{"if": {"segment": "nordic"}, "serve": "on"}]}

    result = exported(segments={"nordic": condition}, search=flag)

    assert result.document["flags"]["search"]["targeting"]["if"][0] == {"in": [{"var": "country"}, ["NO", "SE"]]}


@pytest.mark.parametrize(
    ("condition", "logic"),
    [
        (("seats", ">", 5), {"and": [{"!==": [{"var": "seats"}, None]}, {">": [{"var": "seats"}, 5]}]}),
        (("seats", "exists", None), {"!==": [{"var": "seats"}, None]}),
        (("email", "ends_with", "@a"), {"ends_with": [{"var": "email"}, "@a"]}),
        (("email", "starts_with", ["a", "b"]), {"or": [{"starts_with": [{"var": "email"}, x]} for x in "ab"]}),
        (("tags", "contains", "beta"), {"in": ["beta", {"var": "tags"}]}),
        (("targeting_key", "equals", "me"), {"===": [KEY, "me"]}),
        (
            ("version", "semver>=", "2.0.0"),
            {"and": [{"!==": [{"var": "version"}, None]}, {"sem_ver": [{"var": "version"}, ">=", "2.0.0"]}]},
        ),
    ],
)
def test_a_condition_is_said_in_json_logic(condition, logic):
    assert asked(*condition) == logic


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"variants": {"on": 1, "off": "x"}}, "not all booleans"),
        ({"variants": {"on": [1], "off": [2]}}, "not all booleans"),
        ({"variants": {"on": None, "off": None}}, "not all booleans"),
        ({"rules": [{"if": {"attribute": "e", "operator": "matches", "value": "^a"}, "serve": "on"}]}, "regular"),
        ({"rules": [{"if": {"attribute": "a.b", "operator": "equals", "value": "x"}, "serve": "on"}]}, "dot"),
        ({"rules": [{"if": {"attribute": "$flagd", "operator": "equals", "value": "x"}, "serve": "on"}]}, "keeps"),
        ({"rules": [{"if": {"attribute": "n", "operator": "contains", "value": [1]}, "serve": "on"}]}, "list"),
        (
            {
                "rules": [
                    {"if": {"attribute": "d", "operator": "date<", "value": "2026-03-01T09:00:00Z"}, "serve": "on"}
                ]
            },
            "dates",
        ),
    ],
)
def test_what_flagd_cannot_say_is_refused_with_the_reason(fields, reason):
    assert reason in refusal(**fields)


def test_a_needed_flag_that_is_split_by_its_own_key_can_be_said_in_v2_only():
    def both(generation):
        base = FLAG | HALF | {"generation": generation}
        need = {"prerequisites": [{"flag": "needed", "variants": ["on"]}]}
        return exported(needed=base, search=base | need)

    assert "salt it" in both("v3").refused["search"]
    assert not both("v2").refused


def test_a_reader_of_one_generation_is_refused_what_the_other_one_splits():
    flags = {"old": FLAG | HALF | {"generation": "v2"}, "new": FLAG | HALF, "static": FLAG | {"generation": "v2"}}

    result = exported(Generation.V3, **flags)

    assert set(result.document["flags"]) == {"new", "static"}
    assert "generation v2" in result.refused["old"]


def test_the_document_says_what_it_is_of_and_what_it_lacks():
    rule = {"if": {"attribute": "e", "operator": "matches", "value": "^a"}, "serve": "on"}

    metadata = exported(search=FLAG, odd=FLAG | {"rules": [rule]}).document["metadata"]

    assert metadata == {
        "flagSetId": "production",
        "version": "7",
        "refused": "odd: matches a regular expression, which flagd does not know",
    }


@pytest.mark.skipif(not SPECS.exists(), reason="flagd's schemas are not here; WAVEGATE_SPECS may name their folder")
def test_all_that_is_exported_is_valid_against_flagds_schemas():
    flags, rules = (json.loads((SPECS / name).read_text("utf-8")) for name in ("flags.json", "targeting.json"))
    registry = Registry().with_resource("./targeting.json", Resource.from_contents(rules))
    conditions = [
        ("seats", ">=", 5),
        ("seats", "equals", 5),
        ("seats", "in", [1, "x", True]),
        ("seats", "exists", None),
        ("email", "ends_with", ["@a", "@b"]),
        ("version", "semver<", "2.0.0-rc.1"),
    ]
    written = [
        {"if": {"attribute": name, "operator": operator, "value": value}, "serve": SHARES}
        for name, operator, value in conditions
    ]
    every = {"all": [written[0]["if"], {"not": written[1]["if"]}, {"any": [written[2]["if"]]}]}
    full = FLAG | {
        "salt": "s",
        "bucket_by": "company",
        "rollout": {"stable": "off", "candidate": "on", "weight": 5_000, "holdout": {"weight": 1_000}},
        "rules": [*written, {"if": every, "serve": "on"}],
        "deny": ["a"],
        "allow": {"on": ["b"]},
        "pilot": {"if": written[0]["if"], "opted_out": ["c"]},
    }
    kinds = {
        f"kind-{number}": {"variants": {"a": value, "b": value}, "default_variant": "a"}
        for number, value in enumerate((True, 2.5, "x", {"model": "small", "list": [1]}))
    }

    result = exported(plain=FLAG, full=full, off=FLAG | HALF | {"state": "disabled"}, half=FLAG | HALF, **kinds)

    assert not result.refused
    assert not list(Draft7Validator(flags, registry=registry).iter_errors(result.document))
