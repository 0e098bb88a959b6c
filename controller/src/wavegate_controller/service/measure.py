"""From what the metrics server answered to one measurement for each of a rollout's gates. Decides nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, reduce
from operator import or_
from typing import Final, assert_never

from wavegate_controller.documents.duration import format_duration
from wavegate_controller.domain.counts import (
    BAD_METRIC,
    EXPOSED_METRIC,
    REQUESTS_METRIC,
    VALUE_METRIC,
    CounterSelector,
    Needs,
    compared,
)
from wavegate_controller.domain.gates import (
    AlertCounts,
    AlertGate,
    ComparedGate,
    ErrorRateGate,
    FeedbackGate,
    Gate,
    ManualGate,
    ThresholdGate,
    ValueGate,
    WebhookGate,
)
from wavegate_controller.domain.guardrail import Exposure
from wavegate_controller.domain.looks import ALERT_FIRING, ALERT_PENDING
from wavegate_controller.domain.measurement import (
    Answer,
    Broken,
    BrokenReason,
    Counts,
    Cursor,
    Feedback,
    Measurement,
    Reading,
    Value,
)
from wavegate_controller.domain.promql import fill_in, matchers
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.service.counting import Counted

#: What the SDK calls what a person said.
_THUMBS_DOWN: Final = "thumbs_down"
_THUMBS_UP: Final = "thumbs_up"


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one look at the metrics server gave.

    Attributes:
        measurements: one for each gate that was asked for.
        cursor: to be stored with them; None if the counters could not be read.
    """

    measurements: tuple[Measurement, ...]
    cursor: Cursor | None


def needs_of(gate: Gate) -> Needs | None:
    """The counters that the gate is judged by; None for a gate that asks something else."""
    match gate:
        case ErrorRateGate():
            return Needs(bad=frozenset(gate.kinds))
        case ValueGate():
            return Needs(values=frozenset({gate.value.value}))
        case FeedbackGate():
            return Needs(bad=frozenset({_THUMBS_DOWN}), values=frozenset({_THUMBS_UP}))
        case ThresholdGate() | AlertGate() | WebhookGate() | ManualGate():
            return None
        case _:
            assert_never(gate)


def needs(rollout: Rollout) -> Needs | None:
    """The counters that all gates of the plan need together; None where none needs any."""
    wanted = [need for gate in rollout.plan.gates if (need := needs_of(gate))]
    if rollout.plan.guardrail.sample_ratio and rollout.plan.compared:
        wanted.append(Needs(exposed=True))
    return reduce(or_, wanted) if wanted else None


def numbers(rollout: Rollout, *, now: datetime) -> tuple[str, ...]:
    """The queries for one number that the plan's gates need, in the order of the gates."""
    queries = (number_query(gate, rollout, now=now) for gate in rollout.plan.gates)
    return tuple(query for query in queries if query is not None)


def rules(rollout: Rollout) -> tuple[str, ...]:
    """The alerts whose rules the server must have."""
    return tuple(gate.alert for gate in rollout.plan.gates if isinstance(gate, AlertGate) and gate.require_rule)


def measure(
    rollout: Rollout,
    counted: Counted | Broken | None,
    number: Callable[[str], Answer],
    rule: Callable[[str], Broken | None],
    *,
    now: datetime,
) -> Look:
    """One measurement for each gate that the metrics server is asked for, all at the same evaluation time.

    Args:
        rollout: that is looked at.
        counted: its counters; None where its gates need none.
        number: gives the answers to `numbers`.
        rule: gives the answers to `rules`.
        now: the evaluation time.
    """

    def measurement(gate: Gate) -> Measurement | None:
        answer: Reading
        match gate:
            case ThresholdGate():
                query = threshold_query(gate, rollout)
                answer = number(query)
            case ErrorRateGate() | ValueGate():
                query = counter_query(gate, rollout)
                answer = _counts(gate, rollout, counted)
            case FeedbackGate():
                query = counter_query(gate, rollout)
                answer = _feedback(gate, rollout, counted)
            case AlertGate():
                query = alert_query(gate, rollout, now=now)
                answer = number(query)
                if gate.require_rule and isinstance(answer, Value) and answer.value < ALERT_FIRING:
                    # Only a rule that is evaluated can be quiet.
                    answer = rule(gate.alert) or answer
            case WebhookGate() | ManualGate():
                return None
            case _:
                assert_never(gate)
        return Measurement(gate=gate.name, at=now, query=query, answer=answer)

    return Look(
        measurements=tuple(each for gate in rollout.plan.gates if (each := measurement(gate))),
        cursor=counted.cursor if isinstance(counted, Counted) else None,
    )


