"""Worlds to decide in: requests and bad outcomes by arm and cohort, minute by minute, drawn exactly.

Standard library only, so that the same worlds serve the benchmark and a test. Users are drawn one by one; what the
users of one cohort do together in a minute is Poisson with their summed rates, which is exact and costs nothing.
"""

import math
import random
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from wavegate_controller.domain.guardrail import Increment

COHORTS = 16
SHARES = (0.10, 0.25, 0.50)


@dataclass(frozen=True, kw_only=True)
class World:
    """What happens out there.

    Attributes:
        rate: requests per second, both arms.
        base: share of bad outcomes of stable.
        ratio: what the candidate multiplies it by.
        late: the ratio holds only from 30 minutes after the second wave began.
        drift: amplitude of a daily swing of the base, random in phase.
        blip: five minutes with a tenth of all requests bad, in both arms, at a random time in the first 90 minutes.
        retries: how often, on average, a failed call is repeated and fails again; each counts as a request.
        users: how many there are; None for so many that each request is another one's.
        spread: coefficient of variation of the users' own error rates.
        shares: of the waves with a control.
    """

    name: str
    rate: float
    base: float = 0.01
    ratio: float = 1.0
    late: bool = False
    drift: float = 0.0
    blip: bool = False
    retries: float = 0.0
    users: int | None = None
    spread: float = 0.0
    shares: tuple[float, ...] = SHARES
    cohorts: int = COHORTS


@dataclass
class Run:
    """One rollout's world, drawn; `minute` gives what both arms did in a minute."""

    world: World
    chance: random.Random
    second_wave_at: int | None = None
    phase: float = field(init=False)
    blip_at: int = field(init=False)
    users: list[tuple[float, int, float]] = field(init=False)
    _rates: dict[tuple[int, bool], tuple[list[float], ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        world, chance = self.world, self.chance
        self.phase, self.blip_at = chance.random() * 2 * math.pi, chance.randrange(5, 90)
        self.users = []
        if world.users:
            own = _error_rates(world.base, world.spread, chance)
            self.users = [(chance.random(), chance.randrange(world.cohorts), own()) for _ in range(world.users)]

    def minute(self, number: int, wave: int) -> Increment:
        """What was counted from minute `number` to the next, at the share of the wave."""
        if wave == 1 and self.second_wave_at is None:
            self.second_wave_at = number
        harmful = not self.world.late or (self.second_wave_at is not None and number >= self.second_wave_at + 30)
        key = (wave, harmful)
        if key not in self._rates:
            self._rates[key] = self._cohort_rates(self.world.shares[wave], self.world.ratio if harmful else 1.0)
        good_t, bad_t, good_c, bad_c = self._rates[key]
        factor = self._factor(number)
        requests_t, amount_t = self._arm(good_t, bad_t, factor)
        requests_c, amount_c = self._arm(good_c, bad_c, factor)
        return Increment(
            candidate_requests=requests_t,
            candidate_amount=amount_t,
            stable_requests=requests_c,
            stable_amount=amount_c,
        )

    def _cohort_rates(self, share: float, ratio: float) -> tuple[list[float], ...]:
        """Good and bad outcomes a minute, by cohort, in both arms."""
        world = self.world
        cohorts = world.cohorts
        rates = [[0.0] * cohorts for _ in range(4)]
        per_minute = world.rate * 60
        if not world.users:
            bad = world.base / (1 + world.retries * (1 - world.base))  # retries make up the rest
            for arm, part, p in ((0, share, bad * ratio), (2, 1 - share, bad)):
                rates[arm] = [per_minute * part / cohorts * (1 - p)] * cohorts
                rates[arm + 1] = [per_minute * part / cohorts * p] * cohorts
            return tuple(rates)
        each = per_minute / world.users
        for bucket, cohort, p in self.users:
            candidate = bucket < share
            own = min(1.0, p * ratio) if candidate else p
            arm = 0 if candidate else 2
            rates[arm][cohort] += each * (1 - own)
            rates[arm + 1][cohort] += each * own
        return tuple(rates)

    def _factor(self, number: int) -> float:
        """What the base is multiplied by in this minute, in both arms."""
        if self.world.blip and self.blip_at <= number < self.blip_at + 5:
            return 0.1 / self.world.base
        return 1 + self.world.drift * math.sin(2 * math.pi * number / 1440 + self.phase)

    def _arm(
        self, good: Sequence[float], bad: Sequence[float], factor: float
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        failed = spread_poisson(self.chance, [each * factor for each in bad])
        served = spread_poisson(
            self.chance, [each + (1 - factor) * fails for each, fails in zip(good, bad, strict=True)]
        )
        if self.world.retries:
            again = self.world.retries / (1 + self.world.retries)
            failed = [fails + sum(self._repeats(again) for _ in range(fails)) for fails in failed]
        return tuple(map(sum, zip(failed, served, strict=True))), tuple(failed)

    def _repeats(self, again: float) -> int:
        return int(math.log(1 - self.chance.random()) / math.log(again))


def spread_poisson(chance: random.Random, means: Sequence[float]) -> list[int]:
    """Independent Poisson numbers; few of them are drawn together and then dealt out, which is the same."""
    total = sum(means)
    if total > 4 * len(means):
        return [poisson(chance, mean) for mean in means]
    counts = [0] * len(means)
    if number := poisson(chance, total):
        bounds = list(accumulate(means))
        for _ in range(number):
            counts[min(bisect(bounds, chance.random() * total), len(means) - 1)] += 1
    return counts


def poisson(chance: random.Random, mean: float) -> int:
    """Multiplication for small means, Hörmann's transformed rejection (PTRS) for large ones."""
    if mean <= 0:
        return 0
    if mean < 10:
        limit, product, number = math.exp(-mean), chance.random(), 0
        while product > limit:
            product *= chance.random()
            number += 1
        return number
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse, v_r, log_mean = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2), math.log(mean)
    while True:
        u, v = chance.random() - 0.5, chance.random()
        us = 0.5 - abs(u)
        if us <= 0:
            continue
        number = math.floor((2 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= v_r:
            return number
        if number < 0 or (us < 0.013 and v > us) or v <= 0:
            continue
        if math.log(v * inverse / (a / us**2 + b)) <= number * log_mean - mean - math.lgamma(number + 1):
            return number


def _error_rates(mean: float, spread: float, chance: random.Random):
    """A beta distribution with this mean and coefficient of variation."""
    if not spread:
        return lambda: mean
    size = (1 - mean) / (mean * spread**2) - 1
    return lambda: chance.betavariate(mean * size, (1 - mean) * size)
