"""The provider through OpenFeature's own client: the cases of the specification's evaluation suites, in data.

After evaluation_v2.feature, metadata.feature, hooks.feature and contextMerging.feature of open-feature/spec, and after
evaluation, errors and reason of its provider suite. Of the latter one optional capability is left out on purpose:
"disabled flags answer the code default"; Wavegate answers the flag's default variant.
"""

import asyncio

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationOptions, FlagType, Reason
from openfeature.hook import Hook
from openfeature.telemetry import create_evaluation_event
from openfeature.track import TrackingEventDetails
from openfeature.transaction_context import ContextVarsTransactionContextPropagator
from prometheus_client import CollectorRegistry

import wavegate
from wavegate.openfeature import FEEDBACK, OUTCOME, WavegateProvider

PICTURES = {"showImages": True, "title": "Check out these pics!", "imagesPerPage": 100}
TYPES = {"Boolean": "BOOLEAN", "String": "STRING", "Integer": "INTEGER", "Float": "FLOAT", "Object": "OBJECT"}
ZEROES = {"Boolean": False, "String": "", "Integer": 0, "Float": 0.0, "Object": {}}
DEFAULTS = {"Boolean": True, "String": "hi", "Integer": 1, "Float": 0.1, "Object": {"a": 1}}
BALLMER = {"attribute": "email", "operator": "equals", "value": "ballmer@macrosoft.com"}


def static(served, name="served", **more):
    return {"variants": {name: served, **more}, "default_variant": name}


def targeted_zero(zero):
    """The same value either way: only the reason tells whether the rule matched."""
    rule = {"if": BALLMER, "serve": "zero"}
    return {"variants": {"zero": zero, "none": zero}, "default_variant": "none", "rules": [rule]}


FLAGS = {
    "boolean-flag": static(True, "on", off=False),
    "string-flag": static("hi", "greeting"),
    "integer-flag": static(10, "ten"),
    "float-flag": static(0.5, "half"),
    "object-flag": static(PICTURES, "template"),
    "list-flag": static(["a", "b"]),
    "whole-float-flag": static(10.0),
    "large-integer-flag": static(2**31 - 1),
    "huge-integer-flag": static(2**53 - 1),
    "wrong-flag": static("uh-oh"),
    "disabled-flag": {"state": "disabled", **static(False, "off", on=True)},
    **{f"{name.lower()}-zero-flag": static(zero) for name, zero in ZEROES.items()},
    **{f"{name.lower()}-targeted-zero-flag": targeted_zero(zero) for name, zero in ZEROES.items()},
    "targeting-key-flag": {
        "variants": {"miss": "miss", "hit": "hit"},
        "default_variant": "miss",
        "allow": {"hit": ["5c3d8535-f81a-4478-a6d3-afaa4d51199e"]},
    },
    "context-aware": {
        "variants": {"internal": "INTERNAL", "external": "EXTERNAL"},
        "default_variant": "external",
        "rules": [
            {
                "if": {
                    "all": [
                        {"attribute": "fn", "operator": "equals", "value": "Sulisław"},
                        {"attribute": "ln", "operator": "equals", "value": "Świętopełk"},
                        {"attribute": "age", "operator": "equals", "value": 29},
                        {"attribute": "customer", "operator": "equals", "value": False},
                    ]
                },
                "serve": "internal",
            }
        ],
    },
    "half": {
        "variants": {"on": True, "off": False},
        "default_variant": "off",
        "rollout": {"stable": "off", "candidate": "on", "weight": 50_000},
    },
}


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def gate(registry):
    document = {"schema": 1, "environment": "production", "revision": 7, "flags": FLAGS}
    return wavegate.Client.offline(document, registry=registry)


@pytest.fixture
def client(gate):
    api.set_provider_and_wait(WavegateProvider(gate))
    yield api.get_client()
    api.clear_hooks()
    api.set_evaluation_context(EvaluationContext())
    api.clear_providers()


@pytest.fixture(params=["sync", "async"])
def ask(request, client):
    """Asks with details, either way."""

    def ask(kind, key, default, context=None):
        flag_type = FlagType(TYPES[kind])
        if request.param == "sync":
            return client.evaluate_flag_details(flag_type, key, default, context)
        return asyncio.run(client.evaluate_flag_details_async(flag_type, key, default, context))

    return ask


RESOLVED = [
    ("Boolean", "boolean-flag", False, True, "on"),
    ("String", "string-flag", "bye", "hi", "greeting"),
    ("Integer", "integer-flag", 1, 10, "ten"),
    ("Float", "float-flag", 0.1, 0.5, "half"),
    ("Object", "object-flag", {}, PICTURES, "template"),
    ("Object", "object-flag", None, PICTURES, "template"),
    ("Object", "list-flag", [], ["a", "b"], "served"),
    ("Integer", "large-integer-flag", 1, 2**31 - 1, "served"),
    ("Integer", "huge-integer-flag", 1, 2**53 - 1, "served"),
]


