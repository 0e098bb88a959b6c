"""For how long a gate has been silent, and what the plan wants done about it: read off the log of evidence."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from wavegate_controller.domain.gates import Gate, LookingGate, ManualGate, OnSilence, WebhookGate
from wavegate_controller.domain.measurement import Broken, Counts, Feedback, Judgement, Measurement, NoData, Reading
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.verdict import Verdict, VerdictKind

#: Looks further apart than so many periods have a time between them in which nobody looked: that is no silence.
_LATE_LOOKS: Final = 4
_SHORTEST_GAP: Final = timedelta(minutes=1)
_ACTS: Final = {OnSilence.PAUSE: "pause", OnSilence.ROLL_BACK: "roll back"}


def with_policy(
    verdict: Verdict, gate: Gate, measurements: Sequence[Measurement], *, rollout: Rollout, now: datetime
) -> Verdict:
    """The verdict, with how long the gate has been silent, and what its policy asks for once that is too long.

    Only silence asks for anything: a verdict that is short of data for another reason, such as a wave that is young,
    comes back as it was.
    """
    match verdict.kind:
        case VerdictKind.NOT_ENOUGH_DATA:
            policy = gate.on_no_data or rollout.plan.on_no_data
        case VerdictKind.CANNOT_MEASURE:
            policy = gate.on_cannot_measure or rollout.plan.on_cannot_measure
        case _:
            return verdict
    since = silent_since(gate, measurements, verdict.kind, rollout=rollout, now=now)
    if since is None or verdict.is_warning:
        return verdict
    silent = now - since
    figures = {**verdict.figures, "silent_seconds": silent.total_seconds()}
    if policy.act is OnSilence.HOLD:
        return replace(verdict, figures=figures)
    figures["silent_limit_seconds"] = policy.after.total_seconds()
    said = f"silent since {since:%H:%M:%S} UTC, {_ACTS[policy.act]} after {policy.after.total_seconds():g} s"
    return replace(
        verdict,
        figures=figures,
        sentence=f"{verdict.sentence}; {said}",
        asks_for=policy.act if silent >= policy.after else None,
    )


def silent_since(
    gate: Gate, measurements: Sequence[Measurement], kind: VerdictKind, *, rollout: Rollout, now: datetime
) -> datetime | None:
    """When the unbroken run of looks began that lasts until now and gave nothing, all for the same kind of reason.

    It begins anew with each wave, and when a human resumes. A time in which the controller itself did not look ends
    a run: what was not asked has not been silent.
    """
    begin = rollout.wave_since
    if begin is None:
        return None
    if isinstance(gate, LookingGate):
        begin += gate.warm_up
    if isinstance(gate, ManualGate):
        return begin if kind is VerdictKind.NOT_ENOUGH_DATA else None
    period = max(gate.interval if isinstance(gate, WebhookGate) else timedelta(0), rollout.plan.interval)
    gap = max(_LATE_LOOKS * period, _SHORTEST_GAP)
    since, after = None, now
    for each in reversed(measurements):
        if each.at <= begin or after - each.at > gap or silence_of(each.answer) is not kind:
            break
        since = after = each.at
    return since


def silence_of(answer: Reading) -> VerdictKind | None:
    """Which kind of silence one look was; None when it measured something."""
    match answer:
        case Broken():
            return VerdictKind.CANNOT_MEASURE
        case NoData() | Judgement(says=VerdictKind.NOT_ENOUGH_DATA):
            return VerdictKind.NOT_ENOUGH_DATA
        case Counts(candidate=candidate) if candidate.requests == 0:
            return VerdictKind.NOT_ENOUGH_DATA
        case Feedback(requests=0):
            return VerdictKind.NOT_ENOUGH_DATA
        case _:
            return None
