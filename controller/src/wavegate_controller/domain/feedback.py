"""What people said about the candidate, with bounds that are honest about small numbers and about looking often.

The interval is a confidence sequence: with probability 1 - alpha the true share never leaves it, however often one
looks (Robbins 1970, Statistical methods related to the law of the iterated logarithm; the mixture is uniform). It
takes answers for independent of one another, which those of one person are not: few busy people make it too narrow.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from wavegate_controller.domain.gates import FeedbackGate
from wavegate_controller.domain.looks import cannot_measure
from wavegate_controller.domain.measurement import Broken, Feedback, Measurement, NoData
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.verdict import GateReason, Verdict, VerdictKind

#: Halvings of the range that a bound lies in: to a billionth.
_STEPS: Final = 30


def interval(successes: int, of: int, *, alpha: float) -> tuple[float, float]:
    """Between which shares the true one lies, at any look, with probability 1 - alpha."""
    if of == 0:
        return 0.0, 1.0
    mixture = math.lgamma(successes + 1) + math.lgamma(of - successes + 1) - math.lgamma(of + 2)
    estimate = successes / of

    def inside(share: float) -> bool:
        return mixture - _log_likelihood(successes, of, share) < -math.log(alpha)

    def bound(outside: float) -> float:
        kept = estimate
        for _ in range(_STEPS):
            middle = (kept + outside) / 2
            kept, outside = (middle, outside) if inside(middle) else (kept, middle)
        return outside

    return bound(0.0) if successes else 0.0, bound(1.0) if successes < of else 1.0


def judge_feedback(
    gate: FeedbackGate, measurements: Sequence[Measurement], *, rollout: Rollout, now: datetime
) -> Verdict:
    """Thumbs down per request beside the limit, thumbs up among the answers beside the wish."""
    begin = rollout.wave_since or now
    said = [each.answer for each in measurements if each.at > begin and isinstance(each.answer, Feedback)]
    up, down = sum(each.thumbs_up for each in said), sum(each.thumbs_down for each in said)
    # Somebody may answer what was asked before the wave began.
    requests = max(sum(each.requests for each in said), down)
    answers = up + down
    low, high = interval(down, requests, alpha=gate.alpha)
    up_low, up_high = interval(up, answers, alpha=gate.alpha)
    verdict = Verdict(
        gate=gate.name,
        kind=VerdictKind.NOT_ENOUGH_DATA,
        reason=GateReason.TOO_FEW_ANSWERS,
        sentence="",
        query=measurements[-1].query if measurements else "",
        value=down / requests if requests else None,
        limit=gate.max_thumbs_down,
        figures={
            "requests": requests,
            "thumbs_up": up,
            "thumbs_down": down,
            "low": low,
            "high": high,
            "min_answers": gate.min_answers,
            "share_up_low": up_low,
            "share_up_high": up_high,
            "min_share": gate.min_share,
        }
        | ({"share_up": up / answers} if answers else {}),
    )
    downs = (
        f"{_percent(down / requests)} of {requests} requests got a thumbs down, "
        f"true share {_percent(low)} to {_percent(high)}, at most {_percent(gate.max_thumbs_down)} allowed"
        if requests
        else "no requests"
    )
    ups = (
        f"{up} of {answers} answers are thumbs up, {_percent(up / answers)}, "
        f"true share {_percent(up_low)} to {_percent(up_high)}, at least {_percent(gate.min_share)} wanted"
        if answers
        else "nobody has said anything"
    )
    if down and low > gate.max_thumbs_down:
        return replace(verdict, kind=VerdictKind.BREACH, reason=GateReason.TOO_MANY_THUMBS_DOWN, sentence=downs)
    match measurements[-1].answer if measurements else None:
        case Broken() as broken:
            return cannot_measure(verdict, broken)
        case NoData(reason=reason):
            return replace(verdict, reason=reason, sentence=f"no feedback could be counted ({reason}); {ups}")
        case _:
            pass
    if answers < gate.min_answers or not requests:
        sentence = f"{ups}; {answers} of {gate.min_answers} answers in this wave"
        return replace(verdict, sentence=sentence)
    if down > gate.max_thumbs_down * requests:
        return replace(verdict, reason=GateReason.THUMBS_DOWN_NEAR_LIMIT, sentence=f"{downs}; it may be chance")
    if up < gate.min_share * answers:
        return replace(verdict, reason=GateReason.TOO_FEW_THUMBS_UP, sentence=ups)
    return replace(verdict, kind=VerdictKind.PASS, reason=GateReason.WITHIN_LIMIT, sentence=f"{downs}; {ups}")


def _log_likelihood(successes: int, of: int, share: float) -> float:
    if share in (0.0, 1.0):
        return -math.inf if 0 < successes < of or share == float(successes == 0) else 0.0
    return successes * math.log(share) + (of - successes) * math.log1p(-share)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
