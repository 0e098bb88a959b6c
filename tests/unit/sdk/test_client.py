"""What an app gets from a client, without any server."""

import collections
import json
import threading
import types
import weakref

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import wavegate
from wavegate import Client, ConfigError, ErrorCode, InvalidRuleset, Reason, Ruleset
from wavegate.evaluation import cohort_of, key_hash, ruleset_from_json, ruleset_to_json
from wavegate.evaluation.bucketing import Generation

DOCUMENT = {
    "schema": 1,
    "environment": "production",
    "revision": 7,
    "flags": {
        "ai-summaries": {
            "variants": {"on": True, "off": False},
            "default_variant": "off",
            # user-1 has bucket 1033 and cohort 15, user-2 bucket 93037 and cohort 1.
            "rollout": {"stable": "off", "candidate": "on", "weight": 50_000},
        },
        "answer-model": {
            "variants": {"small": {"model": "small", "stops": []}, "large": {"model": "large", "stops": []}},
            "default_variant": "small",
        },
        "shop": {"variants": {"open": True, "closed": False}, "default_variant": "open"},
    },
}


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def client(registry):
    with Client.offline(DOCUMENT, registry=registry) as client:
        yield client


def evaluations(registry, flag, variant, reason):
    return registry.get_sample_value("wavegate_evaluations_total", {"flag": flag, "variant": variant, "reason": reason})


def requests(registry, flag, variant, cohort):
    labels = {"flag": flag, "variant": variant, "cohort": str(cohort)}
    return registry.get_sample_value("wavegate_requests_total", labels)


def bad(registry, flag, variant, cohort, kind):
    labels = {"flag": flag, "variant": variant, "cohort": str(cohort), "kind": kind}
    return registry.get_sample_value("wavegate_bad_total", labels)


def added(registry, flag, variant, cohort, kind):
    labels = {"flag": flag, "variant": variant, "cohort": str(cohort), "kind": kind}
    return registry.get_sample_value("wavegate_value_total", labels)


def exposed(registry, flag, variant):
    return registry.get_sample_value("wavegate_exposed_users_total", {"flag": flag, "variant": variant})


def total(registry, name, **labels):
    return sum(
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_an_enabled_flag_is_enabled_for_those_who_are_in(client):
    assert client.is_enabled("ai-summaries", "user-1") is True
    assert client.is_enabled("ai-summaries", "user-2") is False


@pytest.mark.parametrize(
    "form",
    [
        ruleset_from_json(DOCUMENT),
        DOCUMENT,
        json.dumps(DOCUMENT),
        "\n " + json.dumps(DOCUMENT),
        ruleset_to_json(ruleset_from_json(DOCUMENT)),
    ],
    ids=["ruleset", "mapping", "text", "text after a blank line", "bytes"],
)
def test_an_offline_client_takes_a_ruleset_in_any_form(form, registry):
    assert Client.offline(form, registry=registry).is_enabled("ai-summaries", "user-1")


@pytest.mark.parametrize("form", [str, lambda path: path], ids=["string", "path"])
def test_an_offline_client_takes_a_path(form, registry, tmp_path):
    path = tmp_path / "ruleset.json"
    path.write_text(json.dumps(DOCUMENT))

    assert Client.offline(form(path), registry=registry).revision == 7


def test_an_offline_client_starts_no_thread_and_is_ready(registry):
    before = set(threading.enumerate())

    with Client.offline(DOCUMENT, registry=registry) as client:
        assert client.wait_ready(timeout=0)
        assert client.revision == 7
        assert client.age is None
        assert set(threading.enumerate()) <= before


def test_an_offline_client_refuses_what_is_no_ruleset(registry):
    with pytest.raises(InvalidRuleset, match="schema: is missing"):
        Client.offline({}, registry=registry)


def test_a_value_comes_by_its_type_or_not_at_all(client):
    assert client.value("answer-model", "user-1", default={"model": "none"})["model"] == "small"
    assert client.value("answer-model", "user-1", default="none") == "none"
    assert client.value("no-such-flag", "user-1", "mine") == "mine"


def test_changing_a_value_changes_nothing_for_the_next_caller(client):
    client.value("answer-model", "user-1", default={})["stops"].append("mine")
    client.details("answer-model", "user-1", default={}).value["stops"].append("mine")
    with client.trial("answer-model", "user-1") as trial:
        trial.value["stops"].append("mine")

    assert client.value("answer-model", "user-1", default={})["stops"] == []


def test_details_say_why(client):
    details = client.details("ai-summaries", "user-1", default=False)

    assert (details.value, details.variant, details.reason) == (True, "on", Reason.SPLIT)
    assert details.cohort == 15


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (("no-such-flag", "user-1", "mine"), ErrorCode.FLAG_NOT_FOUND),
        ((["no", "key"], "user-1", "mine"), ErrorCode.FLAG_NOT_FOUND),
        (("ai-summaries", None, True), ErrorCode.TARGETING_KEY_MISSING),
        (("ai-summaries", 42, True), ErrorCode.INVALID_CONTEXT),
        (("ai-summaries", "\ud800", True), ErrorCode.INVALID_CONTEXT),
        (("ai-summaries", "user-1", "mine"), ErrorCode.TYPE_MISMATCH),
    ],
)
def test_what_cannot_be_answered_gives_the_callers_default_and_the_code(client, ask, code):
    details = client.details(*ask)

    assert (details.value, details.variant, details.reason) == (ask[2], None, Reason.ERROR)
    assert details.error_code is code
    assert details.error_message


