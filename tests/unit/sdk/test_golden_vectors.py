"""The SDK, the files in tests/spec and an independent computation agree."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from spec import reference
from wavegate import evaluation
from wavegate.evaluation import Generation, InvalidRuleset, bucket_of, cohort_of, key_hash, ruleset_from_json
from wavegate.evaluation.semver import read_version

SCHEMA = Draft202012Validator(json.loads(Path(evaluation.__file__).with_name("ruleset.schema.json").read_text()))
SPEC = Path(__file__).parents[2] / "spec"
BUCKETING = json.loads((SPEC / "bucketing.json").read_text())
EVALUATION = [
    group for name in ("evaluation", "targeting") for group in json.loads((SPEC / f"{name}.json").read_text())
]
CONDITIONS = json.loads((SPEC / "conditions.json").read_text())
VERSIONS = json.loads((SPEC / "versions.json").read_text())
REFUSALS = json.loads((SPEC / "refusals.json").read_text())
CASES = [(group["ruleset"], case) for group in EVALUATION for case in group["cases"]]


def test_the_reference_hash_has_murmur3s_own_verification_value():
    hashes = [reference.murmur3_x86_32(bytes(range(length)), 256 - length) for length in range(256)]
    together = b"".join(one.to_bytes(4, "little") for one in hashes)

    assert reference.murmur3_x86_32(together) == 0xB0F57EE3


@pytest.mark.parametrize(
    ("text", "encoded"),
    # RFC 8949, appendix A; then the lengths it gives no example of, from its section 3.
    [
        ("", "60"),
        ("a", "6161"),
        ("IETF", "6449455446"),
        ("\u00fc", "62c3bc"),
        ("\u6c34", "63e6b0b4"),
        ("k" * 24, "7818" + "6b" * 24),
        ("k" * 256, "790100" + "6b" * 256),
        ("k" * 65536, "7a00010000" + "6b" * 65536),
    ],
)
def test_the_reference_encoder_writes_cbor(text, encoded):
    assert reference.cbor_text(text).hex() == encoded


def test_the_published_vectors_are_what_the_reference_computes():
    assert reference.vectors() == BUCKETING


@pytest.mark.parametrize("generation", list(Generation))
def test_the_sdk_hashes_every_vector_as_published(generation):
    for vector in (line for line in BUCKETING if line["generation"] == generation):
        hashed = key_hash(generation, vector["salt"] * vector["salt_times"], joined=vector["joined"])(
            vector["key"] * vector["key_times"]
        )

        assert hashed == vector["hash"], vector
        assert bucket_of(hashed) == vector["bucket"], vector
        assert cohort_of(hashed) == vector["cohort"], vector


@pytest.mark.parametrize(("document", "case"), CASES, ids=[case["why"] for _, case in CASES])
def test_the_sdk_answers_every_case_as_published(document, case):
    flags = evaluation.compile_ruleset(ruleset_from_json(document))

    details = evaluation.evaluate(flags, case["flag_key"], case["targeting_key"], case["default"], case["attributes"])

    promised = ("value", "variant", "reason", "error_code", "decided_by", "cohort")
    answered = {name: getattr(details, name) for name in promised}
    assert answered == {name: case.get(name, answered[name]) for name in answered}
    assert type(details.value) is type(case["value"])
    assert (details.error_message is None) == (details.error_code is None)


def asking(condition):
    flag = {
        "variants": {"on": True, "off": False},
        "default_variant": "off",
        "rules": [{"if": condition, "serve": "on"}],
    }
    return {
        "schema": 1,
        "environment": "production",
        "revision": 1,
        "segments": CONDITIONS["segments"],
        # With a rollout, too: then rule and percentage are one closure.
        "flags": {
            "asked": flag,
            "rolled": flag
            | {
                "rollout": {"stable": "off", "candidate": "off-too", "weight": 50_000},
                "variants": flag["variants"] | {"off-too": False},
            },
        },
    }


@pytest.mark.parametrize("case", CONDITIONS["cases"], ids=[case["why"] for case in CONDITIONS["cases"]])
def test_a_condition_fits_whom_it_is_published_to_fit(case):
    document = asking(case["condition"])

    flags = evaluation.compile_ruleset(ruleset_from_json(document))

    answers = [
        evaluation.evaluate(flags, key, case["targeting_key"], attributes=case["attributes"]).value is True
        for key in ("asked", "rolled")
    ]
    assert answers == [case["matches"]] * 2
    SCHEMA.validate(document)


@pytest.mark.parametrize("text", VERSIONS["invalid"])
def test_what_is_no_version_is_none(text):
    assert read_version(text) is None


def test_versions_are_read_and_ordered_as_published():
    ascending = [read_version(text) for text in VERSIONS["ascending"]]

    assert None not in [read_version(text) for text in VERSIONS["valid"]]
    assert all(earlier < later for earlier, later in pairwise(ascending))
    assert all(len({read_version(text) for text in same}) == 1 for same in VERSIONS["equal"])


@pytest.mark.parametrize("case", REFUSALS, ids=[case["why"] for case in REFUSALS])
def test_a_mistake_is_refused_at_the_published_place(case):
    with pytest.raises(InvalidRuleset) as refused:
        ruleset_from_json(case["ruleset"])

    assert refused.value.path == case["path"]


@pytest.mark.parametrize("group", EVALUATION, ids=lambda group: f"revision {group['ruleset']['revision']}")
def test_the_published_rulesets_fit_the_published_schema(group):
    SCHEMA.check_schema(SCHEMA.schema)

    SCHEMA.validate(group["ruleset"])