def number_query(gate: Gate, rollout: Rollout, *, now: datetime) -> str | None:
    """The PromQL of a gate that is judged by one number; None for the others."""
    match gate:
        case ThresholdGate():
            return threshold_query(gate, rollout)
        case AlertGate():
            return alert_query(gate, rollout, now=now)
        case _:
            return None


def threshold_query(gate: ThresholdGate, rollout: Rollout) -> str:
    """The gate's PromQL for this rollout and wave."""
    return fill_in(gate.query, {**_values(rollout), "window": format_duration(gate.window)})


def alert_query(gate: AlertGate, rollout: Rollout, *, now: datetime) -> str:
    """PromQL that gives 2 while the alert fires, else 1 while it is pending, else 0."""
    scope = fill_in(matchers({"alertname": gate.alert, **gate.labels}), _values(rollout))
    fires = f'ALERTS{{{scope},alertstate="firing"}}'
    if gate.counts is AlertCounts.FIRED_IN_WAVE:
        in_wave = max(now - (rollout.wave_since or now), timedelta(seconds=1))
        fires = f"max_over_time({fires}[{in_wave // timedelta(milliseconds=1)}ms])"
    pending = f'ALERTS{{{scope},alertstate="pending"}}'
    return f"{ALERT_FIRING:g} * max({fires}) or {ALERT_PENDING:g} * max({pending}) or vector(0)"


def _values(rollout: Rollout) -> dict[str, str]:
    return {
        "flag": rollout.flag_key,
        "candidate": rollout.candidate,
        "stable": rollout.stable,
        "wave": str((rollout.wave or 0) + 1),
    }


def counter_query(gate: ComparedGate | FeedbackGate, rollout: Rollout) -> str:
    """The gate's counters as a selector, to look at by hand; they are read with those of other rollouts."""
    return _counter_query(gate, rollout.flag_key)


@lru_cache(maxsize=4096)
def _counter_query(gate: ComparedGate | FeedbackGate, flag: str) -> str:
    return CounterSelector(flags=(flag,), needs=needs_of(gate) or Needs()).promql


def _counts(gate: ComparedGate, rollout: Rollout, counted: Counted | Broken | None) -> Counts | Broken:
    if counted is None or rollout.wave is None or rollout.wave_since is None:
        raise ValueError(f"gate {gate.name} of rollout {rollout.id} needs counters that were not asked for")
    if isinstance(counted, Broken):
        return counted
    increments, settings = counted.increments, rollout.plan.guardrail
    match gate:
        case ErrorRateGate():
            metric, kinds, unit = BAD_METRIC, gate.kinds, 1.0
        case ValueGate():
            metric, kinds, unit = VALUE_METRIC, (gate.value.value,), gate.metric.unit
        case _:
            assert_never(gate)
    increment = compared(
        increments,
        candidate=rollout.candidate,
        stable=rollout.stable,
        metric=metric,
        kinds=kinds,
        cohorts=settings.cohorts,
        unit=unit,
    )
    if increment is None:
        return Broken(
            reason=BrokenReason.COHORT_MISSING,
            detail=f"counters of flag {rollout.flag_key} carry no label cohort, but the plan compares by "
            f"{settings.cohorts} cohorts: is it dropped on the way? Else set guardrail.cohorts to 1",
        )
    return Counts(
        increment=increment,
        wave=rollout.wave,
        wave_since=rollout.wave_since,
        newest_sample_at=increments.newest_sample_at,
        exposure=Exposure(
            candidate=round(increments.total(EXPOSED_METRIC, rollout.candidate)),
            stable=round(increments.total(EXPOSED_METRIC, rollout.stable)),
        )
        if settings.sample_ratio
        else None,
    )


def _feedback(gate: FeedbackGate, rollout: Rollout, counted: Counted | Broken | None) -> Feedback | Broken:
    if counted is None:
        raise ValueError(f"gate {gate.name} of rollout {rollout.id} needs counters that were not asked for")
    if isinstance(counted, Broken):
        return counted
    total = counted.increments.total
    return Feedback(
        requests=round(total(REQUESTS_METRIC, rollout.candidate)),
        thumbs_up=round(total(VALUE_METRIC, rollout.candidate, kinds=(_THUMBS_UP,))),
        thumbs_down=round(total(BAD_METRIC, rollout.candidate, kinds=(_THUMBS_DOWN,))),
        newest_sample_at=counted.increments.newest_sample_at,
    )
