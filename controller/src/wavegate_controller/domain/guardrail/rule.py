"""The rule at each look: hold, pass or roll back, and why. A pure function of the policy, the log and the time."""

import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from wavegate_controller.domain.guardrail.assessment import Assessment, MetricAssessment, Outcome, Reason
from wavegate_controller.domain.guardrail.eprocess import GREATEST_LOG
from wavegate_controller.domain.guardrail.exposure import MISMATCH
from wavegate_controller.domain.guardrail.log import Entry
from wavegate_controller.domain.guardrail.policy import GuardrailMetric, GuardrailPolicy, GuardrailWave, MetricKind
from wavegate_controller.domain.guardrail.state import MetricState, State, fold, log_mismatch

#: A rate that sat exactly on the ceiling would reach this once in so many looks at most.
CEILING_EVIDENCE: Final = 1e4

_Answer = tuple[Outcome, Reason, str | None]


def assess_log(policy: GuardrailPolicy, entries: Iterable[Entry], *, now: datetime) -> Assessment:
    """What `assess` says after these entries: recomputes any decision from the record."""
    return assess(policy, fold(policy, entries), now=now)


def assess(policy: GuardrailPolicy, state: State, *, now: datetime) -> Assessment:
    """What the guardrail says now.

    Args:
        policy: as it was when the rollout started.
        state: the log so far, folded.
        now: aware UTC time of this look, at or after the last read.
    """
    index = 0 if state.wave is None else state.wave
    wave, last_gate = policy.waves[index], policy.is_last_gate(index)
    metrics = tuple(
        [
            _assess_metric(metric, each, wave=wave, last_gate=last_gate)
            for metric, each in zip(policy.metrics, state.metrics, strict=True)
        ]
    )
    weights = math.fsum([metric.weight for metric in policy.metrics])
    evidence = math.fsum(
        [metric.weight / weights * each.regression for metric, each in zip(policy.metrics, metrics, strict=True)]
    )
    mismatch = math.exp(min(log_mismatch(policy, state), GREATEST_LOG))
    outcome, reason, cause = _decide(policy, state, metrics, evidence=evidence, mismatch=mismatch, now=now)
    return Assessment(
        outcome=outcome,
        reason=reason,
        cause=cause,
        metrics=metrics,
        evidence=evidence,
        evidence_limit=1 / policy.alpha,
        suspicion=policy.suspicion,
        gate_limit=1 / policy.beta,
        ceiling_limit=CEILING_EVIDENCE,
        mismatch=mismatch,
        mismatch_limit=MISMATCH,
        last_gate=last_gate,
    )


def _assess_metric(
    metric: GuardrailMetric, state: MetricState, *, wave: GuardrailWave, last_gate: bool
) -> MetricAssessment:
    reading = state.read(metric, wave=wave, last_gate=last_gate)
    return MetricAssessment(
        name=metric.name,
        kind=metric.kind,
        guardrail=metric.guardrail,
        in_wave=reading.in_wave,
        in_all=reading.in_all,
        unit=metric.unit if metric.kind is MetricKind.MEAN else 1.0,
        regression=reading.regression,
        early=reading.early,
        early_margin=metric.early_margin(wave.share),
        final=reading.final,
        final_margin=metric.final_margin,
        ceiling=reading.ceiling,
        design_effect=reading.design_effect,
        live_cohorts=reading.live_cohorts,
        standard_error=reading.standard_error,
    )


