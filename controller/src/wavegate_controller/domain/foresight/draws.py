"""Numbers by chance, from a source that is handed in: the domain itself leaves nothing to it."""

import math
from collections.abc import Sequence
from typing import Final, Protocol

#: Below it Poisson numbers are drawn one by one.
_FEW: Final = 10.0
#: With this mean and more, a number is drawn for each cohort; below, one for all, dealt out: which is the same.
_PER_COHORT: Final = 4.0


class Chance(Protocol):
    """A `random.Random`."""

    def random(self) -> float:
        """From 0 up to 1."""
        ...

    def gauss(self, mu: float, sigma: float) -> float:
        """A normal number."""
        ...


def poisson(chance: Chance, mean: float) -> int:
    """By multiplication for small means, by transformed rejection (Hörmann's PTRS) for large ones."""
    if mean <= 0:
        return 0
    if mean < _FEW:
        limit, product, number = math.exp(-mean), chance.random(), 0
        while product > limit:
            product *= chance.random()
            number += 1
        return number
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    log_scale, edge, log_mean = math.log(1.1239 + 1.1328 / (b - 3.4)), 0.9277 - 3.6224 / (b - 2), math.log(mean)
    while True:
        u, v = chance.random() - 0.5, chance.random()
        us = 0.5 - abs(u)
        if us <= 0:
            continue
        number = math.floor((2 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= edge:  # noqa: PLR2004 - the method's own constants
            return number
        if number < 0 or (us < 0.013 and v > us) or v <= 0:  # noqa: PLR2004 - as above
            continue
        accepted = math.log(v) + log_scale - math.log(a / us**2 + b)
        if accepted <= number * log_mean - mean - math.lgamma(number + 1):
            return number


def dealt(chance: Chance, mean: float, cohorts: int) -> list[int]:
    """Independent Poisson numbers with this mean in all, one for each cohort."""
    if mean >= _PER_COHORT * cohorts:
        return [poisson(chance, mean / cohorts) for _ in range(cohorts)]
    numbers = [0] * cohorts
    for _ in range(poisson(chance, mean)):
        numbers[int(chance.random() * cohorts)] += 1
    return numbers


def clumped(chance: Chance, numbers: Sequence[int], clumping: float) -> list[int]:
    """Each of these as a clump of 1, 2, … with a mean of (1 + clumping) / 2: their sum varies that much more."""
    if clumping <= 1:
        return list(numbers)
    # The variance of a sum of geometric clumps over its mean is 2 m - 1.
    again = 1 - 2 / (1 + clumping)
    scale = math.log(again)
    return [number + sum(int(math.log(1 - chance.random()) / scale) for _ in range(number)) for number in numbers]
