"""The rollout machine is this table. Everything that changes a rollout's state stands in this file.

An event that the table does not have for a state is refused and leaves the rollout as it was. What a person may ask
for and what the reconciler decides use the same events; only `await_approval` and `complete` are the machine's own:
they are what a promotion becomes when a human must sign first, or when no wave follows.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from wavegate_controller.domain.errors import EventRefused
from wavegate_controller.domain.rollout import WATCHED, PauseReason, Rollout, State


class Event(StrEnum):
    """What can happen to a rollout."""

    #: Open the first wave.
    START = "start"
    #: The gates were looked at and nothing moves.
    TICK = "tick"
    #: Open the next wave.
    PROMOTE = "promote"
    #: The gates passed, the wave asks for a human's signature.
    AWAIT_APPROVAL = "await_approval"
    #: A human signs: open the next wave.
    APPROVE = "approve"
    #: A human declines: stay, paused.
    REJECT = "reject"
    #: Leave the last wave: done.
    COMPLETE = "complete"
    #: Stay at this weight until a human resumes.
    PAUSE = "pause"
    #: Go on; the bake time of the wave begins anew.
    RESUME = "resume"
    #: One wave back, paused; from the first wave this is a roll back.
    STEP_BACK = "step_back"
    #: Everybody back to the stable variant, at once.
    ROLL_BACK = "roll_back"
    #: Begin again at the first wave, as a new test.
    RESTART = "restart"
    #: Give up for good.
    CANCEL = "cancel"


#: What a person may ask for; the others are the reconciler's.
REQUESTS: Final = frozenset(Event) - {Event.TICK, Event.AWAIT_APPROVAL, Event.COMPLETE}

_WATCHED_ALIKE: Final = {
    Event.PROMOTE: State.RUNNING,
    Event.COMPLETE: State.COMPLETED,
    Event.STEP_BACK: State.PAUSED,
    Event.ROLL_BACK: State.ROLLED_BACK,
    Event.CANCEL: State.CANCELLED,
}

TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = MappingProxyType(
    {
        State.DRAFT: {Event.START: State.RUNNING, Event.CANCEL: State.CANCELLED},
        State.RUNNING: {
            Event.TICK: State.RUNNING,
            Event.AWAIT_APPROVAL: State.AWAITING_APPROVAL,
            Event.PAUSE: State.PAUSED,
            **_WATCHED_ALIKE,
        },
        State.AWAITING_APPROVAL: {
            Event.TICK: State.AWAITING_APPROVAL,
            Event.APPROVE: State.RUNNING,
            Event.REJECT: State.PAUSED,
            Event.PAUSE: State.PAUSED,
            **_WATCHED_ALIKE,
        },
        State.PAUSED: {
            Event.TICK: State.PAUSED,
            Event.RESUME: State.RUNNING,
            **_WATCHED_ALIKE,
        },
        State.COMPLETED: {Event.ROLL_BACK: State.ROLLED_BACK},
        State.ROLLED_BACK: {Event.RESTART: State.RUNNING, Event.CANCEL: State.CANCELLED},
        State.CANCELLED: {},
    }
)


def allowed(state: State) -> tuple[Event, ...]:
    """The events that this state takes, in the order of the table."""
    return tuple(TRANSITIONS[state])


def apply(
    rollout: Rollout, event: Event, *, now: datetime, pause_reason: PauseReason = PauseReason.OPERATOR
) -> Rollout:
    """The rollout after the event, its version one higher; a tick changes nothing.

    Promoting or approving past the last wave completes; stepping back from the first wave rolls back: the event is
    read as the one that then holds, so callers need not know where in the plan the rollout stands.

    Args:
        rollout: as it was read.
        event: what happens.
        now: aware UTC time of the event.
        pause_reason: recorded if the event pauses; a rejection and a step back by a human name themselves.

    Raises:
        EventRefused: the table has no such entry; the rollout is unchanged.
    """
    meant = _meant(rollout, event)
    following = TRANSITIONS[rollout.state].get(meant)
    if following is None:
        raise EventRefused(
            rollout.id, rollout.state, event, [each for each in allowed(rollout.state) if each in REQUESTS]
        )
    if meant is Event.TICK:
        return rollout
    changed = replace(rollout, state=following, updated_at=now, version=rollout.version + 1)
    changed = _in_wave(changed, meant, now=now)
    return replace(
        changed,
        pause_reason=_pause_reason(changed, meant, pause_reason),
        next_look_at=(now + rollout.plan.interval) if following in WATCHED else None,
    )


def _meant(rollout: Rollout, event: Event) -> Event:
    if event in (Event.PROMOTE, Event.APPROVE) and rollout.is_last_wave and event in TRANSITIONS[rollout.state]:
        return Event.COMPLETE
    if event is Event.STEP_BACK and rollout.wave == 0:
        return Event.ROLL_BACK
    return event


def _in_wave(rollout: Rollout, event: Event, *, now: datetime) -> Rollout:
    """Move to the wave that the event leads to, and say since when it bakes and since when evidence counts."""
    match event:
        case Event.START:
            return replace(rollout, wave=0, started_at=now, wave_since=now, evidence_since=now)
        case Event.RESTART:
            return replace(rollout, wave=0, wave_since=now, evidence_since=now)
        case Event.PROMOTE | Event.APPROVE:
            return replace(
                rollout,
                wave=(rollout.wave or 0) + 1,
                wave_since=now,
                evidence_since=_evidence_since(rollout, now),
            )
        case Event.STEP_BACK:
            return replace(rollout, wave=(rollout.wave or 0) - 1, wave_since=now, evidence_since=now)
        case Event.RESUME:
            return replace(rollout, wave_since=now, evidence_since=_evidence_since(rollout, now))
        case _:
            return rollout


def _evidence_since(rollout: Rollout, now: datetime) -> datetime | None:
    """A human who goes on after a breach has overruled the evidence; what follows is a new test."""
    return now if rollout.pause_reason is PauseReason.BREACH else rollout.evidence_since


def _pause_reason(after: Rollout, event: Event, given: PauseReason) -> PauseReason | None:
    if after.state is not State.PAUSED:
        return None
    match event:
        case Event.REJECT:
            return PauseReason.REJECTED
        case Event.STEP_BACK if given is PauseReason.OPERATOR:
            return PauseReason.STEPPED_BACK
        case _:
            return given