def _decide(
    policy: GuardrailPolicy,
    state: State,
    metrics: tuple[MetricAssessment, ...],
    *,
    evidence: float,
    mismatch: float,
    now: datetime,
) -> _Answer:
    """A rollback is decided first; nothing passes before the data have been found fit to pass on."""
    for each in metrics:
        if each.ceiling is not None and each.ceiling >= CEILING_EVIDENCE:
            return Outcome.ROLLBACK, Reason.ABOVE_CEILING, each.name
    if state.wave is None or state.wave_since is None:
        return Outcome.HOLD, Reason.STALE_SAMPLES, None
    wave, age = policy.waves[state.wave], now - state.wave_since
    if wave.has_control and evidence >= 1 / policy.alpha:
        return Outcome.ROLLBACK, Reason.REGRESSION, _largest(metrics, policy)
    if unfit := _unfit(policy, state, mismatch=mismatch, now=now):
        return Outcome.HOLD, unfit, None
    if age < wave.bake:
        return Outcome.HOLD, Reason.BAKING, None
    guardrails = [each for each in metrics if each.guardrail]
    if missing := _too_few(guardrails, least=policy.min_requests, has_control=wave.has_control):
        return missing
    if wave.has_control:
        suspect = _largest(metrics, policy) if evidence > policy.suspicion else None
        return _gate(policy, state.wave, guardrails, suspect=suspect, age=age)
    if age >= wave.target:
        return Outcome.PASS, Reason.BELOW_CEILING, None
    return Outcome.HOLD, Reason.BEFORE_TARGET, None


def _gate(
    policy: GuardrailPolicy, index: int, guardrails: list[MetricAssessment], *, suspect: str | None, age: timedelta
) -> _Answer:
    """Whether the gate of a wave with a control opens; `suspect` is the metric that raises suspicion, if any does."""
    wave, last, needed = policy.waves[index], policy.is_last_gate(index), 1 / policy.beta
    on_time = age >= wave.target
    if suspect is None:
        if all(each.early >= needed for each in guardrails):
            return Outcome.PASS, Reason.NOT_WORSE_EARLY, None
        if on_time and last and all(_final(each) >= needed for each in guardrails):
            return Outcome.PASS, Reason.NOT_WORSE, None
        if on_time and not last:
            return Outcome.PASS, Reason.TARGET_TIME, None
    elif not last and age >= wave.suspicion_limit:
        return Outcome.PASS, Reason.SUSPICION_LIMIT, suspect
    if last and age >= wave.maximum:
        return Outcome.HOLD, Reason.INCONCLUSIVE, suspect or _least(guardrails, _final)
    if suspect is not None:
        return Outcome.HOLD, Reason.SUSPICION, suspect
    if last and on_time:
        return Outcome.HOLD, Reason.NOT_SHOWN_HARMLESS, _least(guardrails, _final)
    return Outcome.HOLD, Reason.BEFORE_TARGET, _least(guardrails, lambda each: each.early)


def _unfit(policy: GuardrailPolicy, state: State, *, mismatch: float, now: datetime) -> Reason | None:
    """Why nothing can be passed on these data."""
    if state.read_at is None or state.wave_since is None or now - state.read_at > policy.stale_after:
        return Reason.STALE_SAMPLES
    if now - max(state.candidate_seen_at or state.wave_since, state.wave_since) > policy.stale_after:
        return Reason.NO_CANDIDATE_TRAFFIC
    if policy.waves[state.wave or 0].has_control and mismatch >= MISMATCH:
        return Reason.SAMPLE_RATIO_MISMATCH
    return None


def _too_few(guardrails: list[MetricAssessment], *, least: int, has_control: bool) -> _Answer | None:
    for each in guardrails:
        if each.kind is MetricKind.USERS:
            continue  # counts users, and only those with a bad outcome
        if each.in_wave.candidate_requests < least:
            return Outcome.HOLD, Reason.TOO_FEW_CANDIDATE_REQUESTS, each.name
        if has_control and each.in_wave.stable_requests < least:
            return Outcome.HOLD, Reason.TOO_FEW_STABLE_REQUESTS, each.name
    return None


def _largest(metrics: tuple[MetricAssessment, ...], policy: GuardrailPolicy) -> str:
    """The metric that speaks loudest for a regression."""
    weighed = [metric.weight * each.regression for metric, each in zip(policy.metrics, metrics, strict=True)]
    return metrics[weighed.index(max(weighed))].name


def _least(guardrails: list[MetricAssessment], evidence: Callable[[MetricAssessment], float]) -> str:
    """The metric that keeps the gate shut."""
    return min(guardrails, key=evidence).name


def _final(each: MetricAssessment) -> float:
    return 0.0 if each.final is None else each.final
