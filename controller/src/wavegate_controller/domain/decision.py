"""From verdicts to a decision: the one place where a wave is allowed to advance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from wavegate_controller.domain.circumstances import CLEAR, Circumstances
from wavegate_controller.domain.forecast import over_budget
from wavegate_controller.domain.gates import OnSilence
from wavegate_controller.domain.guardrail import Reason
from wavegate_controller.domain.plan import Approval, OnBreach, OnRedCheck, OnTimeLimit
from wavegate_controller.domain.rollout import PauseReason, Rollout, State
from wavegate_controller.domain.transitions import Event, apply, meaning
from wavegate_controller.domain.verdict import GateReason, Verdict, VerdictKind


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
    #: The gates passed; the next wave may take more than the plan's budget, so a human signs.
    OVER_BUDGET = "over_budget"
    #: The gates passed; nothing raises exposure during a freeze window.
    FREEZE_WINDOW = "freeze_window"
    #: Another flag must serve somebody first.
    PREREQUISITE = "prerequisite"
    #: A check of production readiness has turned red.
    RED_CHECK = "red_check"
    #: The flag is stopped, so nobody has the candidate to be judged by.
    FLAG_STOPPED = "flag_stopped"
    #: It stays in this wave for longer than the wave's time limit.
    TIME_LIMIT = "time_limit"
    #: A human pinned it; a human unpins.
    PINNED = "pinned"
    #: The gates are breached, but a human pinned it: somebody must look.
    PINNED_BREACH = "pinned_breach"
    #: A breach that somebody made up, to drill the way back; or the way up again afterwards.
    DRILL = "drill"
    #: An alert that Alertmanager reported asks for it.
    ALERT = "alert"
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
        would: what would have happened without a dry run, where that is something else; `tick` would have held.
    """

    event: Event
    reason: DecisionReason
    sentence: str
    verdicts: tuple[Verdict, ...] = ()
    pause_reason: PauseReason = PauseReason.OPERATOR
    would: Event | None = None


#: Stands for the gate that a drill breaches; none of a plan has a name with a space in it.
DRILL_GATE: Final = "the drill"
_ON_BREACH: Final[Mapping[OnBreach, Event]] = {
    OnBreach.ROLL_BACK: Event.ROLL_BACK,
    OnBreach.STEP_BACK: Event.STEP_BACK,
    OnBreach.PAUSE: Event.PAUSE,
}


def decide(
    rollout: Rollout, verdicts: Sequence[Verdict], *, now: datetime, circumstances: Circumstances = CLEAR
) -> Decision:
    """What the reconciler does with a rollout that serves users.

    A breach acts at once, in whatever state, unless a human has pinned the rollout. Otherwise a rollout moves up only
    when it runs, has baked, and every gate says *pass*; silence, an outage and doubt hold, each with its name. Silence
    and a wave's time limit do more only where the plan says so. Whatever would raise exposure waits for the end of a
    freeze window; what lowers it never does. In a dry run nothing moves, and of gates in dry run nothing depends: what
    would have happened is noted once, and held by at the looks that follow.

    Args:
        rollout: running, paused or awaiting approval.
        verdicts: one for each gate of the plan.
        now: aware UTC time of this look.
        circumstances: what may hold it beside its evidence.
    """
    verdicts = (*verdicts, *_made_up(circumstances))
    whole = _decide(rollout, verdicts, now=now, circumstances=circumstances)
    if rollout.plan.dry_run or circumstances.dry_run:
        acts = replace(whole, event=whole.event if whole.event is Event.ALERT else Event.TICK)
        return _noting(acts, whole, circumstances, f"dry run, so nothing moves; would {_verb(whole.event)}: {{}}")
    idle = {gate.name for gate in rollout.plan.gates if gate.dry_run}
    if not idle:
        return whole
    heard = tuple(each for each in verdicts if each.gate not in idle)
    acts = replace(_decide(rollout, heard, now=now, circumstances=circumstances), verdicts=verdicts)
    said = f"{acts.sentence}; with its gates in dry run it would {_verb(whole.event)}: {{}}"
    return _noting(acts, whole, circumstances, said)


def _made_up(circumstances: Circumstances) -> tuple[Verdict, ...]:
    """The breach of a drill: one more gate that is breached, and all else is as always."""
    if not circumstances.drill:
        return ()
    said, kind = GateReason.SAID_BREACH, VerdictKind.BREACH
    return (Verdict(gate=DRILL_GATE, kind=kind, reason=said, sentence=circumstances.drill, query=""),)


def _noting(acts: Decision, whole: Decision, circumstances: Circumstances, said: str) -> Decision:
    """What is done, with what would have been done beside it, if that is something else."""
    if acts.event is whole.event:
        return acts
    event = acts.event
    if event is Event.TICK and whole.event is not circumstances.noted:
        event = Event.DRY_RUN
    return replace(acts, event=event, sentence=said.replace("{}", whole.sentence), would=whole.event)


def _verb(event: Event) -> str:
    return "hold" if event is Event.TICK else event.value.replace("_", " ")