@pytest.mark.parametrize("flag_key", ["ai-summaries", "no-such-flag", None, 42, [], "\ud800"])
@pytest.mark.parametrize("key", [None, "", "\ud800", "x" * 10_000, 42, b"user", [], object()])
def test_asking_never_raises(client, flag_key, key):
    assert type(client.is_enabled(flag_key, key)) is bool
    assert type(client.value(flag_key, key, False)) is bool
    assert type(client.details(flag_key, key, False).value) is bool
    with client.trial(flag_key, key) as trial:
        assert type(trial.enabled) is bool


def test_attributes_may_have_any_name(client):
    attributes = {"self": "a", "flag_key": "b", "targeting_key": "c", "country": "DE"}

    assert client.is_enabled("ai-summaries", "user-1", **attributes) is True
    assert client.value("ai-summaries", "user-1", False, **attributes) is True


RULE = {"if": {"attribute": "country", "operator": "in", "value": ["NO", "SE"]}, "serve": "on"}
BY_COUNTRY = {
    **DOCUMENT,
    "flags": {
        "by-country": {"variants": {"on": True, "off": False}, "default_variant": "off", "rules": [RULE]},
    },
}


def ask_in_every_way(client, *attributes, **named):
    with client.trial("by-country", "anna", *attributes, **named) as trial:
        tried = trial.enabled
    return {
        client.is_enabled("by-country", "anna", *attributes, **named),
        client.value("by-country", "anna", False, *attributes, **named),
        client.details("by-country", "anna", False, *attributes, **named).value,
        tried,
    }


@pytest.mark.parametrize(
    ("attributes", "named", "answer"),
    [
        ([], {"country": "SE"}, True),
        ([{"country": "SE"}], {}, True),
        ([{"country": "DE"}], {"country": "SE"}, True),
        ([{"country": "SE"}], {"country": "DE"}, False),
        ([{"country": "SE", "plan": "free"}], {"plan": "team"}, True),
        ([], {"attributes": {"country": "SE"}}, True),
        ([], {"attributes": {"country": "SE"}, "plan": "free"}, True),
        ([], {"attributes": {"country": "DE"}, "country": "SE"}, True),
        ([], {"attributes": None, "country": "SE"}, True),
        ([{}], {"country": "SE"}, True),
        ([{}], {}, False),
        ([types.MappingProxyType({"country": "SE"})], {"plan": "free"}, True),
        ([collections.ChainMap({}, {"country": "SE"})], {}, True),
        (["SE"], {}, False),
        ([None], {"country": "SE"}, True),
        ([None], {}, False),
        ([42], {"country": "SE"}, True),
    ],
)
def test_attributes_are_a_mapping_or_named_or_both_and_then_the_named_ones_hold(registry, attributes, named, answer):
    client = Client.offline(BY_COUNTRY, registry=registry)

    first, again = ask_in_every_way(client, *attributes, **named), ask_in_every_way(client, *attributes, **named)

    assert first == again == {answer}


def test_a_mapping_may_have_the_names_of_parameters_too(registry):
    rule = {"if": {"attribute": "default", "operator": "equals", "value": "yes"}, "serve": "on"}
    flag = {**BY_COUNTRY["flags"]["by-country"], "rules": [rule]}
    client = Client.offline({**DOCUMENT, "flags": {"by-country": flag}}, registry=registry)

    assert ask_in_every_way(client, {"default": "yes", "attributes": 1, "slow_after": 2}) == {True}


