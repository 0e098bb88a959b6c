"""Gates whose every look is good or bad by itself: so many bad ones of the last few are a breach."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from operator import ge, gt, le, lt
from typing import Final

from wavegate_controller.domain.gates import AlertCounts, AlertGate, LookingGate, Operator, ThresholdGate, WebhookGate
from wavegate_controller.domain.measurement import Broken, Judgement, Measurement, NoData, Reading, Value
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.verdict import GateReason, Verdict, VerdictKind

#: What the query of an alert gate gives.
ALERT_PENDING: Final = 1.0
ALERT_FIRING: Final = 2.0
#: Measurements older than so many looks say nothing about now, such as those before an outage of ours.
_FRESH_LOOKS: Final = 2
_COMPARE: Final[Mapping[Operator, Callable[[float, float], bool]]] = {
    Operator.LESS: lt,
    Operator.LESS_OR_EQUAL: le,
    Operator.GREATER: gt,
    Operator.GREATER_OR_EQUAL: ge,
}


class Level(Enum):
    """What one look says."""

    GOOD = auto()
    WARN = auto()
    BAD = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Words:
    """How a kind of gate says what it found.

    Attributes:
        shown: the newest measurement beside its limit.
        bad: what a bad look is.
        warn: what a look between warning and limit is.
    """

    shown: str
    bad: str
    warn: str = ""
    bad_reason: GateReason = GateReason.LIMIT_EXCEEDED
    warn_reason: GateReason = GateReason.WARN_LIMIT_EXCEEDED
    good_reason: GateReason = GateReason.WITHIN_LIMIT


def judge_threshold(
    gate: ThresholdGate, measurements: Sequence[Measurement], *, rollout: Rollout, now: datetime
) -> Verdict:
    """A number beside its limit."""
    holds = _COMPARE[gate.operator]

    def level(answer: Reading) -> Level | None:
        match answer:
            case Value(value=value) if not holds(value, gate.limit):
                return Level.BAD
            case Value(value=value) if gate.warn is not None and not holds(value, gate.warn):
                return Level.WARN
            case Value():
                return Level.GOOD
            case _:
                return None

    def words(newest: Reading | None) -> _Words:
        must = f"must stay {gate.operator} {gate.limit:g}"
        return _Words(
            shown=f"{newest.value:.4g}, {must}" if isinstance(newest, Value) else must,
            bad="over the limit",
            warn="" if gate.warn is None else f"past the warning at {gate.warn:g}",
        )

    recent = _recent(gate, measurements, rollout=rollout, now=now, period=rollout.plan.interval)
    verdict = _judge(gate, recent, level, words, rollout=rollout, now=now)
    figures = dict(verdict.figures) | ({} if gate.warn is None else {"warn": gate.warn})
    return replace(verdict, limit=gate.limit, figures=figures, query=_query(measurements, gate.query))


def judge_alert(gate: AlertGate, measurements: Sequence[Measurement], *, rollout: Rollout, now: datetime) -> Verdict:
    """Whether an alert is quiet, pending or firing."""

    def level(answer: Reading) -> Level | None:
        match answer:
            case Value(value=value) if value >= ALERT_FIRING:
                return Level.BAD
            case Value(value=value) if value >= ALERT_PENDING:
                return Level.WARN
            case Value():
                return Level.GOOD
            case _:
                return None

    def words(newest: Reading | None) -> _Words:
        states = {None: "not known", Level.GOOD: "quiet", Level.WARN: "pending", Level.BAD: "firing"}
        state = states[None if newest is None else level(newest)]
        fires = "firing"
        if gate.counts is AlertCounts.FIRED_IN_WAVE:
            state, fires = state.replace("firing", "firing, or fired in this wave"), "firing since the wave began"
        return _Words(
            shown=f"alert {gate.alert} is {state}",
            bad=fires,
            warn="pending",
            bad_reason=GateReason.ALERT_FIRING,
            warn_reason=GateReason.ALERT_PENDING,
        )

    recent = _recent(gate, measurements, rollout=rollout, now=now, period=rollout.plan.interval)
    verdict = _judge(gate, recent, level, words, rollout=rollout, now=now)
    return replace(verdict, limit=ALERT_FIRING, query=_query(measurements, ""))


def judge_webhook(
    gate: WebhookGate, measurements: Sequence[Measurement], *, rollout: Rollout, now: datetime
) -> Verdict:
    """What somebody else's check said."""
    levels = {VerdictKind.PASS: Level.GOOD, VerdictKind.BREACH: Level.BAD}

    def level(answer: Reading) -> Level | None:
        return levels.get(answer.says) if isinstance(answer, Judgement) else None

    def words(newest: Reading | None) -> _Words:
        return _Words(
            shown=said(newest) if isinstance(newest, Judgement) else f"{gate.url} has said neither pass nor breach",
            bad="breach",
            bad_reason=GateReason.SAID_BREACH,
            good_reason=GateReason.SAID_PASS,
        )

    period = max(gate.interval, rollout.plan.interval)
    # A pass that nobody will ask for again does not grow old.
    recent = _recent(gate, measurements, rollout=rollout, now=now, period=period if gate.keep_asking else None)
    verdict = _judge(gate, recent, level, words, rollout=rollout, now=now)
    newest = next((each.answer for each in reversed(recent) if isinstance(each.answer, Judgement)), None)
    verdict = replace(verdict, query=_query(measurements, gate.url))
    return verdict if newest is None else replace(verdict, value=newest.value, limit=newest.limit)