def _decide(
    rollout: Rollout, verdicts: tuple[Verdict, ...], *, now: datetime, circumstances: Circumstances
) -> Decision:
    """As if nothing were in dry run."""

    def hold(reason: DecisionReason, sentence: str) -> Decision:
        return Decision(event=Event.TICK, reason=reason, sentence=sentence, verdicts=verdicts)

    if acting := _breach(verdicts, rollout):
        return acting
    if rollout.pin is not None:
        return hold(*_pinned(rollout, verdicts))
    if silent := _silent(verdicts, rollout):
        return silent
    if circumstances.stopped and rollout.state is not State.PAUSED:
        return hold(DecisionReason.FLAG_STOPPED, "the flag is stopped: nobody has the candidate until it is enabled")
    if doubt := _doubt(verdicts, rollout) or _not_yet(verdicts, rollout, circumstances, now=now):
        return _overdue(verdicts, rollout, doubt[1], now=now) or hold(*doubt)
    event = _onwards(rollout)
    if event is Event.PROMOTE and (over := over_budget(rollout, verdicts, now=now)):
        sentence = f"all gates pass; the next wave may go over its budget: {over}"
        return Decision(
            event=Event.AWAIT_APPROVAL, reason=DecisionReason.OVER_BUDGET, sentence=sentence, verdicts=verdicts
        )
    if circumstances.frozen and apply(rollout, event, now=now).exposure > rollout.exposure:
        return hold(DecisionReason.FREEZE_WINDOW, f"all gates pass; {circumstances.frozen.sentence}")
    return Decision(event=event, reason=DecisionReason.GATES_PASSED, sentence=_say(verdicts), verdicts=verdicts)


def _breach(verdicts: tuple[Verdict, ...], rollout: Rollout) -> Decision | None:
    """What a breach does; None when there is none, when it is done, or when a human has overruled it."""
    breached = _of_kind(verdicts, VerdictKind.BREACH)
    if not breached or rollout.pause_reason is PauseReason.BREACH:
        return None
    event, sentence = _ON_BREACH[rollout.plan.on_breach], _say(breached)
    reason = DecisionReason.DRILL if [each.gate for each in breached] == [DRILL_GATE] else DecisionReason.BREACH
    if rollout.pin is not None:
        if rollout.pin.breached_at is not None:
            return None
        event, reason = Event.ALERT, DecisionReason.PINNED_BREACH
        sentence = f"pinned by {rollout.pin.by}, so nothing moves: {sentence}"
    elif event is Event.PAUSE and rollout.state is State.PAUSED:
        return None
    return Decision(event=event, reason=reason, sentence=sentence, verdicts=verdicts, pause_reason=PauseReason.BREACH)


def _pinned(rollout: Rollout, verdicts: Sequence[Verdict]) -> tuple[DecisionReason, str]:
    pin = rollout.pin
    assert pin is not None  # noqa: S101 - asked for pinned ones only
    held = f"pinned by {pin.by}: waits for unpin, promote or roll back"
    if pin.breached_at is None:
        return DecisionReason.PINNED, held
    breached = _of_kind(verdicts, VerdictKind.BREACH)
    what = _say(breached) if breached else f"breached at {pin.breached_at:%Y-%m-%d %H:%M:%S} UTC"
    return DecisionReason.PINNED_BREACH, f"{held}; {what}"


def _not_yet(
    verdicts: Sequence[Verdict], rollout: Rollout, circumstances: Circumstances, *, now: datetime
) -> tuple[DecisionReason, str] | None:
    """Why a rollout whose gates pass stays where it is; None when it goes on."""
    until = rollout.bakes_until
    if until is None or not verdicts:
        return DecisionReason.NOT_ENOUGH_DATA, "no gate was looked at"
    if now < until:
        return DecisionReason.BAKING, f"all gates pass; baking until {until:%H:%M:%S} UTC"
    if circumstances.waits_for:
        return DecisionReason.PREREQUISITE, f"all gates pass; {circumstances.waits_for}"
    if circumstances.red_checks and rollout.plan.on_red_check is OnRedCheck.HOLD:
        return DecisionReason.RED_CHECK, f"all gates pass; {circumstances.red_checks}"
    return None


def _onwards(rollout: Rollout) -> Event:
    """What a rollout does whose gates pass: ask, or go on. In the bake after the last wave nobody is asked again."""
    wave = rollout.current_wave
    if wave is not None and wave.approval is Approval.MANUAL and rollout.final_bake_since is None:
        return Event.AWAIT_APPROVAL
    return meaning(rollout, Event.PROMOTE)


def _overdue(verdicts: tuple[Verdict, ...], rollout: Rollout, held: str, *, now: datetime) -> Decision | None:
    """What the wave's time limit asks for; None while it is not over, and for a paused one, which waits for a human."""
    wave, over_at = rollout.current_wave, rollout.overdue_at
    if wave is None or over_at is None or now < over_at or rollout.state is State.PAUSED:
        return None
    event = {OnTimeLimit.PAUSE: Event.PAUSE, OnTimeLimit.ROLL_BACK: Event.ROLL_BACK}.get(wave.on_time_limit, Event.TICK)
    asks = "; waits for promote or roll back" if event is Event.TICK else ""
    return Decision(
        event=event,
        reason=DecisionReason.TIME_LIMIT,
        sentence=f"in this wave for longer than its time limit of {wave.time_limit}{asks}: {held}",
        verdicts=verdicts,
        pause_reason=PauseReason.TIME_LIMIT,
    )


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
