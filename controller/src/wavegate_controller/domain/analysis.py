"""From evidence to a verdict: what a gate's measurements say about the current wave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import ge, gt, le, lt
from typing import Final, assert_never

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain import evidence
from wavegate_controller.domain.measurement import ArmCounts, Broken, Counts, Measurement, NoData, Value
from wavegate_controller.domain.plan import ErrorRateGate, Gate, Operator, ThresholdGate
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.verdict import GateReason, Verdict, VerdictKind

#: Evidence from which a wave is not passed although it is far from a breach: halves what slips through
#: at no cost in false rollbacks (decision.md, section 3).
SUSPICION: Final = 2.0
#: Measurements older than so many looks say nothing about now, such as those before an outage of ours.
_FRESH_LOOKS: Final = 2

_COMPARE: Final[Mapping[Operator, Callable[[float, float], bool]]] = {
    Operator.LESS: lt,
    Operator.LESS_OR_EQUAL: le,
    Operator.GREATER: gt,
    Operator.GREATER_OR_EQUAL: ge,
}


def judge(gate: Gate, measurements: Sequence[Measurement], *, rollout: Rollout, now: datetime) -> Verdict:
    """What the gate says now.

    Args:
        gate: of the rollout's plan.
        measurements: of this gate since the rollout's `evidence_since`, oldest first.
        rollout: in a wave.
        now: aware UTC time of this look.
    """
    match gate:
        case ThresholdGate():
            return _judge_threshold(gate, measurements, rollout=rollout, now=now)
        case ErrorRateGate():
            return _judge_error_rate(gate, measurements, rollout=rollout, now=now)
        case _:
            assert_never(gate)


def _judge_threshold(
    gate: ThresholdGate, measurements: Sequence[Measurement], *, rollout: Rollout, now: datetime
) -> Verdict:
    if rollout.wave_since is None:
        raise ValueError(f"rollout {rollout.id} is in no wave")
    begin = rollout.wave_since + gate.warm_up
    fresh = max(begin, now - _FRESH_LOOKS * gate.of * rollout.plan.interval)
    recent = [each for each in measurements if each.at > fresh][-gate.of :]
    values = [each.answer.value for each in recent if isinstance(each.answer, Value)]
    over = [value for value in values if not _COMPARE[gate.operator](value, gate.limit)]
    latest = recent[-1].answer if recent else None
    verdict = Verdict(
        gate=gate.name,
        kind=VerdictKind.NOT_ENOUGH_DATA,
        reason=GateReason.TOO_FEW_MEASUREMENTS,
        sentence="",
        query=measurements[-1].query if measurements else gate.query,
        value=values[-1] if values else None,
        limit=gate.limit,
        figures={"measured": len(values), "over_limit": len(over), "of": gate.of, "failures": gate.failures},
    )
    shown = (
        f"{values[-1]:.4g}, must stay {gate.operator} {gate.limit:g}"
        if values
        else f"must stay {gate.operator} {gate.limit:g}"
    )
    if len(over) >= gate.failures:
        sentence = f"{shown}; over the limit {len(over)} times in the last {gate.of} looks"
        return replace(
            verdict,
            kind=VerdictKind.BREACH,
            reason=GateReason.LIMIT_EXCEEDED,
            value=over[-1],
            sentence=sentence,
        )
    if now < begin:
        return replace(
            verdict, reason=GateReason.WARMING_UP, sentence=f"{shown}; warming up until {begin:%H:%M:%S} UTC"
        )
    match latest:
        case Broken():
            return _cannot_measure(verdict, latest)
        case NoData():
            return replace(
                verdict, reason=latest.reason, sentence=f"the query gave no number ({latest.reason}); {shown}"
            )
        case _:
            pass
    needed = gate.of - gate.failures + 1
    if len(values) - len(over) < needed:
        return replace(verdict, sentence=f"{shown}; {len(values) - len(over)} of {needed} good looks so far")
    return replace(verdict, kind=VerdictKind.PASS, reason=GateReason.WITHIN_LIMIT, sentence=shown)


def _judge_error_rate(
    gate: ErrorRateGate, measurements: Sequence[Measurement], *, rollout: Rollout, now: datetime
) -> Verdict:
    counted = [(each.at, each.answer) for each in measurements if isinstance(each.answer, Counts)]
    in_wave = [answer for at, answer in counted if rollout.wave_since is None or at > rollout.wave_since]
    candidate = sum((each.candidate for each in in_wave), ArmCounts())
    stable = sum((each.stable for each in in_wave), ArmCounts())
    odds = evidence.regression(
        evidence.blocks(evidence.Block(candidate=each.candidate, stable=each.stable) for _, each in counted),
        margin=gate.margin,
        absolute_margin=gate.absolute_margin,
    )
    ceiling = evidence.above_ceiling((each.candidate for _, each in counted), ceiling=gate.ceiling)
    rates = f"candidate {_rate(candidate)}, stable {_rate(stable)}"
    verdict = Verdict(
        gate=gate.name,
        kind=VerdictKind.NOT_ENOUGH_DATA,
        reason=GateReason.TOO_FEW_CANDIDATE_REQUESTS,
        sentence="",
        query=measurements[-1].query if measurements else "",
        value=odds,
        limit=1 / gate.alpha,
        figures={
            "candidate_requests": candidate.requests,
            "candidate_bad": candidate.bad,
            "stable_requests": stable.requests,
            "stable_bad": stable.bad,
            "ceiling": gate.ceiling,
            "ceiling_evidence": ceiling,
            "min_requests": gate.min_requests,
        },
    )
    against = f"evidence {odds:.3g} : 1 against 'no worse', breach at {1 / gate.alpha:g} : 1"
    if odds >= 1 / gate.alpha:
        return replace(
            verdict,
            kind=VerdictKind.BREACH,
            reason=GateReason.WORSE_THAN_STABLE,
            sentence=f"{rates}; {against}",
        )
    if ceiling >= evidence.CEILING_EVIDENCE:
        sentence = f"{rates}; above the ceiling of {gate.ceiling:.1%}"
        return replace(verdict, kind=VerdictKind.BREACH, reason=GateReason.ABOVE_CEILING, sentence=sentence)
    if measurements and isinstance(broken := measurements[-1].answer, Broken):
        return _cannot_measure(verdict, broken)
    newest = next((each.newest_sample_at for _, each in reversed(counted)), None)
    if newest is None or now - newest > gate.stale_after:
        age = "there never was one" if newest is None else f"the newest is {_seconds(now - newest)} old"
        sentence = f"no fresh samples of the SDK's counters for flag {rollout.flag_key}: {age}"
        return replace(verdict, reason=GateReason.STALE_SAMPLES, sentence=sentence)
    if candidate.requests < gate.min_requests:
        return replace(
            verdict,
            sentence=f"{rates}; {candidate.requests} of {gate.min_requests} candidate requests in this wave",
        )
    if _has_control(rollout) and stable.requests < gate.min_requests:
        sentence = f"{rates}; {stable.requests} of {gate.min_requests} stable requests in this wave"
        return replace(verdict, reason=GateReason.TOO_FEW_STABLE_REQUESTS, sentence=sentence)
    if odds > SUSPICION:
        return replace(
            verdict,
            reason=GateReason.SUSPICION,
            sentence=f"{rates}; {against}; passes at {SUSPICION:g} : 1 or less",
        )
    return replace(verdict, kind=VerdictKind.PASS, reason=GateReason.WITHIN_LIMIT, sentence=f"{rates}; {against}")


def _cannot_measure(verdict: Verdict, broken: Broken) -> Verdict:
    return replace(
        verdict,
        kind=VerdictKind.CANNOT_MEASURE,
        reason=broken.reason,
        sentence=f"{broken.reason}: {broken.detail}",
    )


def _has_control(rollout: Rollout) -> bool:
    return rollout.weight < FULL_WEIGHT


def _rate(counts: ArmCounts) -> str:
    if not counts.requests:
        return "no requests"
    return f"{counts.bad / counts.requests:.2%} bad ({counts.bad} of {counts.requests})"


def _seconds(age: timedelta) -> str:
    return f"{age.total_seconds():.0f} s"
