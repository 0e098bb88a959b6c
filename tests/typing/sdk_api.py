"""Never run: what a type checker must know of the SDK's public names, and what it must refuse."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, assert_type

from prometheus_client import CollectorRegistry

import wavegate
from wavegate import Client, ErrorCode, EvaluationDetails, Reason, Ruleset, Trial

gate = Client("https://wavegate.example.com", sdk_key="wg_sdk_1", cache_path=Path("ruleset.json"))
Client("https://wavegate.example.com", registry=CollectorRegistry(), bootstrap={"schema": 1}, value_caps={"tokens": 1})
Client("https://wavegate.example.com", post_counts=True, cache_path="ruleset.json", stale_after=60)
assert_type(Client.offline("ruleset.json"), Client)
assert_type(wavegate.Client, type[Client])

assert_type(gate.is_enabled("search", "user-1", country="DE"), bool)
gate.is_enabled("search", None)
gate.is_enabled("search", 1)  # type: ignore[arg-type]
gate.is_enabled("search")  # type: ignore[call-arg]

assert_type(gate.value("search", "user-1", default="small"), str)
assert_type(gate.value("search", "user-1", default=1.5, country="DE"), float)
assert_type(gate.value("search", "user-1", {"model": "small"}), dict[str, str])
gate.value("search", "user-1")  # type: ignore[call-arg]

details = gate.details("search", "user-1", default=False)
assert_type(details, EvaluationDetails)
assert_type(details.reason, Reason)
assert_type(details.error_code, ErrorCode | None)
assert_type(details.variant, str | None)
details.variant = "on"  # type: ignore[misc]

with gate.trial("search", "user-1", slow_after=3.0) as trial:
    assert_type(trial, Trial)
    assert_type(trial.enabled, bool)
    assert_type(trial.variant, str | None)
    trial.cost_usd(0.002)
    trial.tokens(input=812, output=96)
    trial.custom(3)
    trial.fallback()
    trial.bad("hallucinated")


async def block() -> None:
    async with gate.trial("search", "user-1") as trial:
        assert_type(trial, Trial)


@gate.trials("search", by="user_id")
def called(trial: Trial, user_id: str, *, limit: int = 3) -> list[str]:
    return [user_id] * limit


@gate.trials("search", by=lambda user: f"user-{user}")
async def awaited(trial: Trial, user: int) -> bool:
    return trial.enabled


@gate.trials("search", by="user_id")
def generated(trial: Trial, user_id: str) -> Iterator[str]:
    yield user_id


@gate.trials("search", by="user_id")
async def streamed(trial: Trial, user_id: str) -> AsyncIterator[str]:
    yield user_id


@gate.trials("search", by="user_id")  # type: ignore[arg-type]
def has_no_trial(user_id: str) -> str:
    return user_id


assert_type(called("user-1", limit=2), list[str])
called(Trial, "user-1")  # type: ignore[call-arg, arg-type]
called(1)  # type: ignore[arg-type]
assert_type(generated("user-1"), Iterator[str])
assert_type(streamed("user-1"), AsyncIterator[str])


async def calls() -> None:
    assert_type(await awaited(1), bool)


gate.feedback("search", "user-1", thumbs_up=False, comment="too long", country="DE")
gate.feedback("search", "user-1")  # type: ignore[call-arg]


def heard(ruleset: Ruleset) -> None:
    assert_type(ruleset.revision, int)


gate.on_change(heard)
assert_type(gate.revision, int | None)
assert_type(gate.age, float | None)
assert_type(gate.connected, bool | None)
assert_type(gate.refused, bool | None)
assert_type(gate.wait_ready(1.5), bool)
with gate as same:
    assert_type(same, Client)

anything: Any = gate.value("search", "user-1", default=None)
