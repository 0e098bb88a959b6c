"""What few observations can show: exact bounds, with nothing assumed but that they are independent."""

import math
from typing import Final

#: Share of samples whose bound holds.
CONFIDENCE: Final = 0.95
#: Halvings of the interval in which the bound lies: to 1e-9.
_STEPS: Final = 30
#: From here on whole percents have two digits.
_TWO_DIGITS: Final = 10


def upper_bound(bad: int, of: int) -> float:
    """The largest rate that could still have given so few bad ones, one-sided at 95 %.

    C. J. Clopper, E. S. Pearson: The Use of Confidence or Fiducial Limits (Biometrika 26, 1934).

    Args:
        bad: how many were bad.
        of: how many there were; with none, every rate is possible.
    """
    if bad >= of:
        return 1.0
    low, high = bad / of, 1 - 1e-12
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _at_most(bad, of, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def sentence(bad: int, of: int, *, what: str, whom: str) -> str:
    """`0 failures among 12 people: the true rate may still be 22 %`."""
    if not of:
        return f"no {whom} yet: nothing is known of the rate of {what}"
    percent = 100 * upper_bound(bad, of)
    told = f"{percent:.0f}" if percent >= _TWO_DIGITS else f"{percent:.2g}"
    return f"{bad} {what} among {of} {whom}: the true rate may still be {told} %"


def _at_most(bad: int, of: int, rate: float) -> float:
    """Chance of no more than `bad` of `of` at a rate between 0 and 1, both excluded."""
    log_rate, log_rest = math.log(rate), math.log1p(-rate)
    return math.fsum(
        math.exp(
            math.lgamma(of + 1)
            - math.lgamma(each + 1)
            - math.lgamma(of - each + 1)
            + each * log_rate
            + (of - each) * log_rest
        )
        for each in range(bad + 1)
    )
