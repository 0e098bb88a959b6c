"""What the SDK gives to the tests of apps."""

import asyncio
import subprocess
import sys
import threading

import pytest
from prometheus_client import REGISTRY

import wavegate
from wavegate.testing import Feedback, FixedClient, Outcome, Variant, fixed, override

HALF = {
    "schema": 1,
    "environment": "production",
    "revision": 3,
    "flags": {"ai-summaries": {"variants": {"on": True, "off": False}, "default_variant": "off"}},
}


@pytest.fixture
def gate():
    """A client that an app has made."""
    return wavegate.Client.offline(HALF)


def test_a_fixed_client_serves_everybody_what_the_test_says():
    gate = fixed({"ai-summaries": True, "answer-model": {"model": "small"}, "limit": 3, "greeting": ""})

    assert gate.is_enabled("ai-summaries", "anna") is True
    assert gate.is_enabled("ai-summaries", None, country="DE") is True
    assert gate.value("answer-model", "anna", {"model": "none"}) == {"model": "small"}
    assert gate.value("limit", "anna", 1) == 3
    assert gate.value("greeting", "anna", "hi") == ""


def test_a_flag_that_the_test_does_not_name_is_unknown():
    details = fixed().details("ai-summaries", "anna", default="as before")

    assert (details.value, details.error_code) == ("as before", "FLAG_NOT_FOUND")


def test_a_fixed_client_is_a_client_without_thread_or_metrics():
    threads = threading.active_count()

    gate = fixed({"fixed-flag": True})
    gate.is_enabled("fixed-flag", "anna")

    assert isinstance(gate, wavegate.Client)
    assert gate.wait_ready(0)
    assert threading.active_count() == threads
    labels = {"flag": "fixed-flag", "variant": "on", "reason": "STATIC"}
    assert REGISTRY.get_sample_value("wavegate_evaluations_total", labels) is None


def test_variants_have_names():
    gate = fixed({"on": True, "off": False, "model": Variant("large", {"model": "large"}), "text": "a"})

    names = {flag: gate.details(flag, "anna").variant for flag in ("on", "off", "model", "text")}

    assert names == {"on": "on", "off": "off", "model": "large", "text": "fixed"}


def test_a_value_that_no_variant_can_have_is_refused():
    with pytest.raises(wavegate.InvalidRuleset, match=r"flags\.model\.variants\.fixed"):
        fixed({"model": object()})


def test_flags_change_in_the_middle_of_a_test():
    gate = fixed({"ai-summaries": False, "search": True})
    heard = []
    gate.on_change(heard.append)

    gate.serve({"ai-summaries": True})

    assert gate.is_enabled("ai-summaries", "anna") is True
    assert gate.is_enabled("search", "anna") is True
    assert [ruleset.revision for ruleset in heard] == [gate.revision]


def test_the_outcome_of_a_trial_is_remembered():
    gate = fixed({"ai-summaries": True})

    with gate.trial("ai-summaries", "anna") as trial:
        trial.cost_usd(12)
        trial.tokens(input=800, output=100)

    assert gate.outcomes == [
        Outcome(flag_key="ai-summaries", targeting_key="anna", variant="on", values={"cost_usd": 12.0, "tokens": 900.0})
    ]
    assert gate.outcomes[0].seconds > 0


def test_it_is_remembered_why_an_outcome_was_bad():
    gate = fixed({"ai-summaries": False})

    with pytest.raises(ZeroDivisionError), gate.trial("ai-summaries", "anna"):
        _ = 1 / 0
    with gate.trial("ai-summaries", "ben") as trial:
        trial.fallback()
    with gate.trial("ai-summaries", None, slow_after=1e-9):
        pass

    assert [(one.targeting_key, one.variant, one.bad) for one in gate.outcomes] == [
        ("anna", "off", "error"),
        ("ben", "off", "fallback"),
        (None, "off", "slow"),
    ]


def test_what_is_not_counted_is_not_remembered():
    gate = fixed({"ai-summaries": True, "words": "many"})

    with gate.trial("missing", "anna"), gate.trial("words", "anna", default=1):
        pass
    with pytest.raises(KeyboardInterrupt), gate.trial("ai-summaries", "anna"):
        raise KeyboardInterrupt

    assert gate.outcomes == []


def test_decorated_and_asynchronous_trials_are_remembered():
    gate = fixed({"ai-summaries": True})

    @gate.trials("ai-summaries", by="user")
    async def summary(trial, user):
        return trial.enabled

    async def both():
        async with gate.trial("ai-summaries", "ben") as trial:
            return [await summary("anna"), trial.enabled]

    assert asyncio.run(both()) == [True, True]
    assert [one.targeting_key for one in gate.outcomes] == ["anna", "ben"]


def test_feedback_is_remembered():
    gate = fixed({"ai-summaries": True})

    gate.feedback("ai-summaries", "anna", thumbs_up=False, comment="too long")
    gate.feedback("missing", "anna", thumbs_up=True)

    assert gate.feedbacks == [
        Feedback(flag_key="ai-summaries", targeting_key="anna", variant="on", thumbs_up=False, comment="too long")
    ]


def test_a_client_that_the_app_has_made_is_overridden_for_a_while(gate):
    @gate.trials("ai-summaries", by="user")
    def decorated_before(trial, user):
        return trial.enabled

    with override(gate, {"ai-summaries": True}) as flags:
        during = gate.is_enabled("ai-summaries", "anna"), decorated_before("anna")
    after = gate.is_enabled("ai-summaries", "anna"), decorated_before("anna")

    assert (during, after) == ((True, True), (False, False))
    assert [one.variant for one in flags.outcomes] == ["on"]


def test_overrides_nest(gate):
    with override(gate, {"ai-summaries": True}):
        with override(gate, {"ai-summaries": False}):
            inner = gate.is_enabled("ai-summaries", "anna")
        outer = gate.is_enabled("ai-summaries", "anna")

    assert (inner, outer, gate.is_enabled("ai-summaries", "anna")) == (False, True, False)


def test_an_override_ends_when_the_test_fails(gate):
    with pytest.raises(AssertionError), override(gate, {"ai-summaries": True}):
        raise AssertionError

    assert gate.is_enabled("ai-summaries", "anna") is False


def test_nobody_waits_for_a_controller_while_its_client_is_overridden():
    with wavegate.Client("http://127.0.0.1:9", timeout=0.1) as gate, override(gate):
        assert gate.wait_ready(60) is True


@pytest.fixture
def restored(gate):
    """The app's client; after the test, and after the fixtures it was asked for with, it answers again."""
    yield gate
    assert gate.is_enabled("ai-summaries", "anna") is False


def test_the_fixture_stands_in_for_one_test(restored, wavegate_flags):
    wavegate_flags.serve({"ai-summaries": True})
    wavegate_flags.replace(restored)

    assert isinstance(wavegate_flags, FixedClient)
    assert restored.is_enabled("ai-summaries", "anna") is True
    assert wavegate_flags.outcomes == []


def test_only_pytest_and_openfeature_bring_themselves_along():
    code = (
        "import sys, wavegate.testing; wavegate.testing.fixed({'a': True}).is_enabled('a', 'b'); "
        "print([name for name in ('pytest', 'openfeature', 'requests', 'prometheus_client') if name in sys.modules])"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"
