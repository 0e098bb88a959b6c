"""OFREP's documents: what is answered to whom, rendered ahead, and what is counted."""

import json
import sys

import pytest

from wavegate.evaluation import ruleset_from_json
from wavegate_controller.delivery.answers import Evaluator, Refused, read_context
from wavegate_controller.delivery.exposures import Exposures
from wavegate_controller.delivery.limits import RateLimits

BOOLEAN = {"variants": {"on": True, "off": False}, "default_variant": "off"}
HALF = {"rollout": {"stable": "off", "candidate": "on", "weight": 50_000}}


def ruleset(revision=1, **flags):
    return ruleset_from_json(
        json.dumps({"schema": 1, "environment": "production", "revision": revision, "flags": flags})
    )


def evaluator(exposures=None, **flags):
    return Evaluator(ruleset(**flags), "1-a", exposures or Exposures())


def answer(flag, **context):
    found = evaluator(search=flag).one("search", context)
    return found.status, json.loads(found.body)


def test_a_static_flag_needs_nobody():
    assert answer(BOOLEAN) == (200, {"key": "search", "value": False, "reason": "STATIC", "variant": "off"})


def test_a_split_flag_answers_the_variant_of_the_targeting_key():
    status, document = answer(BOOLEAN | HALF, targetingKey="user-1")

    assert status == 200
    assert document["reason"] == "SPLIT"
    assert document["value"] is (document["variant"] == "on")


def test_a_disabled_flag_has_a_value():
    assert answer(BOOLEAN | HALF | {"state": "disabled"}, targetingKey="user-1") == (
        200,
        {"key": "search", "value": False, "reason": "DISABLED", "variant": "off"},
    )


def test_a_reason_that_the_protocol_does_not_know_is_told_in_the_metadata():
    rule = {"if": {"attribute": "plan", "operator": "equals", "value": "team"}, "serve": "on"}

    _, document = answer(BOOLEAN | {"rules": [rule]}, targetingKey="user-1")

    assert (document["reason"], document["metadata"]) == ("UNKNOWN", {"reason": "DEFAULT"})


@pytest.mark.parametrize(
    ("context", "code"),
    [({}, "TARGETING_KEY_MISSING"), ({"targetingKey": ""}, "TARGETING_KEY_MISSING")],
)
def test_a_split_flag_says_that_it_needs_a_targeting_key(context, code):
    status, document = answer(BOOLEAN | HALF, **context)

    assert (status, document["key"], document["errorCode"]) == (400, "search", code)
    assert "targeting key" in document["errorDetails"]


def test_an_attribute_to_be_split_by_that_is_missing_makes_the_context_invalid():
    status, document = answer(BOOLEAN | HALF | {"bucket_by": "company"}, targetingKey="user-1")

    assert (status, document["errorCode"]) == (400, "INVALID_CONTEXT")


def test_a_key_without_a_utf_8_form_makes_the_context_invalid():
    assert answer(BOOLEAN | HALF, **read_context(b'{"context": {"targetingKey": "\\ud800"}}'))[0] == 400


@pytest.mark.parametrize(
    ("variants", "text"),
    [
        ({"a": 2.0, "b": 3.5}, b'"value":2.0'),
        ({"a": 2, "b": 3.5}, b'"value":2.0'),
        ({"a": 2, "b": 3}, b'"value":2,'),
        ({"a": 10**400, "b": 3.5}, b'"value":1000'),
        ({"a": "ü", "b": ""}, b'"value":"\\u00fc"'),
        ({"a": {"x": [1.0]}, "b": None}, b'"value":{"x":[1.0]}'),
    ],
)
def test_values_keep_their_type(variants, text):
    flag = {"variants": variants, "default_variant": "a"}

    assert text in evaluator(search=flag).one("search", {}).body


def test_all_flags_are_answered_together_refusals_among_them():
    flags = {"search": BOOLEAN, "split": BOOLEAN | HALF}

    documents = json.loads(b"[" + evaluator(**flags).all({}) + b"]")

    assert [document["key"] for document in documents] == ["search", "split"]
    assert documents[1]["errorCode"] == "TARGETING_KEY_MISSING"


def test_the_validator_changes_with_the_context_and_the_ruleset_only():
    one, other = evaluator(search=BOOLEAN), Evaluator(ruleset(search=BOOLEAN), "2-b", Exposures())
    context, turned = {"targetingKey": "u", "plan": "team"}, {"plan": "team", "targetingKey": "u"}

    assert one.etag(context) == one.etag(turned)
    assert len({one.etag(context), one.etag({}), one.etag({"targetingKey": "u"}), other.etag(context)}) == 4


def test_each_answer_is_an_evaluation_and_each_drawn_user_is_exposed_once():
    exposures = Exposures()
    served = evaluator(exposures, split=BOOLEAN | HALF, search=BOOLEAN)
    for _ in range(3):
        for number in range(10):
            served.one("split", {"targetingKey": f"user-{number}"})
    served.all({"targetingKey": "user-1"})
    served.one("split", {})
    served.one("nobody-has-it", {})

    given, exposed = exposures.totals()

    assert sum(exposed.values()) == 10
    assert {flag for flag, _ in exposed} == {"split"}
    assert given["split", "on", "SPLIT"] + given["split", "off", "SPLIT"] == 31
    assert given["search", "off", "STATIC"] == 1
    assert given["split", "", "ERROR"] == 1
    assert given["", "", "ERROR"] == 1


