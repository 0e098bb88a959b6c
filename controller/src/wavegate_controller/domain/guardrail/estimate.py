"""How many bad outcomes a decision needs, and so how long it takes: to be shown before a rollout starts and during it.

Rules of thumb, accurate to some tens of percent: the evidence that a decision needs, with the usual overshoot, over
what one bad outcome gives on average (the Kullback-Leibler divergence from the null). Decisions never use them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from wavegate_controller.domain.guardrail import eprocess
from wavegate_controller.domain.guardrail.eprocess import Block
from wavegate_controller.domain.guardrail.policy import GuardrailMetric, GuardrailPolicy

#: Evidence, in nats, that a rollback takes on average beyond 1/alpha, and a gate beyond 1/beta.
_ROLLBACK_OVERHEAD: Final = 2.2
_GATE_OVERHEAD: Final = 0.9
#: What does not come within this time is not promised.
_HORIZON: Final = timedelta(days=30)
_GREATEST_EFFECT: Final = 1000.0


def bad_outcomes_to_roll_back(effect: float, share: float, *, alpha: float = 0.05, design_effect: float = 1.0) -> float:
    """Of both arms together, until a candidate that is `effect` times as bad (2.0: twice) is rolled back."""
    theta = effect * share / (effect * share + 1 - share)
    divergence = theta * math.log(theta / share) + (1 - theta) * math.log((1 - theta) / (1 - share))
    return (math.log(1 / alpha) + _ROLLBACK_OVERHEAD) * design_effect / divergence


def bad_outcomes_to_pass(margin: float, share: float, *, beta: float = 0.05, design_effect: float = 1.0) -> float:
    """Of both arms together, until a harmless candidate is shown to be not worse by the margin (0.25: 25 %)."""
    per_outcome = math.log1p(margin) ** 2 * share * (1 - share) / 2
    return (math.log(1 / beta) + _GATE_OVERHEAD) * design_effect / per_outcome


def visible_regression(
    bad_outcomes: float, share: float, *, alpha: float = 0.05, design_effect: float = 1.0
) -> float | None:
    """The least harm (1.0: twice as bad) that so many bad outcomes would show; None when none does."""

    def shown(effect: float) -> bool:
        # A worse candidate also causes more bad outcomes than the harmless one that was counted on.
        more = 1 - share + share * effect
        needed = bad_outcomes_to_roll_back(effect, share, alpha=alpha, design_effect=design_effect)
        return bad_outcomes * more >= needed

    if not shown(_GREATEST_EFFECT):
        return None
    return least(shown, 1.0001, _GREATEST_EFFECT) - 1


def least(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The least number from which on a condition holds, to a thousandth; it must hold at `high`."""
    while high > low * 1.001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """What is expected to happen, a second."""

    candidate_requests: float
    stable_requests: float
    bad_share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveEstimate:
    """What one wave is expected to take if the candidate is as good as stable.

    Attributes:
        early: until "not worse by the early margin" is shown; None where it is not within a month.
        final: as above for the final margin; None too where this is not the last gate.
        opens: when the gate opens; None where it does not by itself.
        visible_regression: the least harm (1.0: twice as bad) that is rolled back by the target time.
        bad_outcomes: that the gate needs, of both arms; None where clean requests open it first.
    """

    wave: int
    early: timedelta | None
    final: timedelta | None
    opens: timedelta | None
    visible_regression: float | None
    bad_outcomes: float | None


def estimate(
    policy: GuardrailPolicy,
    metric: GuardrailMetric,
    *,
    requests_per_second: float,
    bad_share: float,
    design_effect: float = 1.0,
) -> tuple[WaveEstimate, ...]:
    """What each wave with a control is expected to take, for one metric of rare bad outcomes."""
    estimates = []
    for index, wave in enumerate(policy.waves):
        if not wave.has_control:
            continue
        traffic = Traffic(
            candidate_requests=requests_per_second * wave.share,
            stable_requests=requests_per_second * (1 - wave.share),
            bad_share=bad_share,
        )
        last = policy.is_last_gate(index)
        early = time_to_pass(policy, metric, metric.early_margin(wave.share), traffic, design_effect=design_effect)
        final = (
            time_to_pass(policy, metric, metric.final_margin, traffic, design_effect=design_effect) if last else None
        )
        on_time = [max(each, wave.target) for each in (final,) if each is not None] if last else [wave.target]
        opens = min([*on_time, *(max(each, wave.bake) for each in (early,) if each is not None)], default=None)
        by_target = requests_per_second * bad_share * wave.target.total_seconds()
        absolute = metric.gate_absolute / bad_share if bad_share else math.inf
        margin = (metric.final_margin if last else metric.early_margin(wave.share)) + absolute
        estimates.append(
            WaveEstimate(
                wave=index,
                early=early,
                final=final,
                opens=opens,
                visible_regression=visible_regression(
                    by_target, wave.share, alpha=policy.alpha, design_effect=design_effect
                ),
                bad_outcomes=bad_outcomes_to_pass(margin, wave.share, beta=policy.beta, design_effect=design_effect)
                if bad_share and margin > 0
                else None,
            )
        )
    return tuple(estimates)


def time_to_pass(
    policy: GuardrailPolicy,
    metric: GuardrailMetric,
    margin: float,
    traffic: Traffic,
    *,
    design_effect: float,
    so_far: tuple[float, ...] = (0.0,) * len(eprocess.RATIOS),
) -> timedelta | None:
    """Until "not worse by the margin" is shown, from the log-evidence so far, if the candidate is as good as stable."""
    a_second = Block(
        candidate=traffic.candidate_requests,
        candidate_bad=traffic.candidate_requests * traffic.bad_share,
        stable=traffic.stable_requests,
        stable_bad=traffic.stable_requests * traffic.bad_share,
    )
    gains = eprocess.not_worse(a_second, margin=margin, absolute=metric.gate_absolute)
    needed = math.exp(_GATE_OVERHEAD) / policy.beta

    def shown(seconds: float) -> bool:
        logs = [log + gain * seconds for log, gain in zip(so_far, gains, strict=True)]
        return eprocess.mean_of_ratios(logs, design_effect=design_effect) >= needed

    horizon = _HORIZON.total_seconds()
    if not shown(horizon):
        return None
    return timedelta(seconds=round(least(shown, 1.0, horizon)))
