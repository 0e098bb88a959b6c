"""The words of the pages: rules, states, verdicts, numbers and times as a person says them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from wavegate_controller.domain.errors import ControllerError, Invalid, StaleVersion
from wavegate_controller.domain.gates import (
    ManualGate,
)
from wavegate_controller.domain.outline import Outline
from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.record import RECONCILER, DecisionRecord
from wavegate_controller.domain.rollout import WATCHED, Rollout, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service.queries import FlagView, RolloutView

#: Which colour a word gets. The word always stands beside the colour.
_TONES: Final = {
    "running": "live",
    "completed": "good",
    "pass": "good",
    "awaiting_approval": "warn",
    "paused": "warn",
    "cannot_measure": "warn",
    "warning": "warn",
    "rolled_back": "bad",
    "breach": "bad",
    "stopped": "bad",
}
_WORDS: Final = {"stopped": "emergency stop", "cancel": "cancelled", "promote": "promoted", "none": "no rollout"}
_DID: Final = {
    Event.START: "started",
    Event.TICK: "held",
    Event.PROMOTE: "promoted",
    Event.AWAIT_APPROVAL: "waits for approval",
    Event.APPROVE: "approved",
    Event.REJECT: "rejected",
    Event.COMPLETE: "completed",
    Event.PAUSE: "paused",
    Event.RESUME: "resumed",
    Event.STEP_BACK: "stepped back",
    Event.ROLL_BACK: "rolled back",
    Event.UNDO: "undid the roll back",
    Event.RESTORE: "stands again after a drill",
    Event.RESTART: "restarted",
    Event.CANCEL: "cancelled",
    Event.SIGN: "signed",
    Event.BAKE: "bakes on",
    Event.PIN: "pinned",
    Event.UNPIN: "unpinned",
    Event.ALERT: "breached under a pin",
    Event.REARM: "bakes anew",
    Event.DRY_RUN: "would have acted (dry run)",
}
#: As a button says it.
_IMPERATIVE: Final = {
    Event.START: "Start",
    Event.PROMOTE: "Promote",
    Event.APPROVE: "Approve",
    Event.REJECT: "Reject",
    Event.PAUSE: "Pause",
    Event.RESUME: "Resume",
    Event.STEP_BACK: "Step back",
    Event.ROLL_BACK: "Roll back",
    Event.PIN: "Pin",
    Event.UNPIN: "Unpin",
    Event.UNDO: "Undo",
    Event.RESTART: "Restart",
    Event.CANCEL: "Cancel",
}
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """What to type for a likely next act; the page itself acts on nothing."""

    does: str
    text: str


def standing(view: FlagView) -> str:
    """The one word for where a flag stands: its rollout's state, or what is more urgent than that."""
    rollout = view.rollout
    return Outline(
        key=view.flag.key,
        description=view.flag.description,
        enabled=view.flag.enabled,
        state=None if rollout is None else rollout.rollout.state,
        reason=None if rollout is None or rollout.latest is None else rollout.latest.reason,
    ).standing


def why(view: FlagView) -> str:
    """One line: why the flag's rollout holds, or what happened to it."""
    if not view.flag.enabled:
        whatever = "" if view.rollout is None else ", whatever the rollout says,"
        return f"Everybody gets {view.flag.default_variant}{whatever} until the flag is enabled."
    if view.rollout is None:
        return f"Everybody gets {view.flag.default_variant}."
    latest, rollout = view.rollout.latest, view.rollout.rollout
    if latest is None:
        return f"Created by {rollout.created_by}; waits for start."
    if latest.event is Event.TICK:
        return f"Holds, {words(latest.reason)}: {latest.sentence}"
    return capital(f"{did(latest)}: {latest.sentence}" if latest.actor == RECONCILER else latest.sentence)


def since(view: FlagView) -> datetime:
    """Since when the flag stands where it stands."""
    if not view.flag.enabled or view.rollout is None:
        return view.flag.updated_at
    moved = view.rollout.moved
    return view.rollout.rollout.created_at if moved is None else moved.at


def served(view: FlagView) -> float | None:
    """Percent of the users that get the candidate now; None where nothing is rolled out."""
    if view.rollout is None:
        return None
    if not view.flag.enabled:
        return 100.0 if view.flag.default_variant == view.rollout.rollout.candidate else 0.0
    return percent(view.rollout.rollout.weight)


def commands(view: FlagView) -> Sequence[Command]:
    """The likely next acts as command lines."""
    key = view.flag.key
    if not view.flag.enabled:
        return [Command(does="End the emergency stop", text=f"wavegate flag enable {key}")]
    stop = Command(
        does=f"Emergency stop: {view.flag.default_variant} for everybody", text=f"wavegate flag disable {key}"
    )
    if view.rollout is None:
        return [Command(does="Create a rollout", text=f"wavegate rollout create --flag {key}"), stop]
    return [*_judgements(view.rollout.rollout, key), *_rollout_commands(view.rollout, key), stop]


