"""The kinds of gates that a plan may have. Valid, or not constructed."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.flag import check_name
from wavegate_controller.domain.guardrail import GuardrailMetric, MetricKind
from wavegate_controller.domain.promql import PLACEHOLDERS, check_label_names, check_placeholders

#: Evidence of so many looks is enough for anybody.
_MOST_LOOKS: Final = 100
#: A look waits for the webhook's answer, and the next look must not wait for that one.
LONGEST_WEBHOOK: Final = timedelta(minutes=1)
_ALERT_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class OnSilence(StrEnum):
    """What the reconciler does with a rollout whose gate has said nothing for too long."""

    #: Stay at this weight and go on looking; the wave advances once the gate passes.
    HOLD = "hold"
    #: Stay at this weight until a human resumes.
    PAUSE = "pause"
    #: Everybody back to the stable variant. Never the default: silence is not harm.
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, kw_only=True, slots=True)
class SilencePolicy:
    """What to do about silence, and after how long of it.

    Attributes:
        after: of consecutive silence in this wave; a look that measured begins it anew.
    """

    act: OnSilence = OnSilence.HOLD
    after: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.after < timedelta(0) or (self.act is not OnSilence.HOLD and self.after == timedelta(0)):
            raise Invalid("after", f"{self.after} is no time to wait before {self.act}", "more than 0, such as 30m")


class Operator(StrEnum):
    """How a threshold gate compares its value with its limit: the gate holds true while `value op limit`."""

    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="

    @property
    def wants_low(self) -> bool:
        """Whether small values are the good ones."""
        return self in (Operator.LESS, Operator.LESS_OR_EQUAL)


class AlertCounts(StrEnum):
    """Which alerts count against a wave."""

    #: Those that fire at a look.
    FIRING = "firing"
    #: Those that have fired at any time since the wave began, though they may be quiet again.
    FIRED_IN_WAVE = "fired_in_wave"


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseGate:
    """What all gates have.

    Attributes:
        name: unlike the other gates' of the plan.
        on_no_data: None for the plan's.
        on_cannot_measure: None for the plan's.
        dry_run: whether it only says what it would have done, and neither holds nor moves anything. Not for gates that
            compare: those share their evidence.
    """

    name: str
    on_no_data: SilencePolicy | None = None
    on_cannot_measure: SilencePolicy | None = None
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class LookingGate(BaseGate):
    """A gate whose every look is good or bad by itself; `failures` bad ones of the last `of` are a breach.

    Attributes:
        warm_up: looks of the first part of a wave that are ignored.
    """

    failures: int = 1
    of: int = 1
    warm_up: timedelta = timedelta(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class ThresholdGate(LookingGate):
    """Any PromQL that gives one number, compared with a limit.

    Attributes:
        query: PromQL with `{{flag}} {{candidate}} {{stable}} {{wave}} {{window}}`; each is replaced by its value,
            escaped for a double-quoted PromQL string.
        operator: the gate holds true while `value operator limit`.
        warn: a limit on the good side of `limit`; between the two the wave is held, and never rolled back.
        window: what `{{window}}` stands for.
    """

    query: str
    operator: Operator
    limit: float
    warn: float | None = None
    failures: int = 2
    of: int = 3
    window: timedelta = timedelta(minutes=1)

    def __post_init__(self) -> None:
        _check_looking(self)
        if not self.query.strip():
            raise Invalid("query", "is empty", "a PromQL expression")
        check_placeholders("query", self.query, PLACEHOLDERS)
        if not math.isfinite(self.limit):
            raise Invalid("limit", f"{self.limit} is not finite", "a finite number")
        if self.warn is not None:
            _check_warn(self.warn, self.limit, self.operator)
        if self.window <= timedelta(0):
            raise Invalid("window", f"{self.window} is not a range", "more than 0, such as 1m")


class ValueKind(StrEnum):
    """What a value gate compares: the `kind` label of `wavegate_value_total`."""

    #: What a request cost.
    COST_USD = "cost_usd"
    #: Tokens read and written by models.
    TOKENS = "tokens"
    #: How long a request took.
    SECONDS = "seconds"
    #: Whatever else the app measures.
    CUSTOM = "custom"

    @property
    def unit(self) -> float:
        """The steps in which sums are kept: fine enough that rounding decides nothing."""
        return _UNITS[self]


_UNITS: Final = {ValueKind.COST_USD: 1e-6, ValueKind.TOKENS: 1.0, ValueKind.SECONDS: 1e-3, ValueKind.CUSTOM: 1e-3}


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparingGate(BaseGate):
    """One metric of the candidate beside that of stable at the same time; see `guardrail.GuardrailMetric`.

    All such gates of a plan share its `guardrail` settings: one alpha for the whole rollout, however many they are.

    Attributes:
        margin: harm relative to stable that is no regression (0.01: 1 % more).
        absolute_margin: harm on top of it; None for the kind's own default.
        early_harm: share of the users times margin that opens a wave early.
        final_margin: relative harm that the last gate rules out.
        gate_absolute_margin: absolute part of both gate margins; None for the kind's own default.
        weight: of its evidence in the mean over all such gates, relative to the others.
        rollback_only: whether it only rolls back and no wave waits for it.
    """

    margin: float = 0.01
    absolute_margin: float | None = None
    early_harm: float = 0.05
    final_margin: float = 0.20
    gate_absolute_margin: float | None = None
    weight: float = 1.0
    rollback_only: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorRateGate(ComparingGate):
    """Bad outcomes among the requests of both variants, on the SDK's counters.

    Attributes:
        kinds: which `kind` labels of `wavegate_bad_total` count as bad.
        ceiling: share of bad outcomes that is a breach whatever stable does; the only guard where nobody is on stable.
            None watches for none.
    """

    name: str = "error-rate"
    kinds: tuple[str, ...] = ("error",)
    ceiling: float | None = 0.25

    def __post_init__(self) -> None:
        if not self.kinds or len(set(self.kinds)) != len(self.kinds):
            raise Invalid(
                "kinds",
                f"{list(self.kinds)} is empty or repeats itself",
                "kinds of wavegate_bad_total, such as error",
            )
        _ = self.metric  # checks itself

    @property
    def metric(self) -> GuardrailMetric:
        """This gate in the comparison."""
        return GuardrailMetric(
            name=self.name,
            kind=MetricKind.SHARE,
            guardrail=not self.rollback_only,
            weight=self.weight,
            margin=self.margin,
            absolute_margin=self.absolute_margin,
            early_harm=self.early_harm,
            final_margin=self.final_margin,
            gate_absolute_margin=self.gate_absolute_margin,
            ceiling=self.ceiling,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueGate(ComparingGate):
    """A mean per request of both variants, such as dollars: the SDK's sums of values. Needs cohorts.

    Attributes:
        value: what is added up.
        unit: steps in which sums are kept; None for the kind's own.
    """

    name: str = "value"
    value: ValueKind
    unit: float | None = None

    def __post_init__(self) -> None:
        _ = self.metric  # checks itself

    @property
    def metric(self) -> GuardrailMetric:
        """This gate in the comparison."""
        return GuardrailMetric(
            name=self.name,
            kind=MetricKind.MEAN,
            guardrail=not self.rollback_only,
            weight=self.weight,
            margin=self.margin,
            absolute_margin=self.absolute_margin,
            early_harm=self.early_harm,
            final_margin=self.final_margin,
            gate_absolute_margin=self.gate_absolute_margin,
            unit=self.value.unit if self.unit is None else self.unit,
            ceiling=None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertGate(LookingGate):
    """An alert of the metrics server: a breach while it fires, held while it is pending.

    Attributes:
        alert: its name in the alerting rules.
        labels: which of its instances; values may use `{{flag}} {{candidate}} {{stable}} {{wave}}`.
        counts: whether only what fires now counts, or also what fired earlier in the wave.
        require_rule: whether the server must list a healthy rule of this name, since an alert that nobody ever
            evaluates never fires. Without it a misspelt name passes.
    """

    alert: str
    labels: Mapping[str, str] = field(default_factory=dict)
    counts: AlertCounts = AlertCounts.FIRING
    require_rule: bool = True

    def __post_init__(self) -> None:
        _check_looking(self)
        if not _ALERT_NAME.fullmatch(self.alert):
            raise Invalid("alert", f"{self.alert!r} is not the name of an alert", "a name such as SummariesTooSlow")
        check_label_names("labels", self.labels, reserved=("alertname", "alertstate", "__name__"))
        for name, value in self.labels.items():
            check_placeholders(f"labels.{name}", value, ("flag", "candidate", "stable", "wave"))


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackGate(BaseGate):
    """What people said about the candidate in this wave, on the SDK's feedback counters.

    Thumbs down are judged per *request*, and only they can be a breach: among those who answer, the share of the
    content says as much about who answers as about the feature.

    Attributes:
        min_answers: thumbs up and down together, before which nothing is said.
        min_share: least share of thumbs up among the answers; below it the wave is held for a human.
        max_thumbs_down: greatest share of requests with a thumbs down; a breach once chance is ruled out.
        alpha: probability that a gate breaches in a wave although the true share sits at `max_thumbs_down`.
    """

    name: str = "feedback"
    min_answers: int = 20
    min_share: float = 0.5
    max_thumbs_down: float = 0.05
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_name("name", self.name)
        if self.min_answers < 1:
            raise Invalid("min_answers", f"{self.min_answers} would pass on silence", "1 or more")
        if not 0 <= self.min_share <= 1:
            raise Invalid("min_share", f"{self.min_share} is not a share", "from 0 to 1, such as 0.6")
        if not 0 < self.max_thumbs_down < 1:
            raise Invalid("max_thumbs_down", f"{self.max_thumbs_down} is not a share", "more than 0 and less than 1")
        if not 0 < self.alpha < 1:
            raise Invalid("alpha", f"{self.alpha} is not a probability", "more than 0 and less than 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookGate(LookingGate):
    """Somebody else's check, such as an evaluation suite, asked over HTTP.

    Attributes:
        url: an address that the controller's settings allow.
        interval: least time between two questions.
        timeout: longest wait for a whole answer.
        keep_asking: whether a wave that passed is asked about again; a costly check need not be.
    """

    url: str
    interval: timedelta = timedelta(minutes=1)
    timeout: timedelta = timedelta(seconds=10)
    keep_asking: bool = True

    def __post_init__(self) -> None:
        _check_looking(self)
        if not self.url.startswith(("https://", "http://")):
            raise Invalid("url", f"{self.url!r} is not an address", "an http or https URL")
        if self.interval < timedelta(seconds=1):
            raise Invalid("interval", f"{self.interval} is too often", "1s or more")
        if not timedelta(0) < self.timeout <= LONGEST_WEBHOOK:
            raise Invalid("timeout", f"{self.timeout} is no time to wait", "more than 0 and at most 1m")


@dataclass(frozen=True, kw_only=True, slots=True)
class ManualGate(BaseGate):
    """A named person looks at this wave and says pass or breach.

    Attributes:
        question: what to look at, in the author's words.
    """

    name: str = "judgement"
    question: str = ""

    def __post_init__(self) -> None:
        check_name("name", self.name)


#: Gates that are judged together, by one comparison of candidate and stable.
ComparedGate = ErrorRateGate | ValueGate
#: Gates that are judged by themselves.
SingleGate = ThresholdGate | AlertGate | FeedbackGate | WebhookGate | ManualGate
Gate = ComparedGate | SingleGate


def _check_looking(gate: LookingGate) -> None:
    check_name("name", gate.name)
    if not 1 <= gate.failures <= gate.of <= _MOST_LOOKS:
        problem = f"{gate.failures} of {gate.of} makes no sense"
        raise Invalid("failures", problem, f"1 <= failures <= of <= {_MOST_LOOKS}")
    if gate.warm_up < timedelta(0):
        raise Invalid("warm_up", "is negative", "0 or more, such as 30s")


def _check_warn(warn: float, limit: float, operator: Operator) -> None:
    if not math.isfinite(warn):
        raise Invalid("warn", f"{warn} is not finite", "a finite number")
    if not (warn < limit if operator.wants_low else warn > limit):
        side = "less" if operator.wants_low else "more"
        raise Invalid("warn", f"{warn:g} would never warn before the limit {limit:g}", f"{side} than the limit")