def test_feedback_counts_for_the_variant_that_the_attributes_give(registry):
    client = Client.offline(BY_COUNTRY, registry=registry)

    client.feedback("by-country", "anna", {"country": "SE"}, thumbs_up=False)
    client.feedback("by-country", "anna", {"country": "DE"}, thumbs_up=False, country="NO")

    assert bad(registry, "by-country", "on", "targeted", "thumbs_down") == 2


def test_a_flag_that_is_no_boolean_is_never_enabled(client, registry):
    assert client.is_enabled("answer-model", "user-1") is False
    assert evaluations(registry, "answer-model", "", "ERROR") == 1
    assert evaluations(registry, "answer-model", "small", "STATIC") == 0


@pytest.mark.parametrize("first", ["is_enabled", "value"])
def test_asking_in_either_way_first_counts_in_one_place(client, registry, first):
    ask = {"is_enabled": client.is_enabled, "value": lambda flag, key: client.value(flag, key, default=False)}
    second = next(name for name in ask if name != first)

    answers = {ask[name]("ai-summaries", "user-1") for name in (first, second, first)}

    assert answers == {True}
    assert evaluations(registry, "ai-summaries", "on", "SPLIT") == 3


def test_every_answer_is_counted_by_variant_and_reason(client, registry):
    client.is_enabled("ai-summaries", "user-1")
    client.value("ai-summaries", "user-1", default=False)
    client.details("ai-summaries", "user-1", default=False)
    client.is_enabled("ai-summaries", "user-2")
    client.value("ai-summaries", "user-1", default="text")
    client.is_enabled("ai-summaries", None)
    client.is_enabled("no-such-flag", "user-1")

    assert evaluations(registry, "ai-summaries", "on", "SPLIT") == 3
    assert evaluations(registry, "ai-summaries", "off", "SPLIT") == 1
    assert evaluations(registry, "ai-summaries", "", "ERROR") == 2
    assert evaluations(registry, "", "", "ERROR") == 1


def test_asking_is_no_request(client, registry):
    client.is_enabled("ai-summaries", "user-1")

    assert total(registry, "wavegate_requests_total") == 0


COHORT_LABELS = [*range(16), "targeted"]


def test_all_series_of_a_rollout_exist_from_the_start_with_zero(client, registry):
    for variant in ("on", "off"):
        for cohort in COHORT_LABELS:
            assert requests(registry, "ai-summaries", variant, cohort) == 0
            for kind in ("error", "slow", "fallback", "thumbs_down", "custom"):
                assert bad(registry, "ai-summaries", variant, cohort, kind) == 0
            for kind in ("cost_usd", "tokens", "seconds", "thumbs_up", "custom"):
                assert added(registry, "ai-summaries", variant, cohort, kind) == 0
        assert exposed(registry, "ai-summaries", variant) == 0
        duration = {"flag": "ai-summaries", "variant": variant}
        assert registry.get_sample_value("wavegate_duration_seconds_count", duration) == 0
    assert evaluations(registry, "ai-summaries", "on", "SPLIT") == 0
    assert evaluations(registry, "answer-model", "small", "STATIC") == 0


def test_outcomes_of_a_flag_that_never_had_a_rollout_appear_with_its_first_trial(client, registry):
    assert requests(registry, "shop", "open", 0) is None

    with client.trial("shop", "user-1"):
        pass

    assert total(registry, "wavegate_requests_total", flag="shop") == 1
    assert requests(registry, "shop", "open", 16) is None
    assert {requests(registry, "shop", "open", cohort) for cohort in COHORT_LABELS} == {0, 1}


def test_a_trial_is_counted_once_when_it_has_ended(client, registry):
    with client.trial("ai-summaries", "user-1") as trial:
        assert (trial.enabled, trial.variant, trial.value) == (True, "on", True)
        assert requests(registry, "ai-summaries", "on", 15) == 0

    assert requests(registry, "ai-summaries", "on", 15) == 1
    assert total(registry, "wavegate_requests_total") == 1
    assert total(registry, "wavegate_bad_total") == 0
    duration = {"flag": "ai-summaries", "variant": "on"}
    assert registry.get_sample_value("wavegate_duration_seconds_count", duration) == 1
    assert 0 < registry.get_sample_value("wavegate_duration_seconds_sum", duration) < 5
    assert registry.get_sample_value("wavegate_duration_seconds_bucket", duration | {"le": "60.0"}) == 1
    assert registry.get_sample_value("wavegate_duration_seconds_bucket", duration | {"le": "+Inf"}) == 1


