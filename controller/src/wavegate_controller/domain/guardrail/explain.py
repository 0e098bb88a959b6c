"""An assessment with what a person wants to see beside it: intervals, and how long it will take. Decides nothing."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from wavegate_controller.domain.guardrail import eprocess
from wavegate_controller.domain.guardrail.assessment import Assessment, Forecast, Interval, MetricAssessment
from wavegate_controller.domain.guardrail.eprocess import EFFECTS, Block, log_evidence
from wavegate_controller.domain.guardrail.estimate import (
    Traffic,
    bad_outcomes_to_pass,
    time_to_pass,
    visible_regression,
)
from wavegate_controller.domain.guardrail.mean import MeanState, Strata
from wavegate_controller.domain.guardrail.policy import GuardrailMetric, GuardrailPolicy
from wavegate_controller.domain.guardrail.rule import assess
from wavegate_controller.domain.guardrail.share import ShareState
from wavegate_controller.domain.guardrail.state import MetricState, State
from wavegate_controller.domain.guardrail.users import UsersState

#: Ratios beyond these, up or down, are "anything".
_FURTHEST: Final = 1e3
_STEP: Final = 1.2
_PRECISION: Final = 1e-3


def explain(policy: GuardrailPolicy, state: State, *, now: datetime) -> Assessment:
    """What `assess` says, with the interval and the forecast of each metric."""
    assessment = assess(policy, state, now=now)
    if state.wave is None:
        return assessment
    return replace(
        assessment,
        metrics=tuple(
            replace(
                shown,
                interval=_interval(policy, state, each, shown),
                forecast=_forecast(policy, state, metric, each, shown),
            )
            for metric, each, shown in zip(policy.metrics, state.metrics, assessment.metrics, strict=True)
        ),
    )


def _interval(
    policy: GuardrailPolicy, state: State, metric_state: MetricState, shown: MetricAssessment
) -> Interval | None:
    """Of the ratio: all values that the evidence, turned around, has not ruled out; half of alpha on each side.

    Counts are taken together within each wave, where the split is constant, rather than by block.
    """
    match metric_state:
        case ShareState():
            blocks: Sequence[Block] = metric_state.blocks()
        case UsersState():
            share = policy.waves[state.wave or 0].share
            blocks = (Block(share, metric_state.candidate, 1 - share, metric_state.stable),)
        case MeanState():
            strata = metric_state.strata()
            return _between(
                lambda ratio: strata.evidence(margin=ratio - 1, absolute=0.0, worse=True),
                lambda ratio: strata.evidence(margin=ratio - 1, absolute=0.0, worse=False),
                around=strata.candidate / strata.stable if strata.stable else math.inf,
                alpha=policy.alpha,
            )
    design_effect = shown.design_effect or 1.0

    def evidence(ratio: float, effects: Sequence[float]) -> float:
        logs = [
            math.fsum([log_evidence(block, effect, margin=ratio - 1, absolute=0.0) for block in blocks]) / design_effect
            for effect in effects
        ]
        return eprocess.mean_of_effects(logs)

    inverse = [1 / effect for effect in EFFECTS]
    return _between(
        lambda ratio: evidence(ratio, EFFECTS),
        lambda ratio: evidence(ratio, inverse),
        around=_stratified_ratio(blocks),
        alpha=policy.alpha,
    )


def _stratified_ratio(blocks: Sequence[Block]) -> float:
    """Of candidate to stable, compared within each wave (Mantel & Haenszel)."""
    counted = [block for block in blocks if block.candidate and block.stable]
    above = math.fsum([each.candidate_bad * each.stable / (each.candidate + each.stable) for each in counted])
    below = math.fsum([each.stable_bad * each.candidate / (each.candidate + each.stable) for each in counted])
    return above / below if below else math.inf


def _between(
    above: Callable[[float], float], below: Callable[[float], float], *, around: float, alpha: float
) -> Interval | None:
    """The ratios that are neither surpassed nor undercut beyond doubt; None where nothing is known."""
    needed = 2 / alpha
    middle = min(max(around, 1 / _FURTHEST), _FURTHEST)
    low = _edge(lambda ratio: above(ratio) >= needed, middle, 1 / _STEP)
    high = _edge(lambda ratio: below(ratio) >= needed, middle, _STEP)
    return None if low is None and high is None else Interval(low=low or 0.0, high=high, level=1 - alpha)


def _edge(excluded: Callable[[float], bool], middle: float, step: float) -> float | None:
    """The first ratio on the way out from the middle that is excluded, to a thousandth."""
    inner = middle
    while 1 / _FURTHEST <= inner <= _FURTHEST:
        outer = inner * step
        if excluded(outer):
            while abs(math.log(outer / inner)) > _PRECISION:
                between = math.sqrt(inner * outer)
                inner, outer = (inner, between) if excluded(between) else (between, outer)
            return outer
        inner = outer
    return None


def _forecast(
    policy: GuardrailPolicy, state: State, metric: GuardrailMetric, metric_state: MetricState, shown: MetricAssessment
) -> Forecast | None:
    """At this wave's traffic so far, if the candidate is as good as stable."""
    if state.wave is None or state.wave_since is None or state.read_at is None:
        return None
    wave, last = policy.waves[state.wave], policy.is_last_gate(state.wave)
    seconds = (state.read_at - state.wave_since).total_seconds()
    if not wave.has_control or seconds <= 0:
        return None
    age = state.read_at - state.wave_since
    margin = shown.final_margin if last else shown.early_margin
    match metric_state:
        case MeanState():
            here = Strata.of(metric_state.candidate, metric_state.stable)
            times = here.times_to_pass(margin=margin, absolute=metric.gate_absolute, needed=1 / policy.beta)
            remaining = None if times is None else max(times - 1, 0.0) * age
            return Forecast(
                bad_outcomes=None,
                remaining=_until_gate(remaining, age=age, bake=wave.bake, target=wave.target, last=last),
                visible_regression=None,
            )
        case UsersState():
            return None
        case ShareState():
            pass
    counts = shown.in_wave
    requests = counts.candidate_requests + counts.stable_requests
    if not requests:
        return None
    bad = counts.candidate_amount + counts.stable_amount
    design_effect = shown.design_effect or 1.0
    traffic = Traffic(
        candidate_requests=counts.candidate_requests / seconds,
        stable_requests=counts.stable_requests / seconds,
        bad_share=min(bad / requests, 1.0),
    )
    so_far = (metric_state.final if last else metric_state.early) or metric_state.early
    remaining = time_to_pass(policy, metric, margin, traffic, design_effect=design_effect, so_far=so_far)
    tolerated = margin + metric.gate_absolute * requests / bad if bad else 0.0
    return Forecast(
        bad_outcomes=round(bad_outcomes_to_pass(tolerated, wave.share, beta=policy.beta, design_effect=design_effect))
        if tolerated > 0
        else None,
        remaining=_until_gate(remaining, age=age, bake=wave.bake, target=wave.target, last=last),
        visible_regression=visible_regression(
            bad / seconds * wave.target.total_seconds(),
            wave.share,
            alpha=policy.alpha,
            design_effect=design_effect,
        ),
    )


def _until_gate(
    shown_in: timedelta | None, *, age: timedelta, bake: timedelta, target: timedelta, last: bool
) -> timedelta | None:
    """Not before the bake; without evidence not before the target, and at the last gate not at all."""
    least_wait, on_time = max(bake - age, timedelta(0)), max(target - age, timedelta(0))
    if last:
        return None if shown_in is None else max(shown_in, on_time)
    return on_time if shown_in is None else min(max(shown_in, least_wait), max(on_time, least_wait))
