"""The SDK, the files in tests/spec and an independent computation agree."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from spec import reference
from wavegate import evaluation
from wavegate.evaluation import Generation, bucket_of, cohort_of, key_hash, ruleset_from_json

SPEC = Path(__file__).parents[2] / "spec"
BUCKETING = json.loads((SPEC / "bucketing.json").read_text())
EVALUATION = json.loads((SPEC / "evaluation.json").read_text())
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

    answered = {name: getattr(details, name) for name in ("value", "variant", "reason", "error_code", "cohort")}
    assert answered == {name: case.get(name, answered[name]) for name in answered}
    assert type(details.value) is type(case["value"])
    assert (details.error_message is None) == (details.error_code is None)


@pytest.mark.parametrize("group", EVALUATION, ids=lambda group: f"revision {group['ruleset']['revision']}")
def test_the_published_rulesets_fit_the_published_schema(group):
    schema = json.loads(Path(evaluation.__file__).with_name("ruleset.schema.json").read_text())
    Draft202012Validator.check_schema(schema)

    Draft202012Validator(schema).validate(group["ruleset"])
