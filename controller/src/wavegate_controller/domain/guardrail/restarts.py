"""Regressions that begin late: the evidence starts again and again, each time with a slice of the same budget.

One test from the rollout's start would have to use up its evidence for "fine" first. The slices sum to 1, so the
probability of a false rollback stays alpha for all of them together (E-detectors; Shin, Ramdas & Rinaldo).
"""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from wavegate_controller.domain.guardrail.eprocess import GREATEST_LOG

_FIRST: Final = 0.5
_LATER_WAVES: Final = 0.2
_SLOTS: Final = 0.3
#: Two days of ten minutes. Later slots would weigh a millionth, and each costs time at every look.
_MOST_SLOTS: Final = 288
#: Below it no part was beyond `GREATEST_LOG`: the least weight is some millionth.
_ENORMOUS: Final = 1e290


class Restart(NamedTuple):
    """Where one start of the process lies.

    Attributes:
        weight: its slice of the budget.
        levels: the log-evidence when it started, for each effect.
    """

    weight: float
    levels: tuple[float, ...]


def wave_weight(*, first: bool, waves: int) -> float:
    """The slice of a wave's start; with one wave to compare in, the slice of the later ones is the first's."""
    if first:
        return _FIRST if waves > 1 else _FIRST + _LATER_WAVES
    return _LATER_WAVES / (waves - 1)


def due_slots(age: timedelta, *, every: timedelta) -> int:
    """How many restarts have fallen due in a wave of this age."""
    return min(age // every, _MOST_SLOTS)


def slots_weight(done: int, due: int, *, budget: float) -> float:
    """The slices of the slots after `done` up to `due`: `budget / (j * (j + 1))` each."""
    return budget * math.fsum(1 / (j * (j + 1)) for j in range(done + 1, min(due, _MOST_SLOTS) + 1))


def slot_budget(waves: int) -> float:
    """The part of the budget that the slots of one wave share."""
    return _SLOTS / waves


def place(restarts: tuple[Restart, ...], weight: float, levels: tuple[float, ...]) -> tuple[Restart, ...]:
    """One more start; several at the same level are one."""
    if weight <= 0:
        return restarts
    if restarts and restarts[-1].levels == levels:
        return (*restarts[:-1], Restart(restarts[-1].weight + weight, levels))
    return (*restarts, Restart(weight, levels))


def evidence(restarts: Sequence[Restart], sums: Sequence[float], *, design_effect: float) -> float:
    """Mixture over the starts and, in each, over the effects; the log-evidence is divided by the design effect."""
    exp = math.exp
    try:
        together = math.fsum(
            [
                weight
                * sum([exp((now - then) / design_effect) for now, then in zip(sums, levels, strict=True)])
                / len(sums)
                for weight, levels in restarts
            ]
        )
    except OverflowError:
        together = math.inf
    # Most of the time of all looks goes by here, and only what is enormous has to be cut.
    return together if together < _ENORMOUS else _cut(restarts, sums, design_effect=design_effect)


def _cut(restarts: Sequence[Restart], sums: Sequence[float], *, design_effect: float) -> float:
    return math.fsum(
        [
            weight
            * sum(
                [
                    math.exp(min((now - then) / design_effect, GREATEST_LOG))
                    for now, then in zip(sums, levels, strict=True)
                ]
            )
            / len(sums)
            for weight, levels in restarts
        ]
    )
