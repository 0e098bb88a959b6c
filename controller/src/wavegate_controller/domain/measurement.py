"""What the metrics server answered: a value, no data, or a broken answer; the three stay apart up to the decision."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wavegate_controller.domain.guardrail import Exposure, Increment
from wavegate_controller.domain.verdict import VerdictKind


class NoDataReason(StrEnum):
    """Why a healthy metrics server had nothing to say."""

    #: The query matched no series.
    EMPTY_RESULT = "empty_result"
    #: NaN or infinite, mostly a division of nothing by nothing.
    NOT_A_NUMBER = "not_a_number"
    #: As of a time so long ago that it says nothing about now.
    STALE_SAMPLES = "stale_samples"


class BrokenReason(StrEnum):
    """Why nothing could be measured."""

    #: Refused, no such host, connection lost.
    UNREACHABLE = "unreachable"
    #: No answer in time.
    TIMEOUT = "timeout"
    #: The server said 401 or 403.
    UNAUTHORIZED = "unauthorized"
    #: The server refused the query itself: broken PromQL, too costly.
    QUERY_REJECTED = "query_rejected"
    #: Any other HTTP error, 429 included.
    SERVER_ERROR = "server_error"
    #: The server warned that its answer is partial.
    PARTIAL_RESPONSE = "partial_response"
    #: Several series where one number was meant.
    SEVERAL_SERIES = "several_series"
    #: Not what the Prometheus HTTP API, or a webhook, promises.
    MALFORMED_RESPONSE = "malformed_response"
    #: More than is read, or than the server is willing to fetch at once.
    TOO_LARGE = "too_large"
    #: Some of the SDK's counters stand without those that belong beside them: renamed, dropped, or never there.
    COUNTER_MISSING = "counter_missing"
    #: The counters do not say which cohort a user belongs to, and the plan compares by cohorts.
    COHORT_MISSING = "cohort_missing"
    #: This source of metrics cannot answer such a question, ever.
    NOT_SUPPORTED = "not_supported"
    #: The metrics server has no alerting rule of this name.
    NO_SUCH_ALERT = "no_such_alert"
    #: The metrics server cannot evaluate the alerting rule, so the alert could not fire.
    ALERT_RULE_FAILS = "alert_rule_fails"
    #: The controller's settings do not allow this address.
    NOT_ALLOWED = "not_allowed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One finite number."""

    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class NoData:
    """The server answered, and there was nothing to judge."""

    reason: NoDataReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """Nothing can be said; an outage is never a verdict about the feature.

    Attributes:
        detail: what the server or the network said, for the person who must mend it.
    """

    reason: BrokenReason
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmCounts:
    """Requests of one variant and how many of them went badly, between two looks."""

    requests: int = 0
    bad: int = 0

    def __add__(self, other: "ArmCounts") -> "ArmCounts":
        return ArmCounts(requests=self.requests + other.requests, bad=self.bad + other.bad)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What both arms counted between two looks, for one gate.

    Attributes:
        increment: requests and amounts by cohort; the amounts are bad outcomes, or sums of values in the gate's unit.
        wave: index of the wave that was served meanwhile.
        wave_since: when that wave began.
        newest_sample_at: time of the newest sample seen so far; None while there was never one.
        exposure: newly exposed users; None where they are not looked at.
    """

    increment: Increment
    wave: int
    wave_since: datetime
    newest_sample_at: datetime | None
    exposure: Exposure | None = None

    @property
    def candidate(self) -> ArmCounts:
        """All cohorts together."""
        each = self.increment
        return ArmCounts(requests=sum(each.candidate_requests), bad=sum(each.candidate_amount))

    @property
    def stable(self) -> ArmCounts:
        """All cohorts together."""
        return ArmCounts(requests=sum(self.increment.stable_requests), bad=sum(self.increment.stable_amount))


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """What people said about the candidate between two looks.

    Attributes:
        requests: that the candidate served; each may get a thumb, most get none.
        newest_sample_at: time of the newest sample seen so far; None while there was never one.
    """

    requests: int
    thumbs_up: int
    thumbs_down: int
    newest_sample_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """Somebody else's verdict: a webhook's, or a person's.

    Attributes:
        by: the person, or the host that was asked.
        detail: their reason.
        value: what they measured, if they say so.
        limit: what they held it against.
    """

    says: VerdictKind
    by: str
    detail: str = ""
    value: float | None = None
    limit: float | None = None


Answer = Value | NoData | Broken
#: All that a gate's look may give.
Reading = Answer | Counts | Feedback | Judgement


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One look of one gate: the line of evidence that is kept.

    Attributes:
        gate: the gate's name in the plan.
        at: evaluation time of the query.
        query: PromQL as it was sent; the address of a webhook. Empty when read from the log, which does not repeat it.
    """

    gate: str
    at: datetime
    query: str
    answer: Reading


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """Raw samples of one series, oldest first, as (Unix seconds, value)."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """One series' value at one time, as it came: it may be NaN."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """Up to where each counter has been counted.

    Attributes:
        read_at: time of the read that left this cursor.
        last: `counts.series_key` to (Unix seconds, value) of its last counted sample.
    """

    read_at: datetime
    last: Mapping[int, tuple[float, float]]