@pytest.mark.parametrize(("kind", "key", "default", "value", "variant"), RESOLVED)
def test_a_value_comes_with_its_details(ask, kind, key, default, value, variant):
    for _ in range(2):  # the first time it is made, the second time remembered
        details = ask(kind, key, default)

        assert details.value == value
        assert type(details.value) is type(value)
        assert (details.flag_key, details.variant, details.reason) == (key, variant, Reason.STATIC)
        assert (details.error_code, details.error_message) == (None, None)


@pytest.mark.parametrize("kind", TYPES)
def test_a_falsy_value_is_a_value(ask, kind):
    details = ask(kind, f"{kind.lower()}-zero-flag", DEFAULTS[kind])

    assert (details.value, details.reason, details.error_code) == (ZEROES[kind], Reason.STATIC, None)


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        ("ballmer@macrosoft.com", Reason.TARGETING_MATCH),
        ("ballmer@none.com", Reason.DEFAULT),
        (None, Reason.DEFAULT),
        ("", Reason.DEFAULT),
        (17, Reason.DEFAULT),
    ],
)
@pytest.mark.parametrize("kind", TYPES)
def test_the_reason_says_whether_a_rule_matched(ask, kind, email, reason):
    context = EvaluationContext(attributes={"email": email})

    details = ask(kind, f"{kind.lower()}-targeted-zero-flag", DEFAULTS[kind], context)

    assert (details.value, details.reason, details.error_code) == (ZEROES[kind], reason, None)


@pytest.mark.parametrize("context", [None, EvaluationContext(), EvaluationContext(targeting_key="")])
@pytest.mark.parametrize("kind", TYPES)
def test_without_a_context_a_targeted_flag_answers_its_default(ask, kind, context):
    details = ask(kind, f"{kind.lower()}-targeted-zero-flag", DEFAULTS[kind], context)

    assert (details.value, details.reason) == (ZEROES[kind], Reason.DEFAULT)


def test_several_attributes_decide_together(ask):
    person = {"fn": "Sulisław", "ln": "Świętopełk", "age": 29, "customer": False}

    assert ask("String", "context-aware", "?", EvaluationContext(attributes=person)).value == "INTERNAL"
    assert ask("String", "context-aware", "?", EvaluationContext(attributes=person | {"age": 30})).value == "EXTERNAL"
    assert ask("String", "context-aware", "?").value == "EXTERNAL"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("5c3d8535-f81a-4478-a6d3-afaa4d51199e", "hit", Reason.TARGETING_MATCH),
        ("f20bd32d-703b-48b6-bc8e-79d53c85134a", "miss", Reason.DEFAULT),
        (None, "miss", Reason.DEFAULT),
    ],
)
def test_the_targeting_key_reaches_the_flag(ask, key, value, reason):
    details = ask("String", "targeting-key-flag", "fallback", EvaluationContext(targeting_key=key))

    assert (details.value, details.variant, details.reason) == (value, value, reason)


def test_a_context_does_not_disturb_a_flag_without_targeting(ask):
    odd = EvaluationContext(targeting_key="f20b", attributes={"": None, "nested": {"a": [1]}, "flag_key": "x"})

    details = ask("String", "string-flag", "bye", odd)

    assert (details.value, details.reason, details.error_code) == ("hi", Reason.STATIC, None)


def test_a_disabled_flag_says_so(ask):
    details = ask("Boolean", "disabled-flag", True)

    assert (details.value, details.variant, details.reason) == (False, "off", Reason.DISABLED)


def test_an_integer_serves_where_a_float_was_asked_for(ask):
    details = ask("Float", "integer-flag", 0.5)

    assert (details.value, type(details.value), details.error_code) == (10.0, float, None)


MISMATCHES = [
    *((kind, "string-flag") for kind in ("Boolean", "Integer", "Float", "Object")),
    *((kind, "boolean-flag") for kind in ("String", "Integer", "Float", "Object")),
    *((kind, "integer-flag") for kind in ("Boolean", "String", "Object")),
    *((kind, "float-flag") for kind in ("Boolean", "String", "Integer", "Object")),
    *((kind, "object-flag") for kind in ("Boolean", "String", "Integer", "Float")),
    ("Integer", "wrong-flag"),
    ("Integer", "whole-float-flag"),
]


