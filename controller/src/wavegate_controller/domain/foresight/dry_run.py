"""What a dry run would have done beside what was done: where both agree, and who was sooner."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from wavegate_controller.domain.record import RECONCILER, DecisionRecord
from wavegate_controller.domain.transitions import Event

#: Whoever acts within this time has acted at once.
PROMPT: Final = timedelta(minutes=5)


class DryRun(StrEnum):
    """Whose dry run it is."""

    PLAN = "plan"
    ENVIRONMENT = "environment"


class Outcome(StrEnum):
    """How what would have been done and what was done lie to each other."""

    #: Both did the same, within a few minutes.
    AGREED = "agreed"
    #: Both did the same, people later than the dry run would have.
    LATER = "later"
    #: People went on although the dry run would have held.
    EARLIER = "earlier"
    #: People stopped it, and the dry run saw no reason to.
    MISSED = "missed"
    #: The dry run would have stopped it, and people went on.
    FALSE_ALARM = "false_alarm"
    #: The dry run would act, and nobody has done anything since.
    OPEN = "open"


class _Way(StrEnum):
    ONWARDS = "onwards"
    STOP = "stop"


_WAYS: Final[Mapping[Event, _Way]] = {
    Event.PROMOTE: _Way.ONWARDS,
    Event.APPROVE: _Way.ONWARDS,
    Event.AWAIT_APPROVAL: _Way.ONWARDS,
    Event.BAKE: _Way.ONWARDS,
    Event.COMPLETE: _Way.ONWARDS,
    Event.RESUME: _Way.ONWARDS,
    Event.PAUSE: _Way.STOP,
    Event.REJECT: _Way.STOP,
    Event.STEP_BACK: _Way.STOP,
    Event.ROLL_BACK: _Way.STOP,
    Event.CANCEL: _Way.STOP,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One thing that a dry run would have done, that somebody did, or both.

    Attributes:
        wish: where the dry run noted it; None where it would have held.
        act: what was done; None where nothing was.
    """

    outcome: Outcome
    wish: DecisionRecord | None
    act: DecisionRecord | None

    @property
    def would(self) -> Event | None:
        """What the dry run would have done; None where it would have held."""
        return None if self.wish is None else self.wish.would or self.wish.event

    @property
    def lag(self) -> timedelta | None:
        """How much later it was done than it would have been."""
        return None if self.wish is None or self.act is None else self.act.at - self.wish.at


def compare(moves: Sequence[DecisionRecord]) -> tuple[Compared, ...]:
    """What came of each wish and each act, in the order of time.

    What the reconciler did itself, beside gates in dry run, is an act like a person's.

    Args:
        moves: of one rollout, holds left out, oldest first.
    """
    return tuple(_compared(moves))


def counted(compared: Sequence[Compared]) -> Mapping[Outcome, int]:
    """How many there are of each outcome."""
    found = Counter(each.outcome for each in compared)
    return {outcome: found[outcome] for outcome in Outcome}


def _compared(moves: Sequence[DecisionRecord]) -> Iterator[Compared]:
    wishes: dict[_Way, DecisionRecord] = {}
    for move in moves:
        if move.event is Event.DRY_RUN:
            if move.would is not None and move.would in _WAYS:
                wishes.setdefault(_WAYS[move.would], move)
            continue
        if move.actor == RECONCILER and move.would is None and move.event in _WAYS:
            wishes.setdefault(_WAYS[move.event], move)
        way = _WAYS.get(move.event)
        if way is _Way.ONWARDS and (alarm := wishes.get(_Way.STOP)):
            yield Compared(outcome=Outcome.FALSE_ALARM, wish=alarm, act=move)
        # Resuming opens no wave, so that it is nothing the gates could have done.
        if way is not None and move.event is not Event.RESUME:
            yield _one(move, way, wishes.get(way))
        wishes = {}
    for wish in sorted(wishes.values(), key=lambda each: each.at):
        yield Compared(outcome=Outcome.OPEN, wish=wish, act=None)


def _one(act: DecisionRecord, way: _Way, wish: DecisionRecord | None) -> Compared:
    if wish is not None:
        outcome = Outcome.AGREED if act.at - wish.at <= PROMPT else Outcome.LATER
    else:
        outcome = Outcome.EARLIER if way is _Way.ONWARDS else Outcome.MISSED
    return Compared(outcome=outcome, wish=wish, act=act)