def _judgements(rollout: Rollout, key: str) -> list[Command]:
    """What a manual gate waits for."""
    if rollout.state not in WATCHED:
        return []
    return [
        Command(
            does=f"Say of this wave what {gate.name} waits for, or breach",
            text=f'wavegate rollout judge {key} pass --gate {gate.name} -m "why"',
        )
        for gate in rollout.plan.gates
        if isinstance(gate, ManualGate)
    ]


def _rollout_commands(view: RolloutView, key: str) -> list[Command]:
    def command(event: Event, does: str, *, signed: bool = False) -> Command:
        reason = ' -m "why"' if signed else ""
        return Command(does=does, text=f"wavegate rollout {event.value.replace('_', '-')} {key}{reason}")

    roll_back = command(Event.ROLL_BACK, f"Everybody back to {view.rollout.stable}")
    match view.rollout.state:
        case State.DRAFT:
            return [command(Event.START, "Open the first wave"), command(Event.CANCEL, "Give it up")]
        case State.RUNNING:
            return [
                roll_back,
                command(Event.PAUSE, "Stay at this percentage"),
                command(Event.PROMOTE, "Open the next wave now", signed=True),
            ]
        case State.AWAITING_APPROVAL:
            return [
                Command(does="What an approver signs", text=f"wavegate rollout review {key}"),
                command(Event.APPROVE, "Open the next wave", signed=True),
                command(Event.REJECT, "Stay, paused", signed=True),
                roll_back,
            ]
        case State.PAUSED:
            return [roll_back, command(Event.RESUME, "Go on; the bake time begins anew")]
        case State.ROLLED_BACK:
            return [
                command(Event.RESTART, "Begin again at the first wave", signed=True),
                command(Event.CANCEL, "Give it up for good"),
            ]
        case State.COMPLETED:
            return [roll_back]
        case State.CANCELLED:
            return [Command(does="Create another rollout", text=f"wavegate rollout create --flag {key}")]
        case _:
            assert_never(view.rollout.state)


def words(code: str) -> str:
    """A reason, state or verdict as plain words."""
    return _WORDS.get(code, code.replace("_", " "))


def tone(code: str) -> str:
    """The colour class of a state or verdict."""
    return _TONES.get(code, "calm")


def did(record: DecisionRecord) -> str:
    """What happened, as a verb."""
    return _DID[record.event]


def imperative(event: Event) -> str:
    """What a person may ask for, as a button says it."""
    return _IMPERATIVE[event]


def by(record: DecisionRecord) -> str:
    """Who or what signed it."""
    return "Wavegate, automatically" if record.actor == RECONCILER else record.actor


def capital(sentence: str) -> str:
    """The sentence with its first letter as a capital."""
    return sentence[:1].upper() + sentence[1:]


def target(rollout: Rollout) -> float:
    """Percent of the users that the last wave reaches."""
    return percent(rollout.plan.waves[-1].weight)


def refused(refusal: ControllerError) -> str:
    """Why something was not done, and what would be right."""
    match refusal:
        case StaleVersion():
            return (
                "Not done: somebody else, or Wavegate itself, has moved this rollout since the page that you acted on. "
                "Below is where it stands now; look again before you repeat it."
            )
        case Invalid():
            return f"Not done: {refusal.field} {refusal.problem}. What is needed: {refusal.expected}."
        case _:
            return f"Not done: {refusal}."


def number(value: float) -> str:
    """A measured number: four digits that matter, thousands set apart."""
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}") if abs(value) >= 1000 else f"{value:.4g}"  # noqa: PLR2004


def odds(value: float) -> str:
    """Evidence as odds."""
    if value > 1e6:  # noqa: PLR2004 - beyond it digits tell nobody anything
        return "over 1 000 000 : 1"
    return f"{number(float(f'{value:.3g}'))} : 1"


def clock_time(at: datetime, now: datetime) -> str:
    """The time of day, UTC; with the date unless it is today's."""
    return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%d %b %Y %H:%M:%S}"


def ago(at: datetime, now: datetime) -> str:
    """How long ago, or in how long, from a moment as it is told."""
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def span(duration: timedelta) -> str:
    """How long, in the one or two largest units."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return (
            f"{seconds // _MINUTE} min {seconds % _MINUTE} s" if seconds < 10 * _MINUTE else f"{seconds // _MINUTE} min"
        )
    if seconds < _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE} min"
    return f"{seconds // _DAY} d {seconds % _DAY // _HOUR} h"


#: What templates may ask for.
FILTERS: Final[tuple[Callable[..., Any], ...]] = (words, tone, did, by, capital, clock_time, ago, span, number, percent)
