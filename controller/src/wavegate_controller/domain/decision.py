"""From verdicts to a decision: the one place where a wave is allowed to advance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from wavegate_controller.domain.gates import OnSilence
from wavegate_controller.domain.guardrail import Reason
from wavegate_controller.domain.plan import Approval, OnBreach
from wavegate_controller.domain.rollout import PauseReason, Rollout, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.domain.verdict import Verdict, VerdictKind


class DecisionReason(StrEnum):
    """Why a rollout moved or holds: one word, the same in API, log, metric, audit and page."""

    #: A gate is over its limit.
    BREACH = "breach"
    #: A gate could not be measured; the metrics server needs a look.
    CANNOT_MEASURE = "cannot_measure"
    #: A gate has too little to judge yet.
    NOT_ENOUGH_DATA = "not_enough_data"
    #: A gate measured something in doubt: not bad enough to roll back, too bad to go on.
    WARNING = "warning"
    #: The least time in this wave is not over.
    BAKING = "baking"
    #: All gates pass.
    GATES_PASSED = "gates_passed"
    #: Paused; a human resumes.
    PAUSED = "paused"
    #: The gates passed; a human signs.
    AWAITING_APPROVAL = "awaiting_approval"
    #: A named human asked for it.
    REQUESTED = "requested"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What happens to a rollout now, and why.

    Attributes:
        event: what to apply; `tick` holds.
        reason: one word.
        sentence: what a person reads.
        verdicts: of all gates, the evidence of this decision.
        pause_reason: for events that pause.
    """

    event: Event
    reason: DecisionReason
    sentence: str
    verdicts: tuple[Verdict, ...] = ()
    pause_reason: PauseReason = PauseReason.OPERATOR


_ON_BREACH: Final[Mapping[OnBreach, Event]] = {
    OnBreach.ROLL_BACK: Event.ROLL_BACK,
    OnBreach.STEP_BACK: Event.STEP_BACK,
    OnBreach.PAUSE: Event.PAUSE,
}


def decide(rollout: Rollout, verdicts: Sequence[Verdict], *, now: datetime) -> Decision:
    """What the reconciler does with a rollout that serves users.

    A breach acts at once, in whatever state. Otherwise a rollout moves up only when it runs, has baked, and every gate
    says *pass*; silence, an outage and doubt hold, each with its name. Silence does more only where the plan says so,
    and only after the time that it says.

    Args:
        rollout: running, paused or awaiting approval.
        verdicts: one for each gate of the plan.
        now: aware UTC time of this look.
    """
    verdicts = tuple(verdicts)

    def hold(reason: DecisionReason, sentence: str) -> Decision:
        return Decision(event=Event.TICK, reason=reason, sentence=sentence, verdicts=verdicts)

    breached = _of_kind(verdicts, VerdictKind.BREACH)
    if breached and rollout.pause_reason is not PauseReason.BREACH:
        event = _ON_BREACH[rollout.plan.on_breach]
        if not (event is Event.PAUSE and rollout.state is State.PAUSED):
            return Decision(
                event=event,
                reason=DecisionReason.BREACH,
                sentence=_say(breached),
                verdicts=verdicts,
                pause_reason=PauseReason.BREACH,
            )
    if silent := _silent(verdicts, rollout):
        return silent
    if doubt := _doubt(verdicts, rollout):
        return hold(*doubt)
    wave = rollout.current_wave
    if wave is None or rollout.wave_since is None or not verdicts:
        return hold(DecisionReason.NOT_ENOUGH_DATA, "no gate was looked at")
    baked_at = rollout.wave_since + wave.bake
    if now < baked_at:
        return hold(DecisionReason.BAKING, f"all gates pass; baking until {baked_at:%H:%M:%S} UTC")
    if wave.approval is Approval.MANUAL:
        event = Event.AWAIT_APPROVAL
    else:
        event = Event.COMPLETE if rollout.is_last_wave else Event.PROMOTE
    return Decision(event=event, reason=DecisionReason.GATES_PASSED, sentence=_say(verdicts), verdicts=verdicts)


def _doubt(verdicts: Sequence[Verdict], rollout: Rollout) -> tuple[DecisionReason, str] | None:
    """Why the rollout holds whatever the time; None when it runs and all gates pass."""
    if rollout.state is State.PAUSED:
        waits = f"paused ({rollout.pause_reason}): waits for resume, promote or roll back"
        return DecisionReason.PAUSED, waits
    if broken := _of_kind(verdicts, VerdictKind.CANNOT_MEASURE):
        return DecisionReason.CANNOT_MEASURE, _say(broken)
    if warnings := [each for each in verdicts if each.is_warning]:
        return DecisionReason.WARNING, _say(warnings)
    if rollout.state is State.AWAITING_APPROVAL:
        return DecisionReason.AWAITING_APPROVAL, "the gates passed: waits for approve or reject"
    if short := _of_kind(verdicts, VerdictKind.NOT_ENOUGH_DATA):
        baking = all(each.reason == Reason.BAKING for each in short)
        return DecisionReason.BAKING if baking else DecisionReason.NOT_ENOUGH_DATA, _say(short)
    return None


def _silent(verdicts: tuple[Verdict, ...], rollout: Rollout) -> Decision | None:
    """What the policies for silence ask for, the strongest first; None when they ask for nothing, or it is done."""
    for act, event in ((OnSilence.ROLL_BACK, Event.ROLL_BACK), (OnSilence.PAUSE, Event.PAUSE)):
        asking = [each for each in verdicts if each.asks_for is act]
        if not asking or (event is Event.PAUSE and rollout.state is State.PAUSED):
            continue
        broken = any(each.kind is VerdictKind.CANNOT_MEASURE for each in asking)
        return Decision(
            event=event,
            reason=DecisionReason.CANNOT_MEASURE if broken else DecisionReason.NOT_ENOUGH_DATA,
            sentence=_say(asking),
            verdicts=verdicts,
            pause_reason=PauseReason.CANNOT_MEASURE if broken else PauseReason.NOT_ENOUGH_DATA,
        )
    return None


def _of_kind(verdicts: Sequence[Verdict], kind: VerdictKind) -> list[Verdict]:
    return [each for each in verdicts if each.kind is kind]


def _say(verdicts: Sequence[Verdict]) -> str:
    return "; ".join(f"{each.gate}: {each.sentence}" for each in verdicts)
