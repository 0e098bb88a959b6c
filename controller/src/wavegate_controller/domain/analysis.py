"""From evidence to a verdict: what a gate's measurements say about the current wave."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from wavegate_controller.domain import looks
from wavegate_controller.domain.feedback import judge_feedback
from wavegate_controller.domain.gates import (
    AlertGate,
    ComparedGate,
    FeedbackGate,
    ManualGate,
    SingleGate,
    ThresholdGate,
    WebhookGate,
)
from wavegate_controller.domain.guarding import judge_compared
from wavegate_controller.domain.guardrail import State
from wavegate_controller.domain.measurement import Judgement, Measurement
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.silence import with_policy
from wavegate_controller.domain.verdict import GateReason, Verdict, VerdictKind


def judge_all(
    rollout: Rollout, evidence: Mapping[str, Sequence[Measurement]], state: State | None, *, now: datetime
) -> tuple[Verdict, ...]:
    """What the gates of the plan say now, in its order.

    Args:
        rollout: in a wave.
        evidence: gate to its measurements since the wave began, oldest first; of a gate that compares the newest are
            enough, unless it was silent.
        state: the log of those that compare, folded; None where none does.
        now: aware UTC time of this look.
    """
    policy = rollout.plan.policy
    compared: Mapping[str, Verdict] = {}
    if policy is not None and state is not None:
        newest = {gate.name: evidence[gate.name][-1] for gate in rollout.plan.compared if evidence.get(gate.name)}
        compared = judge_compared(rollout, policy, state, newest, now=now)
    return tuple(
        with_policy(compared[gate.name], gate, evidence.get(gate.name, ()), rollout=rollout, now=now)
        if isinstance(gate, ComparedGate)
        else judge(gate, evidence.get(gate.name, ()), rollout=rollout, now=now)
        for gate in rollout.plan.gates
    )


def judge(gate: SingleGate, measurements: Sequence[Measurement], *, rollout: Rollout, now: datetime) -> Verdict:
    """What a gate that stands by itself says now.

    Args:
        gate: of the rollout's plan.
        measurements: of this gate since the wave began, oldest first.
        rollout: in a wave.
        now: aware UTC time of this look.
    """
    verdict = _judge(gate, measurements, rollout=rollout, now=now)
    return with_policy(verdict, gate, measurements, rollout=rollout, now=now)


def _judge(gate: SingleGate, measurements: Sequence[Measurement], *, rollout: Rollout, now: datetime) -> Verdict:
    match gate:
        case ThresholdGate():
            return looks.judge_threshold(gate, measurements, rollout=rollout, now=now)
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
