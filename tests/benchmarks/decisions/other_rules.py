"""What others do, reduced to its rule, on a fixed schedule: three waves of an hour each, judged minute by minute.

Their absolute limits are set at twice the true rate. None of them knows cohorts.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

SCHEDULE = 60
LIMIT = 0.02


class Minute(NamedTuple):
    """Counts of both arms in one minute."""

    wave: int
    n_t: int
    x_t: int
    n_c: int
    x_c: int


Rule = Callable[[Sequence[Minute]], int | None]


def flagger_like(minutes: Sequence[Minute]) -> int | None:
    """More than 2 % bad in a minute, five times in all: good minutes do not reset the count."""
    failed = 0
    for number, each in enumerate(minutes, start=1):
        failed += each.x_t > LIMIT * each.n_t
        if failed == 5:
            return number
    return None


def argo_like(minutes: Sequence[Minute], *, failure_limit: int) -> int | None:
    """More than 2 % bad in the last five minutes, looked at every minute, more often than the limit in one wave."""
    failed, wave = 0, 0
    for number, each in enumerate(minutes, start=1):
        if each.wave != wave:
            failed, wave = 0, each.wave
        window = [last for last in minutes[max(0, number - 5) : number] if last.wave == wave]
        failed += sum(last.x_t for last in window) > LIMIT * sum(last.n_t for last in window)
        if failed > failure_limit:
            return number
    return None


def z_test_each_minute(minutes: Sequence[Minute]) -> int | None:
    """One-sided p < 0.05 on all counts so far, stratified by wave, looked at every minute."""
    sums: dict[int, list[int]] = {}
    for number, each in enumerate(minutes, start=1):
        counts = sums.setdefault(each.wave, [0, 0, 0, 0])
        for index, value in enumerate(each[1:]):
            counts[index] += value
        score = variance = 0.0
        for n_t, x_t, n_c, x_c in sums.values():
            n = n_t + n_c
            if n_t and n_c:
                p = (x_t + x_c) / n
                score += (x_t * n_c - x_c * n_t) / n
                variance += n_t * n_c / n * p * (1 - p)
        if variance and score / math.sqrt(variance) > 1.6449:
            return number
    return None


def kayenta_like(minutes: Sequence[Minute]) -> int | None:
    """Mann-Whitney interval (98 %) of the shift of the minute rates, every 30 minutes, against 0.25 of its estimate."""
    for number in range(30, len(minutes) + 1, 30):
        wave = [each for each in minutes[:number] if each.wave == minutes[number - 1].wave]
        candidate = [each.x_t / each.n_t for each in wave if each.n_t]
        stable = [each.x_c / each.n_c for each in wave if each.n_c]
        if min(len(candidate), len(stable)) < 10:
            continue
        shifts = sorted(one - other for one in candidate for other in stable)
        size = len(candidate) * len(stable)
        deviation = math.sqrt(size * (len(candidate) + len(stable) + 1) / 12)
        low = shifts[max(0, math.floor(size / 2 - 2.3263 * deviation))]
        if low > 0.25 * abs(shifts[size // 2]) and low > 0:
            return number
    return None


RULES: dict[str, Rule] = {
    "Flagger-like": flagger_like,
    "Argo-like, failureLimit 0": lambda minutes: argo_like(minutes, failure_limit=0),
    "Argo-like, failureLimit 3": lambda minutes: argo_like(minutes, failure_limit=3),
    "z-test each minute": z_test_each_minute,
    "Kayenta-like": kayenta_like,
}
