"""How strongly counts speak for a regression: an e-process that may be looked at at any time.

Formulas: for each effect `kappa` ("so many times worse than the margin"), a block of concurrent counts multiplies the
evidence by `a**x_t * b**x_c * exp(-n_t*eps*(a-1))`. Under "not worse than the margin" its expectation is at most 1, for
any base rate and any drift that hits both arms, so by Ville's inequality the mean over the effects reaches 1/alpha with
probability alpha at most (Lindon & Malek 2022, Anytime-valid inference for multinomial count data; Ville 1939).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from wavegate_controller.domain.measurement import ArmCounts

#: Effects that are looked for, each with the same share of the evidence.
EFFECTS: Final = (1.07, 1.15, 1.3, 1.6, 2.2, 4.0, 10.0, 30.0)
#: A block is closed once both arms have this many requests; that depends on arrivals only, never on outcomes.
BLOCK_REQUESTS: Final = 5
#: Odds of a false alarm of the ceiling, per look, if the rate sat on the ceiling.
CEILING_EVIDENCE: Final = 1e4
#: `exp` overflows at 709.
_GREATEST_LOG: Final = 700.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Concurrent counts of both arms."""

    candidate: ArmCounts
    stable: ArmCounts


def blocks(counts: Iterable[Block]) -> list[Block]:
    """Merge looks until both arms of each block have at least five requests; an unfinished block is left out."""
    closed: list[Block] = []
    candidate = stable = ArmCounts()
    for each in counts:
        candidate, stable = candidate + each.candidate, stable + each.stable
        if min(candidate.requests, stable.requests) >= BLOCK_REQUESTS:
            closed.append(Block(candidate=candidate, stable=stable))
            candidate = stable = ArmCounts()
    return closed


def regression(closed: Sequence[Block], *, margin: float, absolute_margin: float) -> float:
    """Evidence, as odds, that the candidate is worse than stable by more than the margins; 1 says nothing.

    Args:
        closed: blocks since the test began.
        margin: tolerated harm relative to stable (delta).
        absolute_margin: tolerated share of bad outcomes on top (eps).
    """
    return _mean_exp([sum(_log_block(each, kappa, margin, absolute_margin) for each in closed) for kappa in EFFECTS])


def above_ceiling(looks: Iterable[ArmCounts], *, ceiling: float) -> float:
    """Evidence that the share of bad outcomes lies above the ceiling, whatever stable does (CUSUM e-detector).

    Old calm does not weigh against new harm: a process that would fall below 1 starts again.
    """
    logs = [0.0] * len(EFFECTS)
    for look in looks:
        logs = [
            max(log, 0.0) + look.bad * math.log(kappa) - look.requests * ceiling * (kappa - 1)
            for log, kappa in zip(logs, EFFECTS, strict=True)
        ]
    return _mean_exp(logs)


def _log_block(block: Block, kappa: float, margin: float, absolute_margin: float) -> float:
    n_t, n_c = block.candidate.requests, block.stable.requests
    if n_t == 0 or n_c == 0:
        return 0.0
    tolerated = (1 + margin) * n_t
    b = (n_c + tolerated) / (n_c + kappa * tolerated)
    a = kappa * b
    return block.candidate.bad * math.log(a) + block.stable.bad * math.log(b) - n_t * absolute_margin * (a - 1)


def _mean_exp(logs: Sequence[float]) -> float:
    """Mean of the exponentials, kept finite: JSON knows no infinity, and beyond 1e304 nobody asks for more."""
    top = max(logs)
    log_mean = top + math.log(sum(math.exp(log - top) for log in logs) / len(logs))
    return math.exp(min(log_mean, _GREATEST_LOG))