def test_an_exception_is_a_bad_outcome_and_passes_through(client, registry):
    with pytest.raises(RuntimeError, match="model fell over"), client.trial("ai-summaries", "user-1"):
        raise RuntimeError("model fell over")

    assert bad(registry, "ai-summaries", "on", 15, "error") == 1
    assert requests(registry, "ai-summaries", "on", 15) == 1
    assert total(registry, "wavegate_bad_total") == 1


def test_too_long_is_slow(client, registry):
    with client.trial("ai-summaries", "user-1", slow_after=1e-9):
        pass
    with client.trial("ai-summaries", "user-1", slow_after=60):
        pass

    assert bad(registry, "ai-summaries", "on", 15, "slow") == 1
    assert requests(registry, "ai-summaries", "on", 15) == 2


@pytest.mark.parametrize("kind", ["error", "slow", "fallback", "thumbs_down", "custom"])
def test_an_app_can_say_that_it_was_bad(client, registry, kind):
    with client.trial("ai-summaries", "user-2") as trial:
        trial.bad(kind)

    assert bad(registry, "ai-summaries", "off", 1, kind) == 1
    assert total(registry, "wavegate_bad_total") == 1


def test_a_request_is_bad_once_with_the_first_mark(client, registry):
    with client.trial("ai-summaries", "user-1", slow_after=1e-9) as trial:
        trial.fallback()
        trial.bad("thumbs_down")

    assert bad(registry, "ai-summaries", "on", 15, "fallback") == 1
    assert total(registry, "wavegate_bad_total") == 1


def test_an_exception_outweighs_any_mark(client, registry):
    trial = client.trial("ai-summaries", "user-1")
    trial.fallback()

    with pytest.raises(RuntimeError), trial:
        raise RuntimeError

    assert bad(registry, "ai-summaries", "on", 15, "error") == 1
    assert total(registry, "wavegate_bad_total") == 1


@pytest.mark.parametrize("kind", ["hallucinated", "", None, ["slow"]])
def test_a_kind_of_the_apps_own_is_counted_as_custom(client, registry, kind):
    with client.trial("ai-summaries", "user-1") as trial:
        trial.bad(kind)

    assert bad(registry, "ai-summaries", "on", 15, "custom") == 1


def test_a_cancelled_request_is_no_outcome_unless_it_was_slow(client, registry):
    with pytest.raises(GeneratorExit), client.trial("ai-summaries", "user-1", slow_after=60):
        raise GeneratorExit
    with pytest.raises(KeyboardInterrupt), client.trial("ai-summaries", "user-1", slow_after=1e-9):
        raise KeyboardInterrupt

    assert requests(registry, "ai-summaries", "on", 15) == 1
    assert bad(registry, "ai-summaries", "on", 15, "slow") == 1


def test_a_trial_without_a_variant_counts_no_request(client, registry):
    with client.trial("ai-summaries", None, default=False) as trial:
        assert (trial.enabled, trial.value, trial.variant) == (False, False, None)
    with client.trial("no-such-flag", "user-1"):
        pass
    with client.trial("ai-summaries", "user-1", default="text") as trial:
        assert (trial.enabled, trial.value, trial.variant) == (False, "text", None)

    assert total(registry, "wavegate_requests_total") == 0
    assert total(registry, "wavegate_evaluations_total", reason="ERROR") == 3


def test_requests_without_a_key_are_spread_over_the_cohorts_like_strangers(client, registry):
    for _ in range(200):
        with client.trial("shop", None):
            pass

    live = [cohort for cohort in range(16) if requests(registry, "shop", "open", cohort)]
    assert total(registry, "wavegate_requests_total", flag="shop") == 200
    assert len(live) > 8


def test_a_users_cohort_is_the_same_before_and_during_a_rollout(client, registry):
    with client.trial("shop", "user-1"):
        pass

    cohort = cohort_of(key_hash(Generation.V3, "shop", joined=False)("user-1"))
    assert requests(registry, "shop", "open", cohort) == 1


@pytest.mark.parametrize("slow_after", [0, -1, "2", True, float("nan")])
def test_a_trial_refuses_a_limit_that_is_no_time(client, slow_after):
    with pytest.raises(ConfigError, match=r"slow_after: is .*; give seconds, more than 0"):
        client.trial("ai-summaries", "user-1", slow_after=slow_after)


def test_no_targeting_key_and_no_attribute_ever_stands_in_a_label(client, registry):
    client.is_enabled("ai-summaries", "someone@example.com", country="DE-secret")
    client.details("no-such-flag-7", "someone@example.com")
    with client.trial("ai-summaries", "someone@example.com", country="DE-secret"):
        pass

    text = generate_latest(registry).decode()
    assert "someone" not in text
    assert "DE-secret" not in text
    assert "no-such-flag-7" not in text


