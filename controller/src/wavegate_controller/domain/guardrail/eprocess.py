"""Evidence from concurrent counts that may be looked at at any time: closed forms for one block, and their mixtures.

A block holds the requests and bad outcomes of both arms over the same time. Under "candidate <= (1 + margin) * stable +
absolute" the expectation of `a**x_t * b**x_c * exp(-n_t*absolute*(a-1))` is at most 1, whatever the base rate and its
drift: for an outcome y in [0, 1] with mean p, E a**y <= exp(p(a-1)), and a, b solve n_t(1+margin)(a-1) + n_c(b-1) = 0.
So products over blocks, and mixtures of them, reach 1/alpha with probability alpha at most (Ville 1939; Lindon & Malek
2022, Anytime-valid inference for multinomial count data).
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

#: "So many times worse than the edge of what is tolerated": the regressions that are looked for, equal weights.
EFFECTS: Final = (1.07, 1.15, 1.3, 1.6, 2.2, 4.0, 10.0, 30.0)
#: True ratios of candidate to stable under which "not worse than the margin" is looked for, and their weights.
RATIOS: Final = (1.05, 1.0, 0.9, 0.7, 0.4, 0.1)
RATIO_WEIGHTS: Final = (0.15, 0.40, 0.20, 0.10, 0.10, 0.05)
#: `exp` overflows at 709; beyond 1e304 nobody asks for more, and JSON knows no infinity.
GREATEST_LOG: Final = 700.0

_LOG_EFFECTS: Final = tuple(math.log(effect) for effect in EFFECTS)


class Block(NamedTuple):
    """Concurrent counts of both arms."""

    candidate: float
    candidate_bad: float
    stable: float
    stable_bad: float


def log_evidence(block: Block, effect: float, *, margin: float, absolute: float) -> float:
    """What the block adds to the log-evidence; an `effect` below 1 speaks for "not worse than the margin"."""
    n_t, x_t, n_c, x_c = block
    if n_t <= 0 or n_c <= 0:
        return 0.0
    tolerated = (1 + margin) * n_t
    b = (n_c + tolerated) / (n_c + effect * tolerated)
    a = effect * b
    return x_t * math.log(a) + x_c * math.log(b) - n_t * absolute * (a - 1)


def regression(block: Block, *, margin: float, absolute: float) -> tuple[float, ...]:
    """Log-evidence for each of the EFFECTS that the candidate is worse by more than the margins."""
    return tuple([log_evidence(block, effect, margin=margin, absolute=absolute) for effect in EFFECTS])


def not_worse(block: Block, *, margin: float, absolute: float) -> tuple[float, ...]:
    """Log-evidence for each of the RATIOS that the candidate is not worse by as much as the margins."""
    edge = 1 + margin
    return tuple([log_evidence(block, ratio / edge, margin=margin, absolute=absolute) for ratio in RATIOS])


def above_ceiling(logs: Sequence[float], *, requests: float, bad: float, ceiling: float) -> tuple[float, ...]:
    """The next values of a detector for rates above the ceiling.

    It starts anew wherever it would fall below 1: old calm does not weigh against new harm (CUSUM e-detector; Shin,
    Ramdas & Rinaldo).
    """
    return tuple(
        [
            max(log, 0.0) + bad * log_effect - requests * ceiling * (effect - 1)
            for log, effect, log_effect in zip(logs, EFFECTS, _LOG_EFFECTS, strict=True)
        ]
    )


def add(left: Iterable[float], right: Iterable[float]) -> tuple[float, ...]:
    """Elementwise."""
    return tuple([one + other for one, other in zip(left, right, strict=True)])


def mean_of_effects(logs: Sequence[float]) -> float:
    """Mixture over the EFFECTS."""
    return math.fsum([math.exp(min(log, GREATEST_LOG)) for log in logs]) / len(logs)


def mean_of_ratios(logs: Sequence[float], *, design_effect: float) -> float:
    """Mixture over the RATIOS, the log-evidence divided by the design effect."""
    return math.fsum(
        [
            weight * math.exp(min(log / design_effect, GREATEST_LOG))
            for log, weight in zip(logs, RATIO_WEIGHTS, strict=True)
        ]
    )
