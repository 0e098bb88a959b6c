"""Means per request (cost, tokens, seconds, frequent outcomes), compared by their sums in each cohort.

Prometheus gives sums and counts, no squares: the variance comes from between the cohorts, which is also right for users
that differ. One-sided normal-mixture test in information time (Robbins 1970; Johari et al.), by nature asymptotic.
"""

import math
from dataclasses import dataclass, field
from operator import add
from typing import Final

from wavegate_controller.domain.guardrail.design_effect import Arm, between, few_cohorts
from wavegate_controller.domain.guardrail.eprocess import GREATEST_LOG
from wavegate_controller.domain.guardrail.estimate import least
from wavegate_controller.domain.guardrail.log import Increment
from wavegate_controller.domain.guardrail.policy import GuardrailMetric, GuardrailWave
from wavegate_controller.domain.guardrail.reading import Reading, Totals, Turn

#: Effects that are looked for, as parts of the control's mean.
_SCALES: Final = (0.1, 0.3)
_LEAST_REQUESTS: Final = 200
_LEAST_COHORTS: Final = 8
#: Slices of the budget: "since the start" alone, then beside "this wave", which catches a change in a later wave.
_ALONE: Final = 0.8
_BESIDE: Final = 0.7
_THIS_WAVE: Final = 0.1
#: Constant values have no spread at all; they are taken to spread by a ten-thousandth of the mean.
_LEAST_SPREAD: Final = 1e-4
#: So many times the time that was needed so far is not promised.
_LONGEST: Final = 10_000.0
#: Below this, the normal distribution function is left to its asymptote.
_FAR: Final = -30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Strata:
    """Waves, each compared within itself, added up.

    Attributes:
        weight: sum of the waves' information (H).
        candidate: sum of information times candidate mean.
        stable: sum of information times stable mean.
        candidate_residuals: of each cohort, around its arm's mean in each wave.
        stable_residuals: as above.
        live_candidate: one bit for each cohort with traffic.
        live_stable: as above.
        totals: plain sums.
    """

    weight: float = 0.0
    candidate: float = 0.0
    stable: float = 0.0
    candidate_residuals: tuple[float, ...] = ()
    stable_residuals: tuple[float, ...] = ()
    live_candidate: int = 0
    live_stable: int = 0
    totals: Totals = field(default_factory=Totals)

    @classmethod
    def of(cls, candidate: Arm, stable: Arm) -> "Strata":
        """One wave."""
        totals = Totals(
            candidate_requests=sum(candidate.requests),
            candidate_amount=sum(candidate.amount),
            stable_requests=sum(stable.requests),
            stable_amount=sum(stable.amount),
        )
        candidate_mean, stable_mean = totals.candidate_rate, totals.stable_rate
        if candidate_mean is None or stable_mean is None:
            return cls(totals=totals)
        requests = totals.candidate_requests + totals.stable_requests
        to_candidate, to_stable = totals.stable_requests / requests, totals.candidate_requests / requests
        weight = totals.candidate_requests * to_candidate
        return cls(
            weight=weight,
            candidate=weight * candidate_mean,
            stable=weight * stable_mean,
            candidate_residuals=_residuals(candidate, candidate_mean, to_candidate),
            stable_residuals=_residuals(stable, stable_mean, to_stable),
            live_candidate=sum([1 << cohort for cohort, count in enumerate(candidate.requests) if count]),
            live_stable=sum([1 << cohort for cohort, count in enumerate(stable.requests) if count]),
            totals=totals,
        )

    def plus(self, other: "Strata") -> "Strata":
        """Both."""
        if not other.weight or not self.weight:
            chosen = other if other.weight else self
            return Strata(
                weight=chosen.weight,
                candidate=chosen.candidate,
                stable=chosen.stable,
                candidate_residuals=chosen.candidate_residuals,
                stable_residuals=chosen.stable_residuals,
                live_candidate=chosen.live_candidate,
                live_stable=chosen.live_stable,
                totals=self.totals + other.totals,
            )
        return Strata(
            weight=self.weight + other.weight,
            candidate=self.candidate + other.candidate,
            stable=self.stable + other.stable,
            candidate_residuals=tuple(map(add, self.candidate_residuals, other.candidate_residuals)),
            stable_residuals=tuple(map(add, self.stable_residuals, other.stable_residuals)),
            live_candidate=self.live_candidate | other.live_candidate,
            live_stable=self.live_stable | other.live_stable,
            totals=self.totals + other.totals,
        )

    @property
    def live(self) -> int:
        """Cohorts with traffic in the arm that has fewer of them."""
        return min(self.live_candidate.bit_count(), self.live_stable.bit_count())

    def evidence(self, *, margin: float, absolute: float, worse: bool) -> float:
        """That the candidate's mean is beyond (or, not `worse`, within) the margins; 1 says nothing."""
        if self.totals.candidate_requests < _LEAST_REQUESTS or self.live < _LEAST_COHORTS or not self.weight:
            return 1.0
        scale = self.stable / self.weight + absolute
        if scale <= 0:
            return 1.0
        theta = (self.candidate - (1 + margin) * self.stable) / self.weight - absolute
        return _mixture(theta if worse else -theta, self._variance(margin, scale), scale)

    @property
    def standard_error(self) -> float | None:
        """Of the difference of the means; None while too few cohorts have traffic to know anything of it."""
        if not self.weight or self.live < _LEAST_COHORTS:
            return None
        return math.sqrt(self._variance(0.0, self.stable / self.weight))

    def times_to_pass(self, *, margin: float, absolute: float, needed: float) -> float | None:
        """How many times as long as so far it takes to show a candidate that is as good as stable; None if too long."""
        if self.evidence(margin=margin, absolute=absolute, worse=False) >= needed:
            return 1.0
        if not self.weight or self.live < _LEAST_COHORTS:
            return None
        mean = self.stable / self.weight
        if mean + absolute <= 0:
            return None
        variance = self._variance(margin, mean + absolute)

        def shown(times: float) -> bool:
            return _mixture(margin * mean + absolute, variance / times, mean + absolute) >= needed

        return least(shown, 1.0, _LONGEST) if shown(_LONGEST) else None

    def _variance(self, margin: float, scale: float) -> float:
        """Of the weighted difference of the means."""
        spread = between(self.candidate_residuals, self.live_candidate.bit_count()) + (1 + margin) ** 2 * between(
            self.stable_residuals, self.live_stable.bit_count()
        )
        return max(few_cohorts(self.live) * spread / self.weight**2, (_LEAST_SPREAD * scale) ** 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanState:
    """All that decisions need of the log so far.

    Attributes:
        past: waves that are over.
        candidate: sums of this wave.
        stable: sums of this wave.
        this_wave: slice of the budget that this wave has of its own.
        later: whether a wave with a control came before.
    """

    candidate: Arm
    stable: Arm
    past: Strata = field(default_factory=Strata)
    this_wave: float = 0.0
    later: bool = False

    @classmethod
    def empty(cls, cohorts: int) -> "MeanState":
        """Before the first read."""
        return cls(candidate=Arm.empty(cohorts), stable=Arm.empty(cohorts))

    def advance(self, metric: GuardrailMetric, turn: Turn, increment: Increment) -> "MeanState":
        """With one read."""
        del metric  # what is kept does not depend on the margins
        state = self
        if turn.begins:
            none = Arm.empty(len(self.candidate.requests))
            own = min(_THIS_WAVE, (1 - _ALONE) / (turn.compared_waves - 1)) if turn.compared_waves > 1 else 0.0
            state = MeanState(
                candidate=none,
                stable=none,
                past=self.past.plus(Strata.of(self.candidate, self.stable)),
                this_wave=own if turn.fresh and not turn.first else 0.0,
                later=not turn.first,
            )
        return MeanState(
            candidate=state.candidate.plus(increment.candidate_requests, increment.candidate_amount),
            stable=state.stable.plus(increment.stable_requests, increment.stable_amount),
            past=state.past,
            this_wave=state.this_wave,
            later=state.later,
        )

    def read(self, metric: GuardrailMetric, *, wave: GuardrailWave, last_gate: bool) -> Reading:
        """What the sums say now."""
        here, everything = Strata.of(self.candidate, self.stable), self.strata()

        def worse(strata: Strata) -> float:
            return strata.evidence(margin=metric.margin, absolute=metric.absolute, worse=True)

        def not_worse(margin: float) -> float:
            return here.evidence(margin=margin, absolute=metric.gate_absolute, worse=False)

        regression = (_BESIDE if self.later else _ALONE) * worse(everything)
        if self.this_wave:
            regression += self.this_wave * worse(here)
        return Reading(
            regression=regression,
            early=not_worse(metric.early_margin(wave.share)),
            final=not_worse(metric.final_margin) if last_gate else None,
            ceiling=None,
            design_effect=None,
            live_cohorts=here.live,
            in_wave=here.totals,
            in_all=everything.totals,
            standard_error=here.standard_error,
        )

    def strata(self) -> Strata:
        """All waves so far."""
        return self.past.plus(Strata.of(self.candidate, self.stable))


def _mixture(direction: float, variance: float, scale: float) -> float:
    return math.fsum([_normal_mixture(direction, variance, part * scale) for part in _SCALES]) / len(_SCALES)


def _normal_mixture(direction: float, variance: float, tau: float) -> float:
    """One-sided evidence that a normal mean is positive, mixed over its size with standard deviation tau."""
    both = variance + tau**2
    z = direction * tau / math.sqrt(variance * both)
    return math.exp(min(math.log(2) + math.log(variance / both) / 2 + _half_square_plus_log_phi(z), GREATEST_LOG))


def _half_square_plus_log_phi(z: float) -> float:
    """`z**2 / 2 + ln Phi(z)`, also far below zero, where Phi is no longer a number."""
    if z < _FAR:
        return -math.log(-z * math.sqrt(2 * math.pi))
    return z * z / 2 + math.log(math.erfc(-z / math.sqrt(2)) / 2)


def _residuals(arm: Arm, mean: float, factor: float) -> tuple[float, ...]:
    return tuple(
        [factor * (amount - mean * requests) for requests, amount in zip(arm.requests, arm.amount, strict=True)]
    )
