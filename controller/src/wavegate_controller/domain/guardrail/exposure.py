"""Sample ratio: whether as many users meet the candidate as the plan says. If not, the comparison is not one.

Sequential, over newly exposed users (each counts once in a wave): a beta-binomial mixture around the planned share
(Lindon & Malek 2022). On requests this would be no valid test.
"""

import math
from typing import Final

#: How tightly the mixture sits around the planned share.
_CONCENTRATIONS: Final = (100.0, 10_000.0)
#: From these odds on the split is taken as broken: hold and alert.
MISMATCH: Final = 100.0


def log_mismatch(candidate: int, total: int, share: float) -> float:
    """Log-evidence that `candidate` of `total` users were not drawn with probability `share`."""
    if not 0 < share < 1:
        return 0.0
    stable = total - candidate
    null = candidate * math.log(share) + stable * math.log1p(-share)
    logs = [
        _log_beta(each * share + candidate, each * (1 - share) + stable)
        - _log_beta(each * share, each * (1 - share))
        - null
        for each in _CONCENTRATIONS
    ]
    top = max(logs)
    return top + math.log(math.fsum([math.exp(log - top) for log in logs]) / len(logs))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
