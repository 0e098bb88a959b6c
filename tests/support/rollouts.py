"""Plain rollouts for tests that only care about one thing of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.measurement import ArmCounts, Counts, Measurement
from wavegate_controller.domain.plan import ErrorRateGate, Operator, Plan, ThresholdGate, Wave
from wavegate_controller.domain.rollout import Rollout, State

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_plan(**changes: Any) -> Plan:
    waves = tuple(Wave(weight=weight, bake=timedelta(minutes=10)) for weight in (10_000, 25_000, 50_000, 100_000))
    return Plan(**{"waves": waves} | changes)


def a_flag(key: str = "ai-summaries", **changes: Any) -> Flag:
    values = {
        "key": key,
        "environment": "production",
        "variants": {"on": True, "off": False},
        "default_variant": "off",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Flag(**values | changes)


def a_rollout(**changes: Any) -> Rollout:
    """In its first wave since NOW, unless said otherwise."""
    values = {
        "id": "ai-summaries:1",
        "flag_key": "ai-summaries",
        "environment": "production",
        "stable": "off",
        "candidate": "on",
        "plan": a_plan(),
        "created_by": "anna",
        "created_at": NOW,
        "updated_at": NOW,
        "state": State.RUNNING,
        "wave": 0,
    }
    values |= changes
    if values["wave"] is not None:
        values = {"started_at": NOW, "wave_since": NOW, "evidence_since": NOW} | values
    return Rollout(**values)


def a_threshold(**changes: Any) -> ThresholdGate:
    values = {"name": "latency", "query": 'p95{flag="{{flag}}"}', "operator": Operator.LESS, "limit": 0.8}
    return ThresholdGate(**values | changes)


def an_error_rate(**changes: Any) -> ErrorRateGate:
    return ErrorRateGate(**changes)


def counted(
    minutes: float, *, candidate: tuple[int, int], stable: tuple[int, int], gate: str = "error-rate"
) -> Measurement:
    """What both arms counted in the look at NOW + minutes, as (requests, bad)."""
    at = NOW + timedelta(minutes=minutes)
    counts = Counts(
        candidate=ArmCounts(requests=candidate[0], bad=candidate[1]),
        stable=ArmCounts(requests=stable[0], bad=stable[1]),
        newest_sample_at=at,
    )
    return Measurement(gate=gate, at=at, query="counters", answer=counts)
