"""By how much outcomes come in clumps: retries, bursts, users that differ. Log-evidence is divided by it.

Exact tests on counts take each bad outcome as a witness of its own. Ten failing retries of one call are one witness.
This is the asymptotic part of the statistics: with a design effect of 1 the tests are exact, above it they were
simulated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import add
from typing import Final

from wavegate_controller.domain.guardrail.eprocess import Block

#: With fewer live cohorts in an arm nothing can be said about the variance, so there is no evidence at all.
LEAST_COHORTS: Final = 6
#: Divides any evidence to nothing.
NO_EVIDENCE: Final = 1e9
#: Before blocks have shown how bursty they are, a burst of five is assumed, as firmly as two pairs of blocks would.
_PRIOR: Final = 5.0
_PRIOR_PAIRS: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """Requests and amounts of one arm, by cohort."""

    requests: tuple[int, ...]
    amount: tuple[int, ...]

    @classmethod
    def empty(cls, cohorts: int) -> "Arm":
        """Nothing yet."""
        return cls(requests=(0,) * cohorts, amount=(0,) * cohorts)

    def plus(self, requests: Sequence[int], amount: Sequence[int]) -> "Arm":
        """With an increment."""
        return Arm(
            requests=tuple(map(add, self.requests, requests)),
            amount=tuple(map(add, self.amount, amount)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortSpread:
    """Residuals of past waves: what the cohorts differed by around their arm's own rate.

    Attributes:
        candidate: sum over the waves of the weighted residual of each cohort.
        stable: as above.
        model: variance that independent outcomes would have had.
        live_candidate: one bit for each cohort that ever had traffic.
        live_stable: as above.
    """

    candidate: tuple[float, ...]
    stable: tuple[float, ...]
    model: float = 0.0
    live_candidate: int = 0
    live_stable: int = 0

    @classmethod
    def empty(cls, cohorts: int) -> "CohortSpread":
        """Before the first wave."""
        return cls(candidate=(0.0,) * cohorts, stable=(0.0,) * cohorts)

    def plus(self, candidate: Arm, stable: Arm) -> "CohortSpread":
        """With a wave's counts, as one stratum."""
        live_candidate = self.live_candidate | _bits(candidate.requests)
        live_stable = self.live_stable | _bits(stable.requests)
        n_t, x_t = sum(candidate.requests), sum(candidate.amount)
        n_c, x_c = sum(stable.requests), sum(stable.amount)
        if not n_t or not n_c:
            return CohortSpread(
                candidate=self.candidate,
                stable=self.stable,
                model=self.model,
                live_candidate=live_candidate,
                live_stable=live_stable,
            )
        share = n_t / (n_t + n_c)
        return CohortSpread(
            candidate=_residuals(self.candidate, candidate, rate=x_t / n_t, factor=1 - share),
            stable=_residuals(self.stable, stable, rate=x_c / n_c, factor=share),
            model=self.model + (1 - share) ** 2 * x_t + share**2 * x_c,
            live_candidate=live_candidate,
            live_stable=live_stable,
        )

    @property
    def live(self) -> int:
        """Cohorts with traffic in the arm that has fewer of them."""
        return min(self.live_candidate.bit_count(), self.live_stable.bit_count())

    @property
    def design_effect(self) -> float:
        """Variance between the cohorts over that of independent outcomes; 1 when they do not differ more."""
        if self.live < LEAST_COHORTS:
            return NO_EVIDENCE
        if self.model <= 0:
            return 1.0
        robust = between(self.candidate, self.live_candidate.bit_count()) + between(
            self.stable, self.live_stable.bit_count()
        )
        ratio = robust / self.model
        return max(1.0, ratio * few_cohorts(self.live)) if ratio > 1 else 1.0


def between(residuals: Sequence[float], live: int) -> float:
    """Variance of the sum, from the residuals of the cohorts that had traffic."""
    return live / (live - 1) * math.fsum([each * each for each in residuals])


def few_cohorts(live: int) -> float:
    """A variance from so few cohorts may be too small by chance."""
    return 1 + 2 / (live - 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class BurstSpread:
    """Successive differences of closed blocks, for counters without cohorts. Blind to users that differ.

    Attributes:
        observed: sum of the squared differences.
        model: what independent outcomes would have given.
        pairs: of blocks with any bad outcome.
        last: the block before, within the same wave.
    """

    observed: float = 0.0
    model: float = 0.0
    pairs: int = 0
    last: Block | None = None

    def plus(self, block: Block) -> "BurstSpread":
        """With a closed block."""
        if self.last is None:
            return BurstSpread(observed=self.observed, model=self.model, pairs=self.pairs, last=block)
        score, information, variance = _moments(block)
        score_before, information_before, variance_before = _moments(self.last)
        both = information + information_before
        model = (variance * information_before**2 + variance_before * information**2) / both**2
        return BurstSpread(
            observed=self.observed + ((score * information_before - score_before * information) / both) ** 2,
            model=self.model + model,
            pairs=self.pairs + (model > 0),
            last=block,
        )

    def new_wave(self) -> "BurstSpread":
        """Blocks of two waves are not compared."""
        return BurstSpread(observed=self.observed, model=self.model, pairs=self.pairs)

    @property
    def design_effect(self) -> float:
        """Variance between successive blocks over that of independent outcomes, drawn towards the prior."""
        seen = self.pairs * self.observed / self.model if self.model > 0 else 0.0
        return max(1.0, (seen + _PRIOR_PAIRS * _PRIOR) / (self.pairs + _PRIOR_PAIRS))


def _residuals(past: Sequence[float], arm: Arm, *, rate: float, factor: float) -> tuple[float, ...]:
    return tuple(
        [
            sum_so_far + factor * (amount - rate * requests)
            for sum_so_far, amount, requests in zip(past, arm.amount, arm.requests, strict=True)
        ]
    )


def _bits(requests: Sequence[int]) -> int:
    return sum([1 << cohort for cohort, count in enumerate(requests) if count])


def _moments(block: Block) -> tuple[float, float, float]:
    n_t, x_t, n_c, x_c = block
    n = n_t + n_c
    return (x_t * n_c - x_c * n_t) / n, n_t * n_c / n, (n_c**2 * x_t + n_t**2 * x_c) / n**2
