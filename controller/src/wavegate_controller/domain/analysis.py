"""From evidence to a verdict: what a gate's measurements say about the current wave."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain import evidence, looks
from wavegate_controller.domain.feedback import judge_feedback
from wavegate_controller.domain.gates import (
    AlertGate,
    ErrorRateGate,
    FeedbackGate,
    Gate,
    ManualGate,
    ThresholdGate,
    WebhookGate,
)
from wavegate_controller.domain.measurement import ArmCounts, Broken, Counts, Judgement, Measurement
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.silence import with_policy
from wavegate_controller.domain.verdict import GateReason, Verdict, VerdictKind

#: Evidence from which a wave is not passed although it is far from a breach: halves what slips through
#: at no cost in false rollbacks (decision.md, section 3).
SUSPICION: Final = 2.0


def judge(gate: Gate, measurements: Sequence[Measurement], *, rollout: Rollout, now: datetime) -> Verdict:
    """What the gate says now.

    Args:
        gate: of the rollout's plan.
        measurements: of this gate since the rollout's `evidence_since`, oldest first.
        rollout: in a wave.
        now: aware UTC time of this look.
    """
    verdict = _judge(gate, measurements, rollout=rollout, now=now)
    return with_policy(verdict, gate, measurements, rollout=rollout, now=now)


def _judge(gate: Gate, measurements: Sequence[Measurement], *, rollout: Rollout, now: datetime) -> Verdict:
    match gate:
        case ThresholdGate():
            return looks.judge_threshold(gate, measurements, rollout=rollout, now=now)
        case ErrorRateGate():
            return _judge_error_rate(gate, measurements, rollout=rollout, now=now)
        case AlertGate():
            return looks.judge_alert(gate, measurements, rollout=rollout, now=now)
        case FeedbackGate():
            return judge_feedback(gate, measurements, rollout=rollout, now=now)
        case WebhookGate():
            return looks.judge_webhook(gate, measurements, rollout=rollout, now=now)
        case ManualGate():
            return _judge_manual(gate, measurements, rollout=rollout)
        case _:
            assert_never(gate)


def _judge_manual(gate: ManualGate, measurements: Sequence[Measurement], *, rollout: Rollout) -> Verdict:
    begin = rollout.wave_since
    spoken = [each for each in measurements if begin is not None and each.at > begin]
    word = next((each for each in reversed(spoken) if isinstance(each.answer, Judgement)), None)
    question = f" ({gate.question})" if gate.question else ""
    verdict = Verdict(
        gate=gate.name,
        kind=VerdictKind.NOT_ENOUGH_DATA,
        reason=GateReason.NOT_JUDGED,
        sentence=f"waits for a person to say pass or breach for this wave{question}",
        query="",
    )
    if word is None or not isinstance(word.answer, Judgement):
        return verdict
    return replace(
        verdict,
        kind=word.answer.says,
        reason=GateReason.SAID_PASS if word.answer.says is VerdictKind.PASS else GateReason.SAID_BREACH,
        sentence=f"{looks.said(word.answer)}, at {word.at:%H:%M:%S} UTC",
    )


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
        return looks.cannot_measure(verdict, broken)
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


def _has_control(rollout: Rollout) -> bool:
    return rollout.weight < FULL_WEIGHT or rollout.hold_out > 0


def _rate(counts: ArmCounts) -> str:
    if not counts.requests:
        return "no requests"
    return f"{counts.bad / counts.requests:.2%} bad ({counts.bad} of {counts.requests})"


def _seconds(age: timedelta) -> str:
    return f"{age.total_seconds():.0f} s"
