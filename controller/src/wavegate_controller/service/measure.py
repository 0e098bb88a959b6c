"""Asking the metrics server what a rollout's gates need to know. Reads only; decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

from wavegate_controller.documents.duration import format_duration
from wavegate_controller.domain.counts import BAD_METRIC, REQUESTS_METRIC, advance, by_arm
from wavegate_controller.domain.measurement import Broken, Cursor, Measurement
from wavegate_controller.domain.plan import ErrorRateGate, ThresholdGate, fill_in
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.ports import MetricProvider

#: How far a read reaches back behind the last one: a sample is stamped when its scrape starts, but seen when it ends.
_OVERLAP: Final = timedelta(seconds=30)
#: How far the first read looks for the series that exist; Prometheus' own look-back.
_FIRST_LOOK: Final = timedelta(minutes=5)
#: Longest outage that a single read catches up with; beyond it the counts start again from the next read.
_FURTHEST: Final = timedelta(hours=6)


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one look at the metrics server gave.

    Attributes:
        measurements: one for each gate.
        cursor: to be stored with them; None if the counters could not be read.
    """

    measurements: tuple[Measurement, ...]
    cursor: Cursor | None


def measure(provider: MetricProvider, rollout: Rollout, cursor: Cursor | None, *, now: datetime) -> Look:
    """One measurement for each gate of the plan, all at the same evaluation time."""
    counting = [gate for gate in rollout.plan.gates if isinstance(gate, ErrorRateGate)]
    following: Cursor | None = None
    measurements: list[Measurement] = []
    if counting:
        counted, following = _count(provider, rollout, counting, cursor, now=now)
        measurements.extend(counted)
    for gate in rollout.plan.gates:
        match gate:
            case ThresholdGate():
                query = threshold_query(gate, rollout)
                answer = provider.query(query, at=now)
                measurements.append(Measurement(gate=gate.name, at=now, query=query, answer=answer))
            case ErrorRateGate():
                pass  # counted above, with one read for all of them
            case _:
                assert_never(gate)
    return Look(measurements=tuple(measurements), cursor=following)


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


def counter_selector(rollout: Rollout) -> str:
    """All of the SDK's outcome counters for the rollout's flag: one read, one evaluation time."""
    return fill_in(f'{{__name__=~"{REQUESTS_METRIC}|{BAD_METRIC}",flag="{{{{flag}}}}"}}', {"flag": rollout.flag_key})


def _count(
    provider: MetricProvider, rollout: Rollout, gates: Sequence[ErrorRateGate], cursor: Cursor | None, *, now: datetime
) -> tuple[list[Measurement], Cursor | None]:
    cursor = _still_valid(cursor, rollout, now=now)
    selector = counter_selector(rollout)
    lookback = _FIRST_LOOK if cursor is None else now - cursor.read_at + _OVERLAP
    answer = provider.samples(selector, at=now, lookback=lookback)
    if isinstance(answer, Broken):
        return [Measurement(gate=gate.name, at=now, query=selector, answer=answer) for gate in gates], None
    increments, following = advance(cursor, answer, at=now)
    return [
        Measurement(
            gate=gate.name,
            at=now,
            query=selector,
            answer=by_arm(
                increments,
                candidate=rollout.candidate,
                stable=rollout.stable,
                kinds=gate.kinds,
                cursor=following,
            ),
        )
        for gate in gates
    ], following


def _still_valid(cursor: Cursor | None, rollout: Rollout, *, now: datetime) -> Cursor | None:
    """A cursor from before the test began would count what is not evidence; so would one from another day."""
    if cursor is None or rollout.evidence_since is None:
        return None
    if cursor.read_at < rollout.evidence_since or now - cursor.read_at > _FURTHEST:
        return None
    return cursor
