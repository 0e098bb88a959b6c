"""Many rehearsals in a few numbers, and what would help where they look bad."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain.foresight.rehearsal import HORIZON, End, Rehearsal
from wavegate_controller.domain.foresight.traffic import Traffic
from wavegate_controller.domain.guardrail import (
    GuardrailMetric,
    GuardrailPolicy,
    MetricKind,
    Reason,
    WaveEstimate,
    bad_outcomes_to_roll_back,
    estimate,
)

#: A wave's times are told by what a tenth stays below and a tenth goes beyond.
_LOW, _HIGH = 0.1, 0.9
#: With so much of the rehearsals undecided, the plan is too long for the traffic.
_MANY: Final = 0.1
_WIDER: Final = 2.0
_EVEN: Final = FULL_WEIGHT // 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Spell:
    """A time with its interval, four rehearsals of five within it."""

    low: timedelta
    middle: timedelta
    high: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveOutlook:
    """One wave.

    Attributes:
        share: of the users that get the candidate.
        takes: where it was reached and left; None where it never was.
        because: the commonest reason with which it passed.
        passed: share of those that reached it.
        candidate_requests: by the middle of its times.
        stable_requests: as above.
        users: of a day, that get the candidate; None where nobody knows how many there are.
        visible: the least harm (1.0: twice as bad) that is rolled back by then; None where there is none, or nobody to
            compare with.
        visible_requests: of both variants, after which it is.
    """

    number: int
    share: float
    takes: Spell | None
    because: Reason | None
    passed: float
    candidate_requests: float
    stable_requests: float
    users: float | None
    visible: float | None
    visible_requests: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """What a plan is likely to do at this traffic, if the candidate is as good as stable.

    Attributes:
        total: from the start to the end of those that completed.
        ends: how many ended how.
        wrong_rollback: share of the rehearsals, and the most that it may be with 95 % confidence.
        promised: the plan's own bound for it.
        advice: sentences; empty where nothing is wrong.
    """

    waves: tuple[WaveOutlook, ...]
    total: Spell | None
    rehearsals: int
    ends: dict[End, int]
    wrong_rollback: tuple[float, float]
    promised: float
    advice: tuple[str, ...]


def outlook(policy: GuardrailPolicy, traffic: Traffic, rehearsals: Sequence[Rehearsal]) -> Outlook:
    """What these rehearsals of a harmless candidate say together."""
    waves = tuple(_wave(index, policy, traffic, rehearsals) for index in range(len(policy.waves)))
    ends = Counter(each.end for each in rehearsals)
    completed = [each.total for each in rehearsals if each.end is End.COMPLETED]
    wrong = ends[End.ROLLED_BACK]
    return Outlook(
        waves=waves,
        total=spell(completed),
        rehearsals=len(rehearsals),
        ends={end: ends[end] for end in End},
        wrong_rollback=(wrong / len(rehearsals), at_most(wrong, len(rehearsals))),
        promised=policy.alpha,
        advice=tuple(_advice(policy, traffic, ends, len(rehearsals))),
    )


def spell(times: Sequence[timedelta]) -> Spell | None:
    """The middle and the interval; None of nothing."""
    if not times:
        return None
    ordered = sorted(times)

    def at(quantile: float) -> timedelta:
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]

    return Spell(low=at(_LOW), middle=at(0.5), high=at(_HIGH))


def at_most(number: int, of: int, *, confidence: float = 0.95) -> float:
    """The largest share that is compatible with so few (Clopper and Pearson's upper bound)."""
    if number >= of:
        return 1.0
    low, high = number / of, 1.0
    while high - low > 1e-4:  # noqa: PLR2004 - a hundredth of a percent
        middle = (low + high) / 2
        fewer = sum(math.comb(of, k) * middle**k * (1 - middle) ** (of - k) for k in range(number + 1))
        low, high = (middle, high) if fewer > 1 - confidence else (low, middle)
    return high


def at_least(number: int, of: int, *, confidence: float = 0.95) -> float:
    """The smallest share that is compatible with so many."""
    return 1 - at_most(of - number, of, confidence=confidence)


def _wave(index: int, policy: GuardrailPolicy, traffic: Traffic, rehearsals: Sequence[Rehearsal]) -> WaveOutlook:
    settings = policy.waves[index]
    passed = [each for each in rehearsals if len(each.took) > index]
    reached = [each for each in rehearsals if len(each.took) >= index]
    takes = spell([each.took[index] for each in passed])
    because = Counter(each.why[index] for each in passed).most_common(1)
    seconds = (takes.middle if takes else settings.maximum).total_seconds()
    visible = _visible(index, policy, traffic)
    return WaveOutlook(
        number=index + 1,
        share=settings.share,
        takes=takes,
        because=because[0][0] if because else None,
        passed=len(passed) / len(reached) if reached else 0.0,
        candidate_requests=traffic.requests_per_second * settings.share * seconds,
        stable_requests=traffic.requests_per_second * (1 - settings.share) * seconds,
        users=None if traffic.users is None else traffic.users * settings.share,
        visible=visible[0] if visible else None,
        visible_requests=visible[1] if visible else None,
    )


def _visible(index: int, policy: GuardrailPolicy, traffic: Traffic) -> tuple[float, float] | None:
    """The least harm that the first metric of bad outcomes shows by the target time, and after how many requests."""
    metric = _rare(policy)
    if metric is None or not policy.waves[index].has_control:
        return None
    known = traffic.of(metric)
    if not known.mean:
        return None
    shown = next(each for each in _estimates(policy, metric, traffic) if each.wave == index)
    if shown.visible_regression is None:
        return None
    share, effect = policy.waves[index].share, 1 + shown.visible_regression
    needed = bad_outcomes_to_roll_back(effect, share, alpha=policy.alpha, design_effect=known.clumping)
    return shown.visible_regression, needed / (known.mean * (1 - share + share * effect))


def _advice(policy: GuardrailPolicy, traffic: Traffic, ends: Counter[End], of: int) -> list[str]:
    undecided = ends[End.INCONCLUSIVE] + ends[End.HELD]
    if undecided <= _MANY * of:
        return []
    too_small = (
        f"The traffic is too small for this plan: {undecided} of {of} rehearsals came to no end by themselves, though "
        "the candidate was as good as stable."
    )
    metric = _rare(policy)
    if metric is None:
        return [too_small]
    now = _opens(policy, metric, traffic)
    instead = f" instead of {_told(now)}" if now else ""
    said = [
        f"With {way}, the last gate opens after about {_told(time)}{instead}."
        for way, time in _ways_out(policy, metric, traffic)
        if time is not None and (now is None or time < now)
    ]
    longest = max((wave.maximum for index, wave in enumerate(policy.waves) if policy.is_last_gate(index)), default=None)
    if now is not None and longest is not None and now > longest / 2:
        said.append(f"With a maximum of {_told(2 * now)} in that wave, waiting would do.")
    return [too_small, *said]


def _ways_out(
    policy: GuardrailPolicy, metric: GuardrailMetric, traffic: Traffic
) -> Iterator[tuple[str, timedelta | None]]:
    """What would open the last gate sooner, and when it then opened."""
    wider = replace(metric, final_margin=_WIDER * metric.final_margin)
    yield (
        f"final_margin {wider.final_margin:g} instead of {metric.final_margin:g} for {metric.name}",
        _opens(policy, wider, traffic),
    )
    last = next((wave for index, wave in enumerate(policy.waves) if policy.is_last_gate(index)), None)
    if last is not None and abs(last.share - 0.5) > _MANY:
        before = [wave for wave in policy.waves if wave.weight < min(last.weight, _EVEN)]
        after = [wave for wave in policy.waves if wave.weight > max(last.weight, _EVEN)]
        even = replace(policy, waves=(*before, replace(last, weight=_EVEN), *after))
        yield "a last gate at 50 %, where both variants serve as many", _opens(even, metric, traffic)
    known = traffic.of(metric)
    if known.clumping > 1 + _MANY:
        alone = traffic.with_metrics({metric.name: replace(known, clumping=1.0)})
        way = "operations counted instead of attempts, or each user once, since bad outcomes come in clumps"
        yield way, _opens(policy, metric, alone)


def _opens(policy: GuardrailPolicy, metric: GuardrailMetric, traffic: Traffic) -> timedelta | None:
    return next((each.opens for each in _estimates(policy, metric, traffic) if policy.is_last_gate(each.wave)), None)


def _estimates(policy: GuardrailPolicy, metric: GuardrailMetric, traffic: Traffic) -> tuple[WaveEstimate, ...]:
    known = traffic.of(metric)
    return estimate(
        policy,
        metric,
        requests_per_second=traffic.requests_per_second,
        bad_share=known.mean,
        design_effect=known.clumping,
    )


def _rare(policy: GuardrailPolicy) -> GuardrailMetric | None:
    return next((metric for metric in policy.metrics if metric.kind is MetricKind.SHARE and metric.guardrail), None)


def _told(time: timedelta) -> str:
    hours = time.total_seconds() / 3600
    if time >= HORIZON:
        return "a month or more"
    if hours >= 48:  # noqa: PLR2004 - from two days on
        return f"{hours / 24:.0f} days"
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"
