"""The rollout machine is this table. Everything that changes a rollout's state stands in this file.

An event that the table does not have for a state is refused and leaves the rollout as it was. What a person may ask
for and what the reconciler decides use the same events; some are the machine's own (those outside of `REQUESTS`): what
a promotion becomes when humans must sign first or when no wave follows, what an approval becomes while more are needed,
and what is noted of a rollout that stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from wavegate_controller.domain.errors import EventRefused, Invalid
from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.rollout import WATCHED, PauseReason, Pin, Rollout, Signature, State


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
    #: A human signs, and more must sign before the next wave opens.
    SIGN = "sign"
    #: A human declines: stay, paused.
    REJECT = "reject"
    #: Leave the last wave, but watch on before it is done.
    BAKE = "bake"
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
    #: A human holds it in this or a lower wave: nothing automatic moves it, whatever the gates say.
    PIN = "pin"
    #: The plan decides again; the wave bakes anew.
    UNPIN = "unpin"
    #: The gates are breached under a pin: flagged, and nothing moves.
    ALERT = "alert"
    #: A dry run notes what it would have done; nothing moves.
    DRY_RUN = "dry_run"
    #: The flag serves again after a stop; the wave bakes anew.
    REARM = "rearm"
    #: Take a human's roll back back: who had the candidate has it again, paused until a human resumes.
    UNDO = "undo"
    #: A drill is over: what it rolled back stands again where it stood, and the time without users does not count.
    RESTORE = "restore"
    #: Begin again at the first wave, as a new test.
    RESTART = "restart"
    #: Give up for good.
    CANCEL = "cancel"


#: What a person may ask for; the others are the machine's own.
REQUESTS: Final = frozenset(Event) - {
    Event.TICK,
    Event.AWAIT_APPROVAL,
    Event.SIGN,
    Event.BAKE,
    Event.COMPLETE,
    Event.ALERT,
    Event.DRY_RUN,
    Event.REARM,
    Event.RESTORE,
}
#: What the reconciler, or an alert from outside, may decide; under a human's pin, and in a dry run, the first three.
AUTOMATIC: Final = (
    Event.TICK,
    Event.ALERT,
    Event.DRY_RUN,
    Event.AWAIT_APPROVAL,
    Event.PROMOTE,
    Event.BAKE,
    Event.COMPLETE,
    Event.PAUSE,
    Event.STEP_BACK,
    Event.ROLL_BACK,
)
_MOVING_NOTHING: Final = AUTOMATIC[:3]

_WATCHED_ALIKE: Final = {
    Event.PROMOTE: State.RUNNING,
    Event.BAKE: State.RUNNING,
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
            Event.ALERT: State.RUNNING,
            Event.DRY_RUN: State.RUNNING,
            Event.REARM: State.RUNNING,
            Event.AWAIT_APPROVAL: State.AWAITING_APPROVAL,
            Event.PAUSE: State.PAUSED,
            Event.PIN: State.RUNNING,
            Event.UNPIN: State.RUNNING,
            **_WATCHED_ALIKE,
        },
        State.AWAITING_APPROVAL: {
            Event.TICK: State.AWAITING_APPROVAL,
            Event.DRY_RUN: State.AWAITING_APPROVAL,
            Event.REARM: State.RUNNING,
            Event.SIGN: State.AWAITING_APPROVAL,
            Event.APPROVE: State.RUNNING,
            Event.REJECT: State.PAUSED,
            Event.PAUSE: State.PAUSED,
            Event.PIN: State.RUNNING,
            **_WATCHED_ALIKE,
        },
        State.PAUSED: {
            Event.TICK: State.PAUSED,
            Event.ALERT: State.PAUSED,
            Event.DRY_RUN: State.PAUSED,
            Event.REARM: State.PAUSED,
            Event.RESUME: State.RUNNING,
            Event.PIN: State.PAUSED,
            Event.UNPIN: State.PAUSED,
            **_WATCHED_ALIKE,
        },
        State.COMPLETED: {Event.ROLL_BACK: State.ROLLED_BACK},
        State.ROLLED_BACK: {
            Event.UNDO: State.PAUSED,
            Event.RESTORE: State.RUNNING,
            Event.RESTART: State.RUNNING,
            Event.CANCEL: State.CANCELLED,
        },
        State.CANCELLED: {},
    }
)


def allowed(state: State) -> tuple[Event, ...]:
    """The events that this state takes, in the order of the table."""
    return tuple(TRANSITIONS[state])


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """Whose request it is, and what it says.

    Attributes:
        by: name of the person; empty where nobody asked.
        comment: the reason.
        weight: for a pin, the weight of the wave to hold, in 1/100,000; None for the present one.
    """

    by: str = ""
    comment: str = ""
    weight: int | None = None


_UNSIGNED: Final = Signed()


def apply(
    rollout: Rollout,
    event: Event,
    *,
    now: datetime,
    pause_reason: PauseReason = PauseReason.OPERATOR,
    signed: Signed = _UNSIGNED,
) -> Rollout:
    """The rollout after the event, its version one higher; a tick changes nothing.

    An event is read as the one that holds where the rollout stands, so callers need not know where that is: promoting
    or approving past the last wave bakes or completes, stepping back from the first wave rolls back, and an approval
    that is not the last one needed is a signature.

    Args:
        rollout: as it was read.
        event: what happens.
        now: aware UTC time of the event.
        pause_reason: recorded if the event pauses; a rejection, an undo and a step back by a human name themselves.
        signed: whose request it is.

    Raises:
        EventRefused: the table has no such entry; the rollout is unchanged.
        Invalid: who signs may not, or the weight is none that can be pinned.
    """
    meant = meaning(rollout, event)
    following = TRANSITIONS[rollout.state].get(meant)
    if following is None or (event is Event.UNPIN and rollout.pin is None):
        raise refusal(rollout, event)
    if meant is Event.TICK:
        return rollout
    if event is Event.APPROVE:
        _check_approver(rollout, signed.by)
    changed = replace(rollout, state=following, updated_at=now, version=rollout.version + 1)
    changed = _in_wave(changed, meant, before=rollout.updated_at, now=now, signed=signed)
    return replace(
        changed,
        pause_reason=_pause_reason(changed, meant, pause_reason),
        approvals=_approvals(changed, meant, signed, now=now),
        pin=_pin(changed, meant, signed, now=now),
        next_look_at=(now + rollout.plan.interval) if following in WATCHED else None,
    )


def apply_automatic(rollout: Rollout, event: Event, *, now: datetime, pause_reason: PauseReason) -> Rollout:
    """As `apply`, for whatever no human asked for: it never moves what a human has pinned, nor anything in a dry run.

    Raises:
        EventRefused: the table has no such entry, or the event is not one that happens by itself.
    """
    may_move = rollout.pin is None and not rollout.plan.dry_run
    if event not in (AUTOMATIC if may_move else _MOVING_NOTHING):
        raise refusal(rollout, event)
    return apply(rollout, event, now=now, pause_reason=pause_reason)


def possible(rollout: Rollout) -> list[Event]:
    """What a person may ask of this rollout now, in the order of the table."""
    return [
        event
        for event in allowed(rollout.state)
        if event in REQUESTS and (event is not Event.UNPIN or rollout.pin is not None)
    ]


def refusal(rollout: Rollout, event: Event) -> EventRefused:
    """That this event is not possible, and what is."""
    return EventRefused(rollout.id, rollout.state, event, possible(rollout))


def meaning(rollout: Rollout, event: Event) -> Event:
    """The event that this one is where the rollout stands."""
    if event is Event.STEP_BACK and rollout.wave == 0:
        return Event.ROLL_BACK
    if event not in (Event.PROMOTE, Event.APPROVE) or event not in TRANSITIONS[rollout.state]:
        return event
    wave = rollout.current_wave
    if event is Event.APPROVE and wave is not None and len(rollout.approvals) + 1 < wave.approvers:
        return Event.SIGN
    if not rollout.is_last_wave:
        return event
    return Event.BAKE if rollout.plan.final_bake is not None and rollout.final_bake_since is None else Event.COMPLETE


def _check_approver(rollout: Rollout, name: str) -> None:
    if name == rollout.created_by:
        raise Invalid("actor", f"{name!r} is the author of rollout {rollout.id!r}", "an approver other than its author")
    if name in {each.by for each in rollout.approvals}:
        raise Invalid("actor", f"{name!r} has approved this wave already", "another approver: each counts once")


def _in_wave(rollout: Rollout, event: Event, *, before: datetime, now: datetime, signed: Signed) -> Rollout:
    """Move to the wave that the event leads to, and say since when it bakes and since when evidence counts."""
    wave = rollout.wave or 0
    match event:
        case Event.START:
            return replace(_to_wave(rollout, 0, now=now), started_at=now, evidence_since=now)
        case Event.RESTART:
            return replace(_to_wave(rollout, 0, now=now), evidence_since=now)
        case Event.PROMOTE | Event.APPROVE:
            return replace(_to_wave(rollout, wave + 1, now=now), evidence_since=_evidence_since(rollout, now))
        case Event.BAKE:
            evidence_since = _evidence_since(rollout, now)
            return replace(rollout, final_bake_since=now, unwatched=timedelta(0), evidence_since=evidence_since)
        case Event.STEP_BACK:
            return replace(_to_wave(rollout, wave - 1, now=now), evidence_since=now)
        case Event.PIN if (held := _pinned_wave(rollout, signed.weight)) != wave:
            return replace(_to_wave(rollout, held, now=now), evidence_since=now)
        case Event.UNDO:
            return replace(rollout, wave_since=now, unwatched=timedelta(0), final_bake_since=None)
        case Event.RESTORE:
            return replace(rollout, unwatched=rollout.unwatched + (now - before))
        case Event.RESUME | Event.UNPIN | Event.REARM:
            return replace(
                rollout,
                wave_since=now,
                unwatched=timedelta(0),
                final_bake_since=None if rollout.final_bake_since is None else now,
                evidence_since=rollout.evidence_since if event is Event.REARM else _evidence_since(rollout, now),
            )
        case _:
            return rollout


def _to_wave(rollout: Rollout, wave: int, *, now: datetime) -> Rollout:
    return replace(rollout, wave=wave, wave_since=now, unwatched=timedelta(0), final_bake_since=None)


def _pinned_wave(rollout: Rollout, weight: int | None) -> int:
    """The wave to hold: this one or a lower one, since raising exposure is what promote is for."""
    wave = rollout.wave or 0
    if weight is None:
        return wave
    waves = [each.weight for each in rollout.plan.waves[: wave + 1]]
    if weight not in waves:
        known = ", ".join(f"{percent(each):g}" for each in waves)
        raise Invalid(
            "percent", f"{percent(weight):g} is no wave that it has reached", f"one of {known}; promote raises exposure"
        )
    return waves.index(weight)


def _evidence_since(rollout: Rollout, now: datetime) -> datetime | None:
    """A human who goes on after a breach has overruled the evidence; what follows is a new test."""
    overruled = rollout.pause_reason is PauseReason.BREACH or (rollout.pin is not None and rollout.pin.breached_at)
    return now if overruled else rollout.evidence_since


def _pause_reason(after: Rollout, event: Event, given: PauseReason) -> PauseReason | None:
    if after.state is not State.PAUSED:
        return None
    match event:
        case Event.REJECT:
            return PauseReason.REJECTED
        case Event.UNDO:
            return PauseReason.UNDONE
        case Event.STEP_BACK if given is PauseReason.OPERATOR:
            return PauseReason.STEPPED_BACK
        case Event.PIN | Event.UNPIN | Event.ALERT | Event.DRY_RUN | Event.REARM:
            return after.pause_reason
        case _:
            return given


def _approvals(after: Rollout, event: Event, signed: Signed, *, now: datetime) -> tuple[Signature, ...]:
    """An approval is for what the approver saw: it is void as soon as the rollout no longer waits there."""
    if after.state is not State.AWAITING_APPROVAL:
        return ()
    if event is Event.SIGN:
        return (*after.approvals, Signature(by=signed.by, at=now, comment=signed.comment))
    return after.approvals


def _pin(after: Rollout, event: Event, signed: Signed, *, now: datetime) -> Pin | None:
    if event is Event.PIN:
        return Pin(by=signed.by, at=now, reason=signed.comment)
    if after.pin is None or event is Event.UNPIN or after.state not in WATCHED:
        return None
    if event is Event.ALERT:
        return replace(after.pin, breached_at=now)
    # Evidence begins anew: what was breached before does not count against what a human has chosen since.
    return replace(after.pin, breached_at=None) if after.evidence_since == now else after.pin
