"""What a gate says about a wave: four values, each with a reason of one word and the number beside its limit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class VerdictKind(StrEnum):
    """The four things a gate can say."""

    #: Measured, enough of it, and fine.
    PASS = "pass"  # noqa: S105 - no password
    #: Measured, and over the limit.
    BREACH = "breach"
    #: Measured, but too little to say.
    NOT_ENOUGH_DATA = "not_enough_data"
    #: The metrics server could not be asked or did not make sense.
    CANNOT_MEASURE = "cannot_measure"


class GateReason(StrEnum):
    """Why a gate says what it says. `cannot_measure` verdicts carry the BrokenReason's word instead."""

    #: Every measurement needed is inside the limit.
    WITHIN_LIMIT = "within_limit"
    #: Enough measurements over the limit.
    LIMIT_EXCEEDED = "limit_exceeded"
    #: The candidate fails more often than stable, beyond doubt and margin.
    WORSE_THAN_STABLE = "worse_than_stable"
    #: The candidate fails more often than the ceiling allows.
    ABOVE_CEILING = "above_ceiling"
    #: The warm-up of the wave is not over.
    WARMING_UP = "warming_up"
    #: Not enough measurements in this wave yet.
    TOO_FEW_MEASUREMENTS = "too_few_measurements"
    #: The candidate served too few requests in this wave.
    TOO_FEW_CANDIDATE_REQUESTS = "too_few_candidate_requests"
    #: Stable served too few requests in this wave to compare with.
    TOO_FEW_STABLE_REQUESTS = "too_few_stable_requests"
    #: No new samples for too long: the app is down or not scraped.
    STALE_SAMPLES = "stale_samples"
    #: Not bad enough to roll back, too suspicious to go on.
    SUSPICION = "suspicion"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """One gate's answer at one look.

    Attributes:
        gate: the gate's name in the plan.
        reason: one word; the same in API, log, metric and page.
        sentence: what a person reads, numbers included.
        value: the number that was judged; None where there was none.
        limit: what it was held against; the verdict is a breach beyond it.
        figures: further numbers to show, in base units (shares, requests, odds).
        query: PromQL that was asked.
    """

    gate: str
    kind: VerdictKind
    reason: str
    sentence: str
    query: str
    value: float | None = None
    limit: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
