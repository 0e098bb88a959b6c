"""A rollout that happens in no time: made-up counts, and the decisions of the real comparison.

The counts are drawn, the rest is `guardrail.advance` and `guardrail.assess`, as the reconciler calls them. Gates that
do not compare are taken to pass: nobody knows beforehand what they will say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from wavegate_controller.domain.foresight.draws import Chance, clumped, dealt
from wavegate_controller.domain.foresight.traffic import Expected, Traffic
from wavegate_controller.domain.guardrail import (
    Entry,
    GuardrailMetric,
    GuardrailPolicy,
    Increment,
    MetricKind,
    Outcome,
    Reason,
    advance,
    assess,
    start,
)

#: Any time does: nothing in a rehearsal depends on the calendar.
_BEGIN: Final = datetime(2026, 1, 5, tzinfo=UTC)
#: Looks grow apart with the age of a wave, and so its time is known to a thirtieth.
_PRECISION: Final = 30
_LEAST_STEP: Final = timedelta(seconds=15)
#: A wave that has not ended by then does not end by itself.
HORIZON: Final = timedelta(days=30)


class End(StrEnum):
    """How a rehearsed rollout ended."""

    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    #: The last gate stayed shut for its maximum time; a person decides.
    INCONCLUSIVE = "inconclusive"
    #: A wave that never ended.
    HELD = "held"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehearsal:
    """One rollout, rehearsed.

    Attributes:
        took: each wave that was left upwards; the first of them first.
        why: the reason with which each of them passed.
        wave: where it ended.
        after: the time in that wave.
        reason: with which it ended.
        requests: that the candidate served.
        bad: bad outcomes of the first metric among them.
    """

    end: End
    took: tuple[timedelta, ...]
    why: tuple[Reason, ...]
    wave: int
    after: timedelta
    reason: Reason
    requests: int
    bad: int

    @property
    def total(self) -> timedelta:
        """From the start to the end."""
        return sum(self.took, timedelta(0)) + (timedelta(0) if self.end is End.COMPLETED else self.after)


def rehearse(policy: GuardrailPolicy, traffic: Traffic, chance: Chance, *, ratio: float = 1.0) -> Rehearsal:
    """One rollout in which the candidate is `ratio` times as bad as stable, in all metrics."""
    state, at = start(policy), _BEGIN
    took: list[timedelta] = []
    why: list[Reason] = []
    requests = bad = 0
    for wave, settings in enumerate(policy.waves):
        since, reason = at, Reason.BAKING
        for step in _steps(policy):
            at += step
            increments = _increments(policy, traffic, chance, share=settings.share, ratio=ratio, step=step)
            requests += sum(increments[0].candidate_requests)
            bad += sum(increments[0].candidate_amount)
            state = advance(policy, state, Entry(at=at, wave=wave, wave_since=since, increments=increments))
            said = assess(policy, state, now=at)
            reason = said.reason
            if said.outcome is Outcome.PASS:
                break
            ended = End.ROLLED_BACK if said.outcome is Outcome.ROLLBACK else None
            if reason is Reason.INCONCLUSIVE:
                ended = End.INCONCLUSIVE
            elif at - since >= HORIZON:
                ended = End.HELD
            if ended:
                return Rehearsal(
                    end=ended,
                    took=tuple(took),
                    why=tuple(why),
                    wave=wave,
                    after=at - since,
                    reason=reason,
                    requests=requests,
                    bad=bad,
                )
        took.append(at - since)
        why.append(reason)
    return Rehearsal(
        end=End.COMPLETED,
        took=tuple(took),
        why=tuple(why),
        wave=len(policy.waves) - 1,
        after=took[-1],
        reason=why[-1],
        requests=requests,
        bad=bad,
    )


def _steps(policy: GuardrailPolicy) -> Iterator[timedelta]:
    """Times between two looks: those of the plan at first, longer ones later, where each matters less."""
    age = timedelta(0)
    while True:
        step = max(policy.tick, _LEAST_STEP, age / _PRECISION)
        age += step
        yield step


def _increments(
    policy: GuardrailPolicy, traffic: Traffic, chance: Chance, *, share: float, ratio: float, step: timedelta
) -> tuple[Increment, ...]:
    """One look: all metrics are of the same requests."""
    expected = traffic.requests_per_second * step.total_seconds()
    candidate = dealt(chance, expected * share, policy.cohorts)
    stable = dealt(chance, expected * (1 - share), policy.cohorts)
    increments = []
    for metric in policy.metrics:
        known = traffic.of(metric)
        increments.append(
            Increment(
                candidate_requests=tuple(candidate),
                candidate_amount=_amount(metric, known, chance, candidate, ratio),
                stable_requests=tuple(stable),
                stable_amount=_amount(metric, known, chance, stable, 1.0),
            )
        )
    return tuple(increments)


def _amount(
    metric: GuardrailMetric, known: Expected, chance: Chance, requests: list[int], ratio: float
) -> tuple[int, ...]:
    mean = known.mean * ratio
    if metric.kind is MetricKind.MEAN:
        return tuple(
            max(0, round(chance.gauss(number * mean, number**0.5 * known.spread * mean) / metric.unit)) if number else 0
            for number in requests
        )
    clumps = dealt(chance, sum(requests) * min(mean, 1.0) * 2 / (1 + known.clumping), len(requests))
    bad = clumped(chance, clumps, known.clumping)
    return tuple(map(min, bad, requests))