def is_due(gate: WebhookGate, measurements: Sequence[Measurement], *, rollout: Rollout, now: datetime) -> bool:
    """Whether the webhook is to be asked at this look.

    It is while its word may move the rollout: not in the warm-up, not while a human has to act anyway, at most once
    in each `interval`, and not again about a wave that passed where the gate says so.
    """
    if rollout.wave_since is None or not rollout.is_moving or now < rollout.wave_since + gate.warm_up:
        return False
    mine = [each for each in measurements if each.gate == gate.name and each.at > rollout.wave_since + gate.warm_up]
    if not gate.keep_asking:
        verdict = judge_webhook(gate, mine, rollout=rollout, now=now)
        if verdict.kind is VerdictKind.PASS:
            return False
    return not mine or now - mine[-1].at >= gate.interval


def said(judgement: Judgement) -> str:
    """Somebody else's word, and their reason."""
    beside = ""
    if judgement.value is not None:
        beside = f", {judgement.value:.4g}" + ("" if judgement.limit is None else f" beside {judgement.limit:.4g}")
    reason = f": {judgement.detail}" if judgement.detail else ""
    return f"{judgement.by} says {judgement.says.replace('_', ' ')}{beside}{reason}"


def cannot_measure(verdict: Verdict, broken: Broken) -> Verdict:
    """The same gate, when its last look broke."""
    sentence = f"{broken.reason}: {broken.detail}"
    return replace(verdict, kind=VerdictKind.CANNOT_MEASURE, reason=broken.reason, sentence=sentence)


def _recent(
    gate: LookingGate,
    measurements: Sequence[Measurement],
    *,
    rollout: Rollout,
    now: datetime,
    period: timedelta | None,
) -> list[Measurement]:
    """The last `of` looks of this wave that are not too old to say anything about now."""
    begin = _begin(gate, rollout)
    if period is not None:
        begin = max(begin, now - _FRESH_LOOKS * gate.of * period)
    return [each for each in measurements if each.at > begin][-gate.of :]


def _begin(gate: LookingGate, rollout: Rollout) -> datetime:
    if rollout.wave_since is None:
        raise ValueError(f"rollout {rollout.id} is in no wave")
    return rollout.wave_since + gate.warm_up


def _judge(
    gate: LookingGate,
    recent: Sequence[Measurement],
    level: Callable[[Reading], Level | None],
    words: Callable[[Reading | None], _Words],
    *,
    rollout: Rollout,
    now: datetime,
) -> Verdict:
    levels = [level(each.answer) for each in recent]
    measured = [each.answer for each, its in zip(recent, levels, strict=True) if its is not None]
    bad = [each.answer for each, its in zip(recent, levels, strict=True) if its is Level.BAD]
    warned = levels.count(Level.WARN)
    good = levels.count(Level.GOOD)
    newest = measured[-1] if measured else None
    say = words(newest)
    verdict = Verdict(
        gate=gate.name,
        kind=VerdictKind.NOT_ENOUGH_DATA,
        reason=GateReason.TOO_FEW_MEASUREMENTS,
        sentence="",
        query="",
        value=_number(newest),
        figures={
            "measured": len(measured),
            "over_limit": len(bad),
            "past_warning": warned,
            "of": gate.of,
            "failures": gate.failures,
        },
    )
    looks = f"times in the last {gate.of} looks"
    if len(bad) >= gate.failures:
        say = words(bad[-1])
        sentence = say.shown if gate.of == 1 else f"{say.shown}; {say.bad} {len(bad)} {looks}"
        return replace(
            verdict, kind=VerdictKind.BREACH, reason=say.bad_reason, value=_number(bad[-1]), sentence=sentence
        )
    if now < (begin := _begin(gate, rollout)):
        sentence = f"{say.shown}; warming up until {begin:%H:%M:%S} UTC"
        return replace(verdict, reason=GateReason.WARMING_UP, sentence=sentence)
    match recent[-1].answer if recent else None:
        case Broken() as broken:
            return cannot_measure(verdict, broken)
        case NoData(reason=reason):
            return replace(verdict, reason=reason, sentence=f"the query gave no number ({reason}); {say.shown}")
        case Judgement(says=VerdictKind.NOT_ENOUGH_DATA) as judgement:
            return replace(verdict, reason=GateReason.SAID_NOT_ENOUGH_DATA, sentence=said(judgement))
        case _:
            pass
    if warned and warned + len(bad) >= gate.failures:
        sentence = f"{say.shown}; {say.warn} {warned + len(bad)} {looks}"
        return replace(verdict, reason=say.warn_reason, sentence=sentence)
    needed = gate.of - gate.failures + 1
    if good < needed:
        return replace(verdict, sentence=f"{say.shown}; {good} of {needed} good looks so far")
    if levels[-1] is not Level.GOOD:
        return replace(verdict, reason=GateReason.LAST_LOOK_BAD, sentence=f"{say.shown}; waits for a good look")
    return replace(verdict, kind=VerdictKind.PASS, reason=say.good_reason, sentence=say.shown)


def _number(answer: Reading | None) -> float | None:
    return answer.value if isinstance(answer, Value) else None


def _query(measurements: Sequence[Measurement], otherwise: str) -> str:
    """As it was last sent; of older looks only the answers are kept."""
    return (measurements[-1].query if measurements else "") or otherwise
