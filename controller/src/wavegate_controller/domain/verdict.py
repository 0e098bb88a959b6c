"""What a gate says about a wave: four values, each with a reason of one word and the number beside its limit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from wavegate_controller.domain.gates import OnSilence
from wavegate_controller.domain.guardrail import Reason


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
    """Why a gate says what it says.

    Gates that compare carry the word of `guardrail.Reason` instead, `cannot_measure` verdicts that of BrokenReason.
    """

    #: Every measurement needed is inside the limit.
    WITHIN_LIMIT = "within_limit"
    #: Enough measurements past the limit.
    LIMIT_EXCEEDED = "limit_exceeded"
    #: The warm-up of the wave is not over.
    WARMING_UP = "warming_up"
    #: Not enough measurements in this wave yet.
    TOO_FEW_MEASUREMENTS = "too_few_measurements"
    #: Enough measurements past the warning limit, not enough past the limit.
    WARN_LIMIT_EXCEEDED = "warn_limit_exceeded"
    #: Too few bad looks for a breach, but the newest is one: no moment to go on.
    LAST_LOOK_BAD = "last_look_bad"
    #: The alert fires, or fired earlier in the wave.
    ALERT_FIRING = "alert_firing"
    #: The alert's condition holds, but not for long enough to fire.
    ALERT_PENDING = "alert_pending"
    #: Too few people said anything about the candidate in this wave.
    TOO_FEW_ANSWERS = "too_few_answers"
    #: More requests get a thumbs down than the limit allows, beyond chance.
    TOO_MANY_THUMBS_DOWN = "too_many_thumbs_down"
    #: As many thumbs down as the limit allows or more; it may be chance.
    THUMBS_DOWN_NEAR_LIMIT = "thumbs_down_near_limit"
    #: Fewer thumbs up among the answers than the gate wants.
    TOO_FEW_THUMBS_UP = "too_few_thumbs_up"
    #: The webhook, or a person, says pass.
    SAID_PASS = "said_pass"  # noqa: S105 - no password
    #: The webhook, or a person, says breach.
    SAID_BREACH = "said_breach"
    #: The webhook says that it does not know enough yet.
    SAID_NOT_ENOUGH_DATA = "said_not_enough_data"
    #: No person has said anything about this wave yet.
    NOT_JUDGED = "not_judged"


#: Measured and in doubt: the wave is held and shown loudly, and never rolled back for it.
WARNINGS: Final[frozenset[str]] = frozenset(
    {
        Reason.SUSPICION,
        Reason.SAMPLE_RATIO_MISMATCH,
        Reason.INCONCLUSIVE,
        GateReason.WARN_LIMIT_EXCEEDED,
        GateReason.LAST_LOOK_BAD,
        GateReason.ALERT_PENDING,
        GateReason.THUMBS_DOWN_NEAR_LIMIT,
        GateReason.TOO_FEW_THUMBS_UP,
    }
)


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
        query: PromQL, or webhook, that was asked.
        asks_for: what the plan wants done because the gate has been silent for too long; None while it has not.
    """

    gate: str
    kind: VerdictKind
    reason: str
    sentence: str
    query: str
    value: float | None = None
    limit: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    asks_for: OnSilence | None = None

    @property
    def is_warning(self) -> bool:
        """Whether what was measured is in doubt."""
        return self.kind is VerdictKind.NOT_ENOUGH_DATA and self.reason in WARNINGS
