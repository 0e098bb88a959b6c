"""How a rollout went, from its start to where it stands: what a report about it is made of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wavegate_controller.domain.answers import FeedbackAnswer
from wavegate_controller.domain.gates import Gate, ThresholdGate
from wavegate_controller.domain.passport import StageDecision
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.review import Stay, by_variant
from wavegate_controller.domain.rollout import Rollout

#: Points of a chart: more could not be told apart on paper.
MOST_POINTS: Final = 240


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a gate said at one look: the candidate's number, and stable's where the two are compared."""

    at: datetime
    candidate: float
    stable: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GateHistory:
    """One gate over the whole rollout.

    Attributes:
        rule: as a sentence.
        unit: of the readings; empty where the gate's query alone knows.
        limit: beyond which it breaches; None where it has no single one.
        readings: oldest first.
        verdicts: how often it said what.
    """

    name: str
    rule: str
    unit: str
    limit: float | None
    readings: tuple[Reading, ...]
    verdicts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutReport:
    """A rollout as somebody reads of it who was not there.

    Attributes:
        stays: its times in waves, oldest first.
        moves: what moved it, oldest first.
        seen_since: from when on the gates' looks are in it; None where there was none.
        signed: how the feature came through its stages.
        thumbs: up and down.
        comments: what people wrote, newest first.
        at: when it was made.
    """

    rollout: Rollout
    stays: Sequence[Stay]
    moves: Sequence[DecisionRecord]
    gates: Sequence[GateHistory]
    seen_since: datetime | None
    signed: Sequence[StageDecision]
    thumbs: tuple[int, int]
    comments: Sequence[FeedbackAnswer]
    at: datetime


def history_of(gate: Gate, rule: str, looks: Iterable[DecisionRecord]) -> GateHistory:
    """What a gate said in these looks, oldest first."""
    readings: list[Reading] = []
    counted: dict[str, int] = {}
    unit = ""
    for look in looks:
        verdict = next((each for each in look.verdicts if each["gate"] == gate.name), None)
        if verdict is None:
            continue
        counted[verdict["kind"]] = counted.get(verdict["kind"], 0) + 1
        candidate, stable, unit = by_variant(gate, verdict["figures"])
        if isinstance(gate, ThresholdGate):
            candidate = verdict["value"]
        if candidate is not None:
            readings.append(Reading(at=look.at, candidate=candidate, stable=stable))
    limit = gate.limit if isinstance(gate, ThresholdGate) else getattr(gate, "ceiling", None)
    return GateHistory(
        name=gate.name, rule=rule, unit=unit, limit=limit, readings=tuple(_thinned(readings)), verdicts=counted
    )


def _thinned(readings: Sequence[Reading]) -> Sequence[Reading]:
    """So many that a chart can show, the highest of those that stand at one place."""
    width = -(-len(readings) // MOST_POINTS)
    if width <= 1:
        return readings
    groups = (readings[start : start + width] for start in range(0, len(readings), width))
    return [max(group, key=lambda each: each.candidate) for group in groups]
