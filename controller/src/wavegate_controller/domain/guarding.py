"""The gates that compare, as one guardrail: from their measurements to its log, from its answer to their verdicts."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from wavegate_controller.domain.gates import ComparedGate, ErrorRateGate, OnSilence, ValueGate
from wavegate_controller.domain.guardrail import (
    Assessment,
    Entry,
    GuardrailPolicy,
    MetricAssessment,
    Outcome,
    Reason,
    State,
    assess,
)
from wavegate_controller.domain.looks import cannot_measure
from wavegate_controller.domain.measurement import Broken, Counts, Measurement
from wavegate_controller.domain.plan import OnInconclusive, Plan
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.verdict import GateReason, Verdict, VerdictKind

#: Reasons to hold that are about the whole comparison, not about one gate.
_OF_ALL: Final = frozenset(
    {Reason.STALE_SAMPLES, Reason.NO_CANDIDATE_TRAFFIC, Reason.SAMPLE_RATIO_MISMATCH, Reason.BAKING}
)


def entries(plan: Plan, measurements: Iterable[Measurement]) -> Iterator[Entry]:
    """The guardrail's log: one entry for each time at which all gates that compare were counted.

    A read that is not newer than the one before, as after a clock was put back, is left out: both arms lose alike.

    Args:
        plan: whose gates.
        measurements: in the order in which they were kept.
    """
    names = [gate.name for gate in plan.compared]
    last: datetime | None = None
    for at, together in groupby(measurements, key=lambda each: each.at):
        read = {each.gate: each.answer for each in together if isinstance(each.answer, Counts)}
        counts = [read[name] for name in names if name in read]
        if len(counts) < len(names) or (last and at <= last) or counts[0].wave_since > at:
            continue
        last = at
        yield Entry(
            at=at,
            wave=counts[0].wave,
            wave_since=counts[0].wave_since,
            increments=tuple(each.increment for each in counts),
            exposure=counts[0].exposure,
        )


def judge_compared(
    rollout: Rollout, policy: GuardrailPolicy, state: State, newest: Mapping[str, Measurement], *, now: datetime
) -> Mapping[str, Verdict]:
    """What each gate that compares says now.

    Args:
        rollout: in a wave.
        policy: of its plan.
        state: the log so far, folded.
        newest: measurement of each of these gates; those without one are left out.
        now: aware UTC time of this look.
    """
    assessment = assess(policy, state, now=now)
    return {
        gate.name: _judge(gate, shown, rollout, policy, state, assessment, newest.get(gate.name), now=now)
        for gate, shown in zip(rollout.plan.compared, assessment.metrics, strict=True)
    }


def _judge(
    gate: ComparedGate,
    shown: MetricAssessment,
    rollout: Rollout,
    policy: GuardrailPolicy,
    state: State,
    assessment: Assessment,
    newest: Measurement | None,
    *,
    now: datetime,
) -> Verdict:
    rates = f"candidate {_rate(gate, shown, 'candidate')}, stable {_rate(gate, shown, 'stable')}"
    verdict = Verdict(
        gate=gate.name,
        kind=VerdictKind.NOT_ENOUGH_DATA,
        reason=assessment.reason,
        sentence=rates,
        query=newest.query if newest else "",
        value=assessment.evidence,
        limit=assessment.evidence_limit,
        figures=_figures(gate, shown, assessment, policy),
    )
    if assessment.outcome is Outcome.ROLLBACK:
        return _rolled_back(verdict, gate, shown, assessment)
    if newest and isinstance(newest.answer, Broken):
        return cannot_measure(verdict, newest.answer)
    if stale := _stale(newest, rollout, policy, now=now):
        return replace(verdict, reason=Reason.STALE_SAMPLES, sentence=stale)
    if (state.wave, state.wave_since) != (rollout.wave, rollout.wave_since):
        return replace(verdict, reason=Reason.STALE_SAMPLES, sentence="not counted in this wave yet")
    if assessment.outcome is Outcome.PASS:
        sentence = f"{rates}; {_why(shown, rollout, policy, assessment)}"
        return replace(verdict, kind=VerdictKind.PASS, sentence=sentence)
    if gate.rollback_only and assessment.reason not in _OF_ALL and assessment.cause != gate.name:
        against = _against(shown, assessment)
        return replace(verdict, kind=VerdictKind.PASS, reason=GateReason.WITHIN_LIMIT, sentence=f"{rates}; {against}")
    verdict = replace(verdict, sentence=f"{rates}; {_why(shown, rollout, policy, assessment)}")
    return _inconclusive(verdict, rollout) if assessment.reason is Reason.INCONCLUSIVE else verdict


def _rolled_back(verdict: Verdict, gate: ComparedGate, shown: MetricAssessment, assessment: Assessment) -> Verdict:
    """The gate that gave the reason is the breach; the others say what their own numbers say."""
    against = f"{verdict.sentence}; {_against(shown, assessment)}"
    if gate.name != assessment.cause:
        if shown.regression > assessment.suspicion:
            return replace(verdict, reason=Reason.SUSPICION, sentence=against)
        return replace(verdict, kind=VerdictKind.PASS, reason=GateReason.WITHIN_LIMIT, sentence=against)
    sentence = against
    if assessment.reason is Reason.ABOVE_CEILING and isinstance(gate, ErrorRateGate) and gate.ceiling is not None:
        sentence = f"{verdict.sentence}; lately above the ceiling of {gate.ceiling:.1%}"
    return replace(verdict, kind=VerdictKind.BREACH, sentence=sentence)


def _inconclusive(verdict: Verdict, rollout: Rollout) -> Verdict:
    match rollout.plan.guardrail.on_inconclusive:
        case OnInconclusive.ASK:
            return replace(verdict, sentence=f"{verdict.sentence}; a person decides")
        case OnInconclusive.ADVANCE:
            said = f"{verdict.sentence}; the plan goes on all the same"
            return replace(verdict, kind=VerdictKind.PASS, sentence=said)
        case OnInconclusive.ROLL_BACK:
            said = f"{verdict.sentence}; the plan rolls back"
            return replace(verdict, sentence=said, asks_for=OnSilence.ROLL_BACK)


def _stale(newest: Measurement | None, rollout: Rollout, policy: GuardrailPolicy, *, now: datetime) -> str | None:
    """Why the samples say nothing about now, though the metrics server answers: the app is down or not scraped."""
    sampled_at = newest.answer.newest_sample_at if newest and isinstance(newest.answer, Counts) else None
    if sampled_at is not None and now - sampled_at <= policy.stale_after:
        return None
    age = "there never was one" if sampled_at is None else f"the newest is {_seconds(now - sampled_at)} old"
    return f"no fresh samples of the SDK's counters for flag {rollout.flag_key}: {age}"


def _why(shown: MetricAssessment, rollout: Rollout, policy: GuardrailPolicy, assessment: Assessment) -> str:
    """What the reason says about this gate, each number beside its limit."""
    wave, since = policy.waves[rollout.wave or 0], rollout.wave_since or rollout.created_at

    def against() -> str:
        return _against(shown, assessment)

    def early() -> str:
        return f"evidence {shown.early:.3g} : 1 for 'at most {shown.early_margin:.0%} worse'"

    def final() -> str:
        return f"evidence {shown.final or 0.0:.3g} : 1 for 'at most {shown.final_margin:.0%} worse'"

    needed = f"{assessment.gate_limit:g} : 1"
    in_wave, least = shown.in_wave, policy.min_requests
    # One of them is said at each look, so only that one is made.
    said: Mapping[Reason, Callable[[], str]] = {
        Reason.BAKING: lambda: f"{against()}; baking until {since + wave.bake:%H:%M:%S} UTC",
        Reason.STALE_SAMPLES: lambda: f"no read for more than {_seconds(policy.stale_after)}",
        Reason.NO_CANDIDATE_TRAFFIC: lambda: (
            f"the candidate has served no request for more than {_seconds(policy.stale_after)}"
        ),
        Reason.SAMPLE_RATIO_MISMATCH: lambda: (
            f"users are not split as planned: evidence {assessment.mismatch:.3g} : 1, "
            f"held at {assessment.mismatch_limit:g} : 1"
        ),
        Reason.TOO_FEW_CANDIDATE_REQUESTS: lambda: (
            f"{in_wave.candidate_requests} of {least} candidate requests in this wave"
        ),
        Reason.TOO_FEW_STABLE_REQUESTS: lambda: f"{in_wave.stable_requests} of {least} stable requests in this wave",
        Reason.SUSPICION: lambda: f"{against()}; passes at {assessment.suspicion:g} : 1 or less",
        Reason.BEFORE_TARGET: lambda: (
            f"{against()}; {early()}, passes at {needed}, or at {since + wave.target:%H:%M:%S} UTC"
            if wave.has_control
            else f"nobody to compare with; watched until {since + wave.target:%H:%M:%S} UTC"
        ),
        Reason.NOT_SHOWN_HARMLESS: lambda: f"{final()}; the last gate opens at {needed}",
        Reason.INCONCLUSIVE: lambda: (
            f"{final()}; the last gate, which opens at {needed}, is shut since {since:%Y-%m-%d %H:%M:%S} UTC"
        ),
        Reason.NOT_WORSE_EARLY: lambda: f"{early()}, beyond {needed}",
        Reason.NOT_WORSE: lambda: f"{final()}, beyond {needed}",
    }
    return said.get(assessment.reason, against)()


def _against(shown: MetricAssessment, assessment: Assessment) -> str:
    together = f", all gates together {assessment.evidence:.3g} : 1" if len(assessment.metrics) > 1 else ""
    limit = f"breach at {assessment.evidence_limit:g} : 1"
    return f"evidence {shown.regression:.3g} : 1 against 'no worse'{together}, {limit}"


def _figures(
    gate: ComparedGate, shown: MetricAssessment, assessment: Assessment, policy: GuardrailPolicy
) -> dict[str, float]:
    what = "bad" if isinstance(gate, ErrorRateGate) else "sum"
    figures: dict[str, float | None] = {
        "candidate_requests": shown.in_wave.candidate_requests,
        f"candidate_{what}": shown.in_wave.candidate_amount * shown.unit,
        "stable_requests": shown.in_wave.stable_requests,
        f"stable_{what}": shown.in_wave.stable_amount * shown.unit,
        "min_requests": policy.min_requests,
        "regression": shown.regression,
        "suspicion": assessment.suspicion,
        "early": shown.early,
        "early_margin": shown.early_margin,
        "final": shown.final,
        "final_margin": None if shown.final is None else shown.final_margin,
        "gate_limit": assessment.gate_limit,
        "design_effect": shown.design_effect,
        "live_cohorts": shown.live_cohorts,
        "standard_error": None if shown.standard_error is None else shown.standard_error * shown.unit,
        "ceiling": gate.ceiling if isinstance(gate, ErrorRateGate) else None,
        "ceiling_evidence": shown.ceiling,
    }
    if policy.waves and assessment.mismatch > 1:
        figures["mismatch"] = assessment.mismatch
    return {name: value for name, value in figures.items() if value is not None}


def _rate(gate: ComparedGate, shown: MetricAssessment, arm: str) -> str:
    counts = shown.in_wave
    candidate = arm == "candidate"
    requests = counts.candidate_requests if candidate else counts.stable_requests
    amount = counts.candidate_amount if candidate else counts.stable_amount
    if not requests:
        return "no requests"
    if isinstance(gate, ValueGate):
        return f"{amount * shown.unit / requests:.4g} {gate.value} a request ({requests} of them)"
    return f"{amount / requests:.2%} bad ({amount} of {requests})"


def _seconds(age: timedelta) -> str:
    return f"{age.total_seconds():.0f} s"