def test_users_of_a_flag_that_is_split_by_company_are_companies():
    exposures = Exposures()
    served = evaluator(exposures, split=BOOLEAN | HALF | {"bucket_by": "company"})
    for number in range(10):
        served.one("split", {"targetingKey": f"user-{number}", "company": "acme"})

    assert sum(exposures.totals()[1].values()) == 1


def test_who_is_targeted_was_not_drawn():
    exposures = Exposures()
    evaluator(exposures, split=BOOLEAN | HALF | {"allow": {"on": ["me"]}}).one("split", {"targetingKey": "me"})

    assert not any(exposures.totals()[1].values())


def test_everybody_counts_again_in_a_new_wave_and_nobody_when_another_flag_changes():
    def ask(before, revision, **flags):
        made = Evaluator(ruleset(revision, **flags), f"{revision}-a", exposures, before)
        made.one("split", {"targetingKey": "user-1"})
        return made

    exposures = Exposures()
    first = ask(None, 1, split=BOOLEAN | HALF)
    second = ask(first, 2, split=BOOLEAN | HALF, other=BOOLEAN)
    assert sum(exposures.totals()[1].values()) == 1

    more = {"rollout": HALF["rollout"] | {"weight": 60_000}}
    ask(second, 3, split=BOOLEAN | more)

    assert sum(exposures.totals()[1].values()) == 2


def test_a_flag_is_answered_as_its_newest_revision_says():
    """Also where Python thinks that nothing changed: 1 is 1.0 to it."""
    exposures = Exposures()
    integer, double = ({"variants": {"a": value, "b": value}, "default_variant": "a"} for value in (1, 1.0))
    first = Evaluator(ruleset(1, search=integer), "1-a", exposures)
    assert b'"value":1,' in first.one("search", {}).body

    second = Evaluator(ruleset(2, search=double), "2-a", exposures, first)

    assert b'"value":1.0' in second.one("search", {}).body


def test_a_flag_that_needs_another_follows_it():
    exposures = Exposures()
    needs = BOOLEAN | {"default_variant": "off", "prerequisites": [{"flag": "needed", "variants": ["on"]}]}
    needs |= {"rollout": {"stable": "off", "candidate": "on", "weight": 100_000}}
    first = Evaluator(ruleset(1, search=needs, needed=BOOLEAN), "1-a", exposures)
    assert b'"variant":"off"' in first.one("search", {"targetingKey": "u"}).body

    on = BOOLEAN | {"default_variant": "on"}
    second = Evaluator(ruleset(2, search=needs, needed=on), "2-a", exposures, first)

    assert b'"variant":"on"' in second.one("search", {"targetingKey": "u"}).body


def test_bitmaps_of_many_flags_are_small():
    exposures = Exposures()
    flags = {f"flag-{number}": BOOLEAN | HALF for number in range(2000)}
    evaluator(exposures, **flags).all({"targetingKey": "user-1"})

    assert sum(sys.getsizeof(users.bits) for users in exposures._users.values()) < 40 * 1024 * 1024


@pytest.mark.parametrize("body", [b'{"context": {"targetingKey": "u", "n": 1}}', b'{"context": {}}', b"{}"])
def test_a_context_may_be_nearly_nothing(body):
    assert isinstance(read_context(body), dict)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "PARSE_ERROR"),
        (b"{", "PARSE_ERROR"),
        (b"[]", "PARSE_ERROR"),
        (b"\xff", "PARSE_ERROR"),
        (b"[" * 100_000, "PARSE_ERROR"),
        (b'{"context": {"n": NaN}}', "PARSE_ERROR"),
        (b'{"context": {"n": ' + b"9" * 5000 + b"}}", "PARSE_ERROR"),
        (b'{"context": []}', "INVALID_CONTEXT"),
        (b'{"context": "me"}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": 42}}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": ["u"]}}', "INVALID_CONTEXT"),
    ],
)
def test_what_is_no_context_is_refused(body, code):
    with pytest.raises(Refused) as refused:
        read_context(body)

    assert refused.value.code == code


def test_a_key_may_ask_a_second_s_worth_at_once_and_then_at_its_rate():
    now = 100.0
    limits = RateLimits(10, now=lambda: now)

    assert [limits.wait("a") for _ in range(11)] == [0] * 10 + [1]
    assert limits.wait("b") == 0
    now += 0.1
    assert [limits.wait("a") for _ in range(2)] == [0, 1]
    now += 60
    assert [limits.wait("a") for _ in range(11)] == [0] * 10 + [1]


def test_a_slow_limit_says_in_whole_seconds_how_long_to_wait():
    limits = RateLimits(0.25, now=lambda: 0.0)

    assert [limits.wait("a") for _ in range(3)] == [0, 4, 4]


def test_without_a_limit_nobody_waits_and_nobody_is_remembered():
    limits = RateLimits(0)

    assert not any(limits.wait(f"key-{number}") for number in range(100))
    assert not limits._due


def test_keys_are_remembered_within_bounds():
    limits = RateLimits(1, now=lambda: 0.0)
    for number in range(20_000):
        limits.wait(f"key-{number}")

    assert len(limits._due) == 10_000
