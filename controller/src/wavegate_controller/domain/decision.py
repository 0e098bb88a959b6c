"""From verdicts to a decision: the one place where a wave is allowed to advance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

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

    A breach acts at once, in whatever state. Otherwise a rollout moves only when it runs, has baked, and every gate
    says *pass*; silence, an outage and doubt hold, each with its name.

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
    if rollout.state is State.PAUSED:
        return hold(DecisionReason.PAUSED, f"paused ({rollout.pause_reason}): waits for resume, promote or roll back")
    if broken := _of_kind(verdicts, VerdictKind.CANNOT_MEASURE):
        return hold(DecisionReason.CANNOT_MEASURE, _say(broken))
    if rollout.state is State.AWAITING_APPROVAL:
        return hold(DecisionReason.AWAITING_APPROVAL, "the gates passed: waits for approve or reject")
    if short := _of_kind(verdicts, VerdictKind.NOT_ENOUGH_DATA):
        return hold(DecisionReason.NOT_ENOUGH_DATA, _say(short))
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


def _of_kind(verdicts: Sequence[Verdict], kind: VerdictKind) -> list[Verdict]:
    return [each for each in verdicts if each.kind is kind]


def _say(verdicts: Sequence[Verdict]) -> str:
    return "; ".join(f"{each.gate}: {each.sentence}" for each in verdicts)