@pytest.mark.parametrize(("kind", "key"), MISMATCHES)
def test_another_type_than_the_flag_has_gives_the_default_and_says_why(ask, kind, key):
    details = ask(kind, key, DEFAULTS[kind])

    assert (details.value, details.variant, details.reason) == (DEFAULTS[kind], None, Reason.ERROR)
    assert details.error_code == ErrorCode.TYPE_MISMATCH
    assert kind.lower() in details.error_message


@pytest.mark.parametrize("kind", TYPES)
def test_an_unknown_flag_gives_the_default_and_says_why(ask, kind):
    details = ask(kind, "missing-flag", DEFAULTS[kind])

    assert (details.value, details.variant, details.reason) == (DEFAULTS[kind], None, Reason.ERROR)
    assert details.error_code == ErrorCode.FLAG_NOT_FOUND
    assert "missing-flag" in details.error_message


@pytest.mark.parametrize(
    ("context", "code"),
    [
        (None, ErrorCode.TARGETING_KEY_MISSING),
        (EvaluationContext(targeting_key=""), ErrorCode.TARGETING_KEY_MISSING),
        (EvaluationContext(targeting_key=17), ErrorCode.INVALID_CONTEXT),
    ],
)
def test_a_rollout_needs_a_usable_targeting_key(ask, context, code):
    details = ask("Boolean", "half", True, context)

    assert (details.value, details.reason, details.error_code) == (True, Reason.ERROR, code)


@pytest.mark.parametrize("key", [None, 17, [], ""])
def test_what_is_no_flag_key_is_no_flag(ask, key):
    details = ask("Boolean", key, True)

    assert (details.value, details.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)


def test_metadata_names_the_ruleset_and_what_decided(ask):
    details = ask("Boolean", "half", False, EvaluationContext("anna"))

    assert details.reason == Reason.SPLIT
    assert details.flag_metadata == {"flagSetId": "production", "version": "7", "decided_by": "rollout"}


def test_errors_name_the_ruleset_as_well(ask):
    assert ask("Boolean", "missing-flag", False).flag_metadata == {"flagSetId": "production", "version": "7"}


def test_who_changes_an_object_changes_nothing_for_the_next(ask):
    first = ask("Object", "object-flag", {})
    first.value["title"] = "mine"

    assert ask("Object", "object-flag", {}).value == PICTURES


def test_openfeature_and_the_client_agree_on_everybody(client, gate):
    for number in range(300):
        person = f"user-{number}"

        assert client.get_boolean_value("half", False, EvaluationContext(person)) is gate.is_enabled("half", person)


def test_answers_are_counted_as_the_client_counts_them(client, registry):
    def counted(flag, variant, reason):
        labels = {"flag": flag, "variant": variant, "reason": reason}
        return registry.get_sample_value("wavegate_evaluations_total", labels)

    for _ in range(3):
        client.get_boolean_value("boolean-flag", False)
    client.get_string_value("boolean-flag", "bye")
    client.get_object_value("object-flag", {})
    client.get_boolean_value("missing-flag", False)

    assert counted("boolean-flag", "on", "STATIC") == 3
    assert counted("boolean-flag", "", "ERROR") == 1
    assert counted("object-flag", "template", "STATIC") == 1
    assert counted("", "", "ERROR") == 1


def test_the_client_is_named_in_the_metadata(client):
    assert client.provider.get_metadata().name == "wavegate"


class Remembers(Hook):
    def __init__(self, attributes=None):
        self.stages, self.events, self.attributes = [], [], attributes

    def before(self, hook_context, hints):
        self.stages.append(("before", None))
        return None if self.attributes is None else EvaluationContext(attributes=self.attributes)

    def after(self, hook_context, details, hints):
        self.stages.append(("after", details))

    def error(self, hook_context, exception, hints):
        self.stages.append(("error", exception))

    def finally_after(self, hook_context, details, hints):
        self.stages.append(("finally", details))
        self.events.append(create_evaluation_event(hook_context, details))


def test_hooks_see_the_details(client):
    hook = Remembers()
    client.add_hooks([hook])

    details = client.get_boolean_details("boolean-flag", False)

    assert hook.stages == [("before", None), ("after", details), ("finally", details)]


@pytest.mark.parametrize(
    ("key", "code"), [("missing-flag", ErrorCode.FLAG_NOT_FOUND), ("wrong-flag", ErrorCode.TYPE_MISMATCH)]
)
def test_hooks_see_what_went_wrong(client, key, code):
    hook = Remembers()
    client.add_hooks([hook])

    client.get_integer_details(key, 13)

    (_, (stage, error), (_, details)) = hook.stages
    assert (stage, error.error_code) == ("error", code)
    assert (details.value, details.variant, details.reason, details.error_code) == (13, None, Reason.ERROR, code)


