"""The log of decisions as lines for a person: one for each move, one for a run of holds for the same reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.transitions import Event


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of the history.

    Attributes:
        key: stays the same while the line grows, so that an opened line stays open.
        record: the move, or the newest hold of the run.
        first_at: when the run began; the move's own time.
        looks: how many looks held; 0 for a move.
        cut: whether the run may have begun before what was read.
        percent_before: exposure before a move; None where that is not known.
    """

    key: str
    record: DecisionRecord
    first_at: datetime
    looks: int
    percent_before: float | None
    cut: bool = False

    @property
    def percent(self) -> float:
        """Exposure after it."""
        return percent(self.record.weight)


def lines(decisions: Sequence[DecisionRecord], *, looks: int) -> list[Line]:
    """Newest first, as the decisions are given.

    Args:
        decisions: newest first.
        looks: of so many of them the holds were read too.
    """
    told: list[Line] = []
    for index, record in enumerate(decisions):
        holds = record.event is Event.TICK
        if holds and told and _same_run(told[-1], record):
            run = told[-1]
            told[-1] = replace(run, first_at=record.at, looks=run.looks + 1, cut=index == looks - 1)
            continue
        older = decisions[index + 1] if index + 1 < len(decisions) else None
        told.append(
            Line(
                key="latest" if holds and not told else str(record.id),
                record=record,
                first_at=record.at,
                looks=1 if holds else 0,
                percent_before=None if older is None else percent(older.weight),
            )
        )
    return told


def wave_times(decisions: Sequence[DecisionRecord]) -> Mapping[int, datetime]:
    """When each wave that the rollout has gone through was opened, since it last began at the first.

    Args:
        decisions: newest first.
    """
    opened: dict[int, datetime] = {}
    for record in reversed(decisions):
        if record.wave is None:
            continue
        if record.event in (Event.START, Event.RESTART):
            opened = {0: record.at}
        elif record.event in (Event.PROMOTE, Event.APPROVE):
            opened[record.wave] = record.at
    return opened


def _same_run(line: Line, record: DecisionRecord) -> bool:
    newer = line.record
    return line.looks > 0 and (newer.reason, newer.wave, newer.state) == (record.reason, record.wave, record.state)
