"""Each step of an evaluation, held to the evaluator itself on every golden case of tests/spec."""

import json
from pathlib import Path

import pytest

from wavegate.evaluation import ErrorCode, Reason, ruleset_from_json
from wavegate_controller.domain.playground import Outcome, Playground
from wavegate_controller.web.targeting import condition_sentence, step_sentence, step_title

SPEC = Path(__file__).parents[2] / "spec"
CASES = [
    (group["ruleset"], case)
    for name in ("evaluation", "targeting")
    for group in json.loads((SPEC / f"{name}.json").read_text(encoding="utf-8"))
    for case in group["cases"]
]


def asked(flag: dict, key: str | None = "ann", attributes: dict | None = None, **ruleset):
    document = {"schema": 1, "environment": "production", "revision": 1, "flags": {"search": _flag(flag)}} | ruleset
    read = ruleset_from_json(json.dumps(document))
    return read.flags["search"], Playground(read).ask("search", key, attributes or {})


def _flag(fields: dict) -> dict:
    return {"variants": {"on": True, "off": False}, "default_variant": "off"} | fields


def _says_yes(step) -> bool:
    """Whether what a step shows is a reason to stop there."""
    if step.needed is not None:
        return step.served not in step.needed.variants
    if step.named is not None or step.tested is not None:
        return step.named is not False and (step.tested is None or step.tested.met)
    return False


def test_the_steps_of_every_golden_case_lead_to_what_the_evaluator_says_decided_and_no_earlier_one_would_have():
    decided = 0
    for document, case in CASES:
        playground = Playground(ruleset_from_json(json.dumps(document)))
        key = case.get("targeting_key")
        if case["flag_key"] not in document["flags"] or not isinstance(key, str | None):
            continue
        answer = playground.ask(case["flag_key"], key, case.get("attributes") or {})
        if answer.details.error_code is not None:
            assert answer.deciding.outcome is Outcome.FAILED, case
            continue
        assert answer.deciding.path == answer.details.decided_by, case
        assert not any(_says_yes(step) for step in answer.steps[:-1]), case
        decided += 1

    assert decided > 50


def test_a_key_in_the_percentage_is_told_its_place_and_the_rollout_s():
    rollout = {"stable": "off", "candidate": "on", "weight": 50_000}
    flag, answer = asked({"rollout": rollout}, "user-1")

    bucket = answer.deciding.bucket

    assert bucket is not None
    assert bucket.is_in == (answer.details.variant == "on")
    assert "50 % of the users" in step_sentence(answer.deciding, flag)


def test_a_rule_that_is_not_met_shows_what_the_context_has_instead():
    condition = {"all": [{"attribute": "country", "operator": "in", "value": ["NO", "SE"]}, {"segment": "staff"}]}
    flag, answer = asked(
        {"rules": [{"name": "Nordics", "if": condition, "serve": "on"}]},
        attributes={"country": "DE"},
        segments={"staff": {"attribute": "email", "operator": "ends_with", "value": "@acme.example"}},
    )

    rule = answer.steps[0]

    assert [step.path for step in answer.steps] == ["rules[0]", "default_variant"]
    assert rule.tested is not None
    assert [(each.met, each.given) for each in rule.tested.inner] == [(False, "DE"), (False, None)]
    assert step_title(rule, flag) == "Rule 1 “Nordics”: if country is one of NO, SE and in segment staff"


def test_a_split_without_a_key_fails_at_the_percentage():
    rollout = {"stable": "off", "candidate": "on", "weight": 50_000}
    flag, answer = asked({"rollout": rollout}, None)

    assert answer.details.error_code is ErrorCode.TARGETING_KEY_MISSING
    assert (answer.deciding.path, answer.deciding.outcome) == ("rollout", Outcome.FAILED)
    assert "targeting key" in step_sentence(answer.deciding, flag, answer.details.error_message)


def test_a_disabled_flag_is_decided_before_everything_else():
    flag, answer = asked({"state": "disabled", "allow": {"on": ["ann"]}})

    assert answer.details.reason is Reason.DISABLED
    assert [step.path for step in answer.steps] == ["state"]
    assert step_sentence(answer.deciding, flag) == "the flag is disabled, so everybody gets off"


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ({"attribute": "age", "operator": ">=", "value": 18}, "age is at least 18"),
        ({"not": {"attribute": "plan", "operator": "exists"}}, "plan is not given"),
        (
            {"any": [{"segment": "staff"}, {"all": [{"segment": "a"}, {"not": {"segment": "b"}}]}]},
            "in segment staff or (in segment a and not in segment b)",
        ),
        ({"attribute": "targeting_key", "operator": "equals", "value": "a b"}, 'targeting key is "a b"'),
        ({"attribute": "n", "operator": "in", "value": [1, 2, 3, 4, 5, 6, 7]}, "n is one of 1, 2, 3, 4, 5 and 2 more"),
        ({"not": {"all": [{"attribute": "n", "operator": "<", "value": 1}]}}, "not (n is below 1)"),
    ],
)
def test_a_condition_reads_as_a_sentence(condition, sentence):
    segments = {name: {"attribute": name, "operator": "exists"} for name in ("staff", "a", "b")}
    flag, _ = asked({"rules": [{"if": condition, "serve": "on"}]}, segments=segments)

    assert condition_sentence(flag.rules[0].condition) == sentence