def test_opentelemetry_events_name_variant_environment_and_revision(client):
    hook = Remembers()
    client.add_hooks([hook])

    client.get_boolean_details("half", False, EvaluationContext("anna"))

    (event,) = hook.events
    assert {
        "feature_flag.key": "half",
        "feature_flag.evaluation.reason": "split",
        "feature_flag.context.id": "anna",
        "feature_flag.set.id": "production",
        "feature_flag.version": "7",
        "feature_flag.provider_name": "wavegate",
    }.items() <= event.attributes.items()


LEVELS = ["API", "Transaction", "Client", "Invocation", "Before Hooks"]


@pytest.mark.parametrize("highest", LEVELS)
def test_attributes_of_a_later_level_replace_those_of_an_earlier_one(client, gate, highest):
    api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
    levels = LEVELS[: LEVELS.index(highest) + 1]
    at = {level: EvaluationContext(attributes={"email": level, level: "here"}) for level in levels}
    api.set_evaluation_context(at["API"])
    api.set_transaction_context(at.get("Transaction", EvaluationContext()))
    client.context = at.get("Client", EvaluationContext())
    hooks = [Remembers(at["Before Hooks"].attributes)] if "Before Hooks" in at else []
    seen = []
    gate._snapshot.flag("string-flag")
    gate._snapshot.choose["string-flag"] = lambda key, attributes: seen.append(dict(attributes))

    client.get_string_value("string-flag", "", at.get("Invocation"), FlagEvaluationOptions(hooks=hooks))

    assert seen[0] == {"email": highest, **dict.fromkeys(levels, "here")}
    api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
    api.set_transaction_context(EvaluationContext())


def sample(registry, name, **labels):
    """A counter's sum over all cohorts."""
    return sum(
        one.value
        for family in registry.collect()
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    )


def test_tracked_feedback_counts_for_the_variant_the_person_has(client, gate, registry):
    person = next(name for name in map(str, range(99)) if gate.is_enabled("half", name))
    for thumbs_up in (True, False, False):
        client.track(
            FEEDBACK,
            EvaluationContext(person, {"thumbs_up": "an attribute of that name"}),
            TrackingEventDetails(attributes={"flag_key": "half", "thumbs_up": thumbs_up, "comment": "too long"}),
        )

    assert sample(registry, "wavegate_value_total", flag="half", variant="on", kind="thumbs_up") == 1
    assert sample(registry, "wavegate_bad_total", flag="half", variant="on", kind="thumbs_down") == 2


def test_a_tracked_outcome_counts_as_one_request(client, gate, registry):
    person = next(name for name in map(str, range(99)) if gate.is_enabled("half", name))
    said = {"flag_key": "half", "seconds": 3, "bad": "fallback", "cost_usd": 0.25, "tokens": 900}

    client.track(OUTCOME, EvaluationContext(person), TrackingEventDetails(4, said))

    arm = {"flag": "half", "variant": "on"}
    assert sample(registry, "wavegate_requests_total", **arm) == 1
    assert sample(registry, "wavegate_bad_total", **arm) == 1
    assert sample(registry, "wavegate_bad_total", kind="fallback", **arm) == 1
    assert sample(registry, "wavegate_value_total", kind="cost_usd", **arm) == 0.25
    assert sample(registry, "wavegate_value_total", kind="tokens", **arm) == 900
    assert sample(registry, "wavegate_value_total", kind="custom", **arm) == 4
    assert sample(registry, "wavegate_duration_seconds_sum", **arm) == pytest.approx(3, abs=0.1)
    assert sample(registry, "wavegate_exposed_users_total", **arm) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("checkout", {"flag_key": "half", "seconds": 1.0}),
        (FEEDBACK, None),
        (FEEDBACK, {"flag_key": "half"}),
        (FEEDBACK, {"flag_key": "half", "thumbs_up": "yes"}),
        (FEEDBACK, {"flag_key": 17, "thumbs_up": True}),
        (OUTCOME, {"flag_key": "half"}),
        (OUTCOME, {"flag_key": "half", "seconds": "long"}),
        (OUTCOME, {"flag_key": "half", "seconds": float("nan")}),
        (OUTCOME, {"flag_key": "half", "seconds": -1}),
        (OUTCOME, {"flag_key": "missing-flag", "seconds": 1}),
    ],
)
def test_a_tracking_event_that_says_too_little_counts_nothing_and_raises_nothing(client, registry, name, said):
    client.track(name, EvaluationContext("anna"), None if said is None else TrackingEventDetails(attributes=said))
    client.track(name)

    for counter in ("wavegate_requests_total", "wavegate_bad_total", "wavegate_value_total"):
        assert sample(registry, counter) == 0
