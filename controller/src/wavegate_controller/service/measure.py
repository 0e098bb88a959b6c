"""From what the metrics server answered to one measurement for each of a rollout's gates. Decides nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import assert_never

from wavegate_controller.documents.duration import format_duration
from wavegate_controller.domain.counts import CounterSelector, Needs, by_arm
from wavegate_controller.domain.measurement import Answer, Broken, Counts, Cursor, Measurement
from wavegate_controller.domain.plan import ErrorRateGate, Gate, ThresholdGate, fill_in
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.service.counting import Counted


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one look at the metrics server gave.

    Attributes:
        measurements: one for each gate.
        cursor: to be stored with them; None if the counters could not be read.
    """

    measurements: tuple[Measurement, ...]
    cursor: Cursor | None


def needs_of(gate: Gate) -> Needs | None:
    """The counters that the gate is judged by; None for a gate that asks something else."""
    match gate:
        case ErrorRateGate():
            return Needs(bad=frozenset(gate.kinds))
        case ThresholdGate():
            return None
        case _:
            assert_never(gate)


def needs(rollout: Rollout) -> Needs | None:
    """The counters that all gates of the plan need together; None where none needs any."""
    wanted = [need for gate in rollout.plan.gates if (need := needs_of(gate))]
    return reduce(or_, wanted) if wanted else None


def numbers(rollout: Rollout) -> tuple[str, ...]:
    """The queries for one number that the plan's gates need, in the order of the gates."""
    return tuple(threshold_query(gate, rollout) for gate in rollout.plan.gates if isinstance(gate, ThresholdGate))


def measure(
    rollout: Rollout, counted: Counted | Broken | None, number: Callable[[str], Answer], *, now: datetime
) -> Look:
    """One measurement for each gate of the plan, all at the same evaluation time.

    Args:
        rollout: that is looked at.
        counted: its counters; None where its gates need none.
        number: gives the answers to `numbers`.
        now: the evaluation time.
    """

    def measurement(gate: Gate) -> Measurement:
        answer: Answer | Counts
        match gate:
            case ThresholdGate():
                query = threshold_query(gate, rollout)
                answer = number(query)
            case ErrorRateGate():
                query = counter_query(gate, rollout)
                answer = _error_counts(gate, rollout, counted)
            case _:
                assert_never(gate)
        return Measurement(gate=gate.name, at=now, query=query, answer=answer)

    return Look(
        measurements=tuple(measurement(gate) for gate in rollout.plan.gates),
        cursor=counted.cursor if isinstance(counted, Counted) else None,
    )


def threshold_query(gate: ThresholdGate, rollout: Rollout) -> str:
    """The gate's PromQL for this rollout and wave."""
    return fill_in(
        gate.query,
        {
            "flag": rollout.flag_key,
            "candidate": rollout.candidate,
            "stable": rollout.stable,
            "wave": str((rollout.wave or 0) + 1),
            "window": format_duration(gate.window),
        },
    )


def counter_query(gate: ErrorRateGate, rollout: Rollout) -> str:
    """The gate's counters as a selector, to look at by hand; they are read with those of other rollouts."""
    wanted = needs_of(gate) or Needs()
    return CounterSelector(flags=(rollout.flag_key,), needs=wanted).promql


def _error_counts(gate: ErrorRateGate, rollout: Rollout, counted: Counted | Broken | None) -> Counts | Broken:
    if counted is None:
        raise ValueError(f"gate {gate.name} of rollout {rollout.id} needs counters that were not asked for")
    if isinstance(counted, Broken):
        return counted
    return by_arm(counted.increments, candidate=rollout.candidate, stable=rollout.stable, kinds=gate.kinds)