def test_a_new_ruleset_keeps_the_counts_and_adds_what_is_new(client, registry):
    with client.trial("ai-summaries", "user-1"):
        pass
    newer = json.loads(json.dumps(DOCUMENT)) | {"revision": 8}
    newer["flags"]["ai-summaries"]["variants"]["maybe"] = None
    with client.trial("shop", "user-1"):
        pass
    del newer["flags"]["shop"]

    client._offer(ruleset_from_json(newer), False)

    assert requests(registry, "ai-summaries", "on", 15) == 1
    assert requests(registry, "ai-summaries", "maybe", 0) == 0
    assert total(registry, "wavegate_requests_total", flag="shop") == 1
    assert registry.get_sample_value("wavegate_ruleset_revision") == 8


def test_several_clients_in_one_registry_add_up_and_show_the_revision_furthest_behind(registry):
    newer = Client.offline(DOCUMENT | {"revision": 9}, registry=registry)
    older = Client.offline(DOCUMENT, registry=registry)
    newer.is_enabled("ai-summaries", "user-1")
    older.is_enabled("ai-summaries", "user-1")

    assert evaluations(registry, "ai-summaries", "on", "SPLIT") == 2
    assert registry.get_sample_value("wavegate_ruleset_revision") == 7
    older.close()
    assert registry.get_sample_value("wavegate_ruleset_revision") == 9
    newer.close()
    assert registry.get_sample_value("wavegate_ruleset_revision") is None
    assert evaluations(registry, "ai-summaries", "on", "SPLIT") == 2


def test_the_default_registry_is_the_process_wide_one():
    from prometheus_client import REGISTRY

    with Client.offline(DOCUMENT):
        assert REGISTRY.get_sample_value("wavegate_ruleset_revision") == 7


def test_a_client_nobody_holds_is_let_go(registry):
    client = Client.offline(DOCUMENT, registry=registry)
    watched = weakref.ref(client)

    del client

    assert watched() is None


def test_no_count_is_lost_between_threads(client, registry):
    rounds, threads = 20_000, 4
    started = threading.Barrier(threads)

    def work():
        started.wait()
        for _ in range(rounds):
            client.is_enabled("ai-summaries", "user-1")
            with client.trial("ai-summaries", "user-1") as trial:
                trial.fallback()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        counted = total(registry, "wavegate_requests_total")
        # The requests are read first here, so more of them may have ended since, never fewer.
        assert total(registry, "wavegate_bad_total") >= counted
    for worker in workers:
        worker.join()

    assert requests(registry, "ai-summaries", "on", 15) == rounds * threads
    assert bad(registry, "ai-summaries", "on", 15, "fallback") == rounds * threads
    assert evaluations(registry, "ai-summaries", "on", "SPLIT") == 2 * rounds * threads
    duration = {"flag": "ai-summaries", "variant": "on"}
    assert registry.get_sample_value("wavegate_duration_seconds_count", duration) == rounds * threads


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"url": "wavegate.example.com"}, "url: must be the controller's plain address"),
        ({"url": "ftp://wavegate"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://host:port"}, "url"),
        ({"url": "http://[half"}, "url"),
        ({"url": "http://user:pass@host"}, "url"),
        ({"url": "http://host/?key=1"}, "url"),
        ({"url": None}, "url"),
        ({"poll_interval": 0}, "poll_interval: is 0; give seconds, more than 0"),
        ({"poll_interval": "1"}, "poll_interval"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": None}, "timeout"),
        ({"sdk_key": ""}, "sdk_key"),
        ({"sdk_key": "a\nb"}, "sdk_key"),
    ],
)
def test_a_client_refuses_arguments_that_make_no_sense(arguments, said, registry):
    with pytest.raises(ConfigError, match=said):
        Client(**{"url": "http://127.0.0.1:9", "registry": registry} | arguments)


def test_a_refused_key_is_not_repeated_in_the_message(registry):
    with pytest.raises(ConfigError) as refused:
        Client("http://127.0.0.1:9", "secret key", registry=registry)

    assert "secret" not in str(refused.value)


def test_everything_public_is_there():
    assert sorted(wavegate.__all__) == list(wavegate.__all__)
    assert all(hasattr(wavegate, name) for name in wavegate.__all__)
    assert isinstance(ruleset_from_json(DOCUMENT), Ruleset)
