"""How apps call the SDK, as a type checker sees it: this file is checked by mypy, never run.

`assert_type` holds the types that are promised; a `type: ignore` holds a mistake that must be found, for
mypy reports those that ignore nothing.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypedDict, assert_type

from openfeature import api
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.provider import FeatureProvider

import wavegate
import wavegate.testing
from wavegate.openfeature import WavegateProvider


class Model(TypedDict):
    model: str
    temperature: float


gate = wavegate.Client("https://wavegate.example.com", "key", cache_path=Path("ruleset.json"), post_counts=True)
assert_type(gate, wavegate.Client)
assert_type(wavegate.Client.offline({"schema": 1}), wavegate.Client)

# Asking
assert_type(gate.is_enabled("search", "anna", country="DE", age=29), bool)
assert_type(gate.is_enabled("search", None), bool)
anna: dict[str, str | int] = {"country": "DE", "age": 29}
assert_type(gate.is_enabled("search", "anna", anna), bool)
assert_type(gate.is_enabled("search", "anna", anna, beta=True), bool)
assert_type(gate.value("limit", "anna", 3, anna), int)
assert_type(gate.value("greeting", "anna", default="hi", attributes=anna), str)
assert_type(gate.value("limit", "anna", default=3), int)
assert_type(gate.value("greeting", "anna", "hi", country="DE"), str)
small: Model = {"model": "small", "temperature": 0.2}
assert_type(gate.value("answer-model", "anna", default=small), Model)
details = gate.details("search", "anna")
assert_type(details, wavegate.EvaluationDetails)
assert_type(details.reason, wavegate.Reason)
assert_type(details.error_code, wavegate.ErrorCode | None)
assert_type(details.variant, str | None)
assert_type(gate.revision, int | None)
assert_type(gate.wait_ready(1.0), bool)

gate.is_enabled("search")  # type: ignore[call-arg] # whose flag?
gate.is_enabled(17, "anna")  # type: ignore[arg-type] # a key is a string
gate.is_enabled("search", 17)  # type: ignore[arg-type] # so is a targeting key
gate.is_enabled("search", "anna", "DE")  # type: ignore[arg-type] # attributes have names
gate.value("limit", "anna")  # type: ignore[call-arg] # the default is what to do when nothing works
gate.feedback("search", "anna")  # type: ignore[call-arg] # up or down?
gate.feedback("search", "anna", True)  # type: ignore[call-arg, arg-type] # say which: thumbs_up=True


# Trials
def block() -> str:
    with gate.trial("ai-summaries", "anna", slow_after=3.0, country="DE") as trial:
        assert_type(trial, wavegate.Trial)
        assert_type(trial.enabled, bool)
        assert_type(trial.variant, str | None)
        trial.cost_usd(0.002)
        trial.tokens(input=812, output=96)
        trial.tokens(812)  # type: ignore[call-arg] # in or out?
        return "text"


def block_with_what_is_known() -> None:
    with gate.trial("ai-summaries", "anna", anna, slow_after=3.0) as trial:
        assert_type(trial, wavegate.Trial)
    gate.feedback("ai-summaries", "anna", anna, thumbs_up=True)


async def asynchronous_block() -> None:
    async with gate.trial("ai-summaries", "anna") as trial:
        assert_type(trial, wavegate.Trial)


@gate.trials("ai-summaries", by="user_id", slow_after=3.0)
def summary(trial: wavegate.Trial, user_id: str, *, words: int = 100) -> str:
    return user_id * words if trial.enabled else user_id


@gate.trials("ai-summaries", by="user_id", attributes="known")
def summary_for(trial: wavegate.Trial, user_id: str, known: dict[str, str]) -> str:
    return known["name"]


@gate.trials("ai-summaries", by=lambda request: str(request["user"]))
async def awaited(trial: wavegate.Trial, request: dict[str, Any]) -> int:
    return len(request)


@gate.trials("ai-summaries", by="user_id")
def streamed(trial: wavegate.Trial, user_id: str) -> Iterator[str]:
    yield user_id


@gate.trials("ai-summaries", by="user_id")
async def streamed_asynchronously(trial: wavegate.Trial, user_id: str) -> AsyncIterator[str]:
    yield user_id


async def calls() -> None:
    assert_type(summary("anna", words=3), str)
    assert_type(await awaited({"user": "anna"}), int)
    assert_type(streamed("anna"), Iterator[str])
    assert_type(streamed_asynchronously("anna"), AsyncIterator[str])
    summary(17)  # type: ignore[arg-type] # parameters are still those of the function
    summary("anna", lines=3)  # type: ignore[call-arg] # as above


@gate.trials("ai-summaries", by="user_id")  # type: ignore[arg-type] # the first parameter is the trial
def without_trial(user_id: str) -> str:
    return user_id


# Listening
def listener(ruleset: wavegate.Ruleset) -> None:
    assert_type(ruleset.revision, int)


gate.on_change(listener)
with wavegate.Client("https://wavegate.example.com") as closing:
    assert_type(closing, wavegate.Client)

# Tests
fixed = wavegate.testing.fixed({"ai-summaries": True, "model": wavegate.testing.Variant("large", {"model": "large"})})
assert_type(fixed, wavegate.testing.FixedClient)
stand_in: wavegate.Client = fixed
assert_type(fixed.outcomes[0].bad, str | None)
with wavegate.testing.override(gate, {"ai-summaries": False}) as overriding:
    assert_type(overriding, wavegate.testing.FixedClient)

# OpenFeature
provider: FeatureProvider = WavegateProvider(gate, ready_timeout=2.0)
api.set_provider(provider)
assert_type(api.get_client().get_boolean_details("search", False), FlagEvaluationDetails[bool])
