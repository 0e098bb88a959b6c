"""What the guardrail says about a wave, with every number beside its limit."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from wavegate_controller.domain.guardrail.policy import MetricKind
from wavegate_controller.domain.guardrail.reading import Totals


class Outcome(StrEnum):
    """The three things a guardrail can say."""

    #: The wave stays as it is.
    HOLD = "hold"
    #: The gate of this wave may open.
    PASS = "pass"  # noqa: S105 - no password
    #: The candidate does harm.
    ROLLBACK = "rollback"


class Reason(StrEnum):
    """Why: one word, the same in API, log, metric, audit and page."""

    #: Roll back: more bad outcomes than the ceiling allows, whatever stable does.
    ABOVE_CEILING = "above_ceiling"
    #: Roll back: worse than stable at the same time, beyond doubt and margin.
    REGRESSION = "regression"
    #: Pass before the target time: shown to be not worse by the early margin.
    NOT_WORSE_EARLY = "not_worse_early"
    #: Pass the last gate: shown to be not worse by the final margin.
    NOT_WORSE = "not_worse"
    #: Pass at the target time: no suspicion, and the next wave still has a control.
    TARGET_TIME = "target_time"
    #: Pass at the suspicion limit: suspicion never grew into evidence.
    SUSPICION_LIMIT = "suspicion_limit"
    #: Pass without anybody to compare with: below the ceiling for the target time.
    BELOW_CEILING = "below_ceiling"
    #: Hold: no read for too long.
    STALE_SAMPLES = "stale_samples"
    #: Hold: the candidate has served no request for too long.
    NO_CANDIDATE_TRAFFIC = "no_candidate_traffic"
    #: Hold and alert: users are not split as planned, so the comparison is not one.
    SAMPLE_RATIO_MISMATCH = "sample_ratio_mismatch"
    #: Hold: the least time in this wave is not over.
    BAKING = "baking"
    #: Hold: a guardrail metric has too few candidate requests in this wave.
    TOO_FEW_CANDIDATE_REQUESTS = "too_few_candidate_requests"
    #: Hold: a guardrail metric has too few stable requests in this wave.
    TOO_FEW_STABLE_REQUESTS = "too_few_stable_requests"
    #: Hold: not bad enough to roll back, too suspicious to go on.
    SUSPICION = "suspicion"
    #: Hold: neither shown to be harmless early, nor is the target time over.
    BEFORE_TARGET = "before_target"
    #: Hold: the last gate opens only when harmlessness is shown.
    NOT_SHOWN_HARMLESS = "not_shown_harmless"
    #: Hold: the last gate is still shut after the maximum time; a human decides.
    INCONCLUSIVE = "inconclusive"


#: Reasons that call for a person, not for patience.
ALERTS = frozenset(
    {Reason.STALE_SAMPLES, Reason.NO_CANDIDATE_TRAFFIC, Reason.SAMPLE_RATIO_MISMATCH, Reason.INCONCLUSIVE}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """Where the ratio of candidate to stable lies, at any time one looks; for display, decisions use the evidence.

    Attributes:
        low: 0 where nothing bounds it from below.
        high: None where nothing bounds it from above.
        level: probability of containing the truth at all times.
    """

    low: float
    high: float | None
    level: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """How long it takes at the traffic of this wave, if the candidate is as good as stable; for display.

    Attributes:
        bad_outcomes: of both arms, that the gate needs; None where it is not rare bad outcomes that decide.
        remaining: until the gate may open; None where it does not open at this traffic.
        visible_regression: the least harm (1.0: twice as bad) that would be rolled back by the target time.
    """

    bad_outcomes: int | None
    remaining: timedelta | None
    visible_regression: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricAssessment:
    """One metric, each number beside its limit.

    Attributes:
        in_wave: counts since the wave began.
        in_all: counts since the rollout began.
        unit: what one step of the amounts is worth.
        regression: evidence, as odds, that the candidate is worse by more than the margin.
        early: evidence that it is not worse by `early_margin`; the gate needs `Assessment.gate_limit`.
        final: evidence that it is not worse by `final_margin`; None where this is not the last gate.
        ceiling: evidence that the candidate's share of bad outcomes is above its ceiling.
        design_effect: by which log-evidence was divided: how much outcomes come in clumps.
        live_cohorts: with traffic, in the arm that has fewer; without enough of them there is no evidence.
        standard_error: of the difference of both means in this wave, in the steps of the amounts.
        interval: of the ratio of both rates; only in an explanation.
        forecast: only in an explanation.
    """

    name: str
    kind: MetricKind
    guardrail: bool
    in_wave: Totals
    in_all: Totals
    unit: float
    regression: float
    early: float
    early_margin: float
    final: float | None
    final_margin: float
    ceiling: float | None
    design_effect: float | None
    live_cohorts: int | None
    standard_error: float | None = None
    interval: Interval | None = None
    forecast: Forecast | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Assessment:
    """The guardrail's answer at one look.

    Attributes:
        cause: the metric that decided or stands in the way; None where it is not one of them.
        evidence: mean of the metrics' evidence for a regression; a rollback at `evidence_limit`.
        suspicion: from which a gate stays shut.
        gate_limit: evidence for "not worse" that opens a gate.
        ceiling_limit: evidence at which the ceiling rolls back.
        mismatch: evidence that users are not split as planned; a hold at `mismatch_limit`.
        last_gate: whether the gate of this wave opens only when harmlessness is shown.
    """

    outcome: Outcome
    reason: Reason
    cause: str | None
    metrics: tuple[MetricAssessment, ...]
    evidence: float
    evidence_limit: float
    suspicion: float
    gate_limit: float
    ceiling_limit: float
    mismatch: float
    mismatch_limit: float
    last_gate: bool

    @property
    def alerts(self) -> bool:
        """Whether a person should look: waiting will not mend it."""
        return self.reason in ALERTS
