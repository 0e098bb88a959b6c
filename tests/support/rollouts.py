"""Plain rollouts for tests that only care about one thing of them."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from wavegate_controller.domain.analysis import judge_all
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.guarding import entries
from wavegate_controller.domain.guardrail import Increment, fold
from wavegate_controller.domain.measurement import Counts, Measurement
from wavegate_controller.domain.plan import ErrorRateGate, Operator, Plan, ThresholdGate, Wave
from wavegate_controller.domain.rollout import Rollout, State
from wavegate_controller.domain.verdict import Verdict

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


def counts(
    candidate: tuple[int, int],
    stable: tuple[int, int],
    *,
    newest_sample_at: datetime | None,
    cohorts: int = 16,
    turn: int = 0,
    wave: int = 0,
    wave_since: datetime = NOW,
) -> Counts:
    """What both arms counted, as (requests, bad), spread evenly over the cohorts, first those after `turn`."""

    def row(total: int) -> tuple[int, ...]:
        return tuple(total // cohorts + ((cohort - turn) % cohorts < total % cohorts) for cohort in range(cohorts))

    return Counts(
        increment=Increment(
            candidate_requests=row(candidate[0]),
            candidate_amount=row(candidate[1]),
            stable_requests=row(stable[0]),
            stable_amount=row(stable[1]),
        ),
        wave=wave,
        wave_since=wave_since,
        newest_sample_at=newest_sample_at,
    )


def counted(
    minutes: float, *, candidate: tuple[int, int], stable: tuple[int, int], gate: str = "error-rate", **where: Any
) -> Measurement:
    """What both arms counted in the look at NOW + minutes; the odd ones are other cohorts each time."""
    at = NOW + timedelta(minutes=minutes)
    answer = counts(candidate, stable, newest_sample_at=at, turn=int(minutes * 7), **where)
    return Measurement(gate=gate, at=at, query="counters", answer=answer)


def judged(rollout: Rollout, *measurements: Measurement, now: datetime | None = None) -> tuple[Verdict, ...]:
    """What the gates of the plan say of these measurements, as after a restart: all of the log is folded anew."""
    evidence = defaultdict(list)
    for each in measurements:
        evidence[each.gate].append(each)
    policy = rollout.plan.policy
    state = fold(policy, entries(rollout.plan, measurements)) if policy else None
    return judge_all(rollout, evidence, state, now=now or measurements[-1].at)
