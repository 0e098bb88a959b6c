"""Gates as documents: what each kind has to say, and the one word that stands for ready-made ones."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from enum import Enum
from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from wavegate_controller.documents.duration import format_duration
from wavegate_controller.documents.reading import Document, Duration
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.gates import (
    AlertCounts,
    AlertGate,
    ErrorRateGate,
    FeedbackGate,
    Gate,
    ManualGate,
    OnSilence,
    Operator,
    SilencePolicy,
    ThresholdGate,
    ValueGate,
    ValueKind,
    WebhookGate,
)
from wavegate_controller.domain.presets import Preset, PresetName, Source, expand


class SilenceDocument(Document):
    """What to do about a gate that says nothing, and after how long."""

    act: Literal["hold", "pause", "roll_back"] = Field(description="What is done.")
    after: Duration = Field(
        default="0s", validate_default=True, description="Of consecutive silence in this wave; needed unless `hold`."
    )

    def to_domain(self) -> SilencePolicy:
        """The policy.

        Raises:
            Invalid: naming the field.
        """
        return SilencePolicy(act=OnSilence(self.act), after=self.after)


class GateDocument(Document):
    """What all gates have."""

    on_no_data: SilenceDocument | None = Field(default=None, description="When there is nothing to judge.")
    on_cannot_measure: SilenceDocument | None = Field(default=None, description="When nothing can be measured.")
    dry_run: bool = Field(
        default=False, description="It only says what it would have done; not for gates that compare."
    )


class LookingGateDocument(GateDocument):
    """What gates have whose every look is good or bad by itself."""

    failures: int = Field(default=1, description="Breach when so many of the last `of` looks are bad.")
    of: int = Field(default=1, description="How many looks that is counted in.")
    warm_up: Duration = Field(default="0s", validate_default=True, description="First part of a wave to ignore.")


class ThresholdGateDocument(LookingGateDocument):
    """Any PromQL that gives one number, compared with a limit."""

    type: Literal["threshold"]
    name: str = Field(description="Unlike the other gates'.")
    query: str = Field(description="PromQL; may use {{flag}} {{candidate}} {{stable}} {{wave}} {{window}}.")
    operator: Literal["<", "<=", ">", ">="] = Field(description="The gate passes while `value operator limit`.")
    limit: float = Field(description="Beyond it is a bad look.")
    warn: float | None = Field(default=None, description="On the good side of `limit`; between the two: held.")
    failures: int = Field(default=2, description="Breach when so many of the last `of` looks are bad.")
    of: int = Field(default=3, description="How many looks that is counted in.")
    window: Duration = Field(default="1m", validate_default=True, description="What {{window}} stands for.")


class ComparingGateDocument(GateDocument):
    """What gates have that compare the candidate with stable; what they share is in the plan's `guardrail`."""

    margin: float = Field(default=0.01, description="Harm relative to stable that is no regression.")
    absolute_margin: float | None = Field(default=None, description="Harm on top of it.")
    early_harm: float = Field(default=0.05, description="Share of the users times margin that opens a wave early.")
    final_margin: float = Field(default=0.2, description="Relative harm that the last gate rules out.")
    gate_absolute_margin: float | None = Field(default=None, description="Absolute part of both gate margins.")
    weight: float = Field(default=1, description="Of its evidence among all gates that compare.")
    rollback_only: bool = Field(default=False, description="It only rolls back; no wave waits for it.")


class ErrorRateGateDocument(ComparingGateDocument):
    """Bad outcomes of the candidate against those of stable, on the SDK's counters."""

    type: Literal["error_rate"]
    name: str = Field(default="error-rate", description="Unlike the other gates'.")
    kinds: list[str] = Field(default=["error"], description="Kinds of wavegate_bad_total that count as bad.")
    ceiling: float | None = Field(default=0.25, description="Share of bad outcomes that is a breach in any case.")


class ValueGateDocument(ComparingGateDocument):
    """A mean per request of the candidate against that of stable, on the SDK's counters."""

    type: Literal["value"]
    name: str = Field(default="value", description="Unlike the other gates'.")
    value: Literal["cost_usd", "tokens", "seconds", "custom"] = Field(description="Kind of wavegate_value_total.")
    unit: float | None = Field(default=None, description="Steps in which sums are kept.")


class AlertGateDocument(LookingGateDocument):
    """An alert of the metrics server."""

    type: Literal["alert"]
    name: str = Field(description="Unlike the other gates'.")
    alert: str = Field(description="Its name in the alerting rules.")
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels that it must carry; values may use {{flag}} {{candidate}} {{stable}} {{wave}}.",
    )
    counts: Literal["firing", "fired_in_wave"] = Field(
        default="firing", description="Whether what fired earlier in the wave counts, too."
    )
    require_rule: bool = Field(default=True, description="The server must list a healthy rule of this name.")


class FeedbackGateDocument(GateDocument):
    """What people said about the candidate."""

    type: Literal["feedback"]
    name: str = Field(default="feedback", description="Unlike the other gates'.")
    min_answers: int = Field(default=20, description="Thumbs up and down that a wave needs.")
    min_share: float = Field(default=0.5, description="Least share of thumbs up among them; below it: held.")
    max_thumbs_down: float = Field(default=0.05, description="Greatest share of requests with a thumbs down.")
    alpha: float = Field(default=0.05, description="Probability of a false breach in a wave, at that very share.")


class WebhookGateDocument(LookingGateDocument):
    """Somebody else's check, asked over HTTP."""

    type: Literal["webhook"]
    name: str = Field(description="Unlike the other gates'.")
    url: str = Field(description="Beneath one of the controller's `webhook_urls`.")
    interval: Duration = Field(default="1m", validate_default=True, description="Least time between two questions.")
    timeout: Duration = Field(default="10s", validate_default=True, description="Longest wait for a whole answer.")
    keep_asking: bool = Field(default=True, description="Whether a wave that passed is asked about again.")


class ManualGateDocument(GateDocument):
    """A named person says pass or breach for each wave."""

    type: Literal["manual"]
    name: str = Field(default="judgement", description="Unlike the other gates'.")
    question: str = Field(default="", max_length=500, description="What to look at.")


class PresetDocument(Document):
    """Ready-made gates; the word alone stands for the preset with its defaults."""

    preset: Literal[
        "error-rate", "latency", "time-to-first-token", "cost", "tokens", "fallback-rate", "thumbs-down"
    ] = Field(description="What is watched.")
    source: Literal["wavegate", "otel"] = Field(default="wavegate", description="Whose metric names.")
    name: str | None = Field(default=None, description="Of the gate; by default the preset's.")
    limit: float | None = Field(default=None, description="What must not be exceeded.")
    warn: float | None = Field(default=None, description="Below the limit; between the two: held.")
    over: list[float] = Field(default_factory=list, description="Seconds from which a request is slow.")
    window: Duration = Field(default="5m", validate_default=True, description="Over which rates are taken.")
    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels that single out the candidate's series, instead of the source's own."
    )

    @model_validator(mode="before")
    @classmethod
    def _is_a_word(cls, data: object) -> object:
        return {"preset": data} if isinstance(data, str) else data

    def to_domain(self) -> tuple[Gate, ...]:
        """The gates.

        Raises:
            Invalid: naming the parameter.
        """
        values = self.model_dump() | {"over": tuple(self.over)}
        return expand(Preset(**values | {"preset": PresetName(self.preset), "source": Source(self.source)}))


_TYPES: Final[Mapping[type[Gate], str]] = {
    ThresholdGate: "threshold",
    ErrorRateGate: "error_rate",
    ValueGate: "value",
    AlertGate: "alert",
    FeedbackGate: "feedback",
    WebhookGate: "webhook",
    ManualGate: "manual",
}
_GATES: Final = {name: gate for gate, name in _TYPES.items()}
#: Fields that are words in a document and members of a closed set in the domain.
_WORDS: Final = {"operator": Operator, "counts": AlertCounts, "value": ValueKind}


def _tag(data: object) -> str | None:
    if isinstance(data, str | PresetDocument) or (isinstance(data, Mapping) and "preset" in data):
        return "preset"
    tag = data.get("type") if isinstance(data, Mapping) else getattr(data, "type", None)
    return tag if isinstance(tag, str) else None


AnyGateDocument = Annotated[
    Annotated[ThresholdGateDocument, Tag("threshold")]
    | Annotated[ErrorRateGateDocument, Tag("error_rate")]
    | Annotated[ValueGateDocument, Tag("value")]
    | Annotated[AlertGateDocument, Tag("alert")]
    | Annotated[FeedbackGateDocument, Tag("feedback")]
    | Annotated[WebhookGateDocument, Tag("webhook")]
    | Annotated[ManualGateDocument, Tag("manual")]
    | Annotated[PresetDocument, Tag("preset")],
    Discriminator(_tag),
]


def gates_to_domain(document: AnyGateDocument) -> tuple[Gate, ...]:
    """The gate of a document, or the gates that a preset stands for.

    Raises:
        Invalid: naming the field.
    """
    if isinstance(document, PresetDocument):
        return document.to_domain()
    values = {name: getattr(document, name) for name in type(document).model_fields if name != "type"}
    for name, value in values.items():
        if isinstance(value, SilenceDocument):
            values[name] = silence_to_domain(name, value)
        elif isinstance(value, list):
            values[name] = tuple(value)
        elif name in _WORDS:
            values[name] = _WORDS[name](value)
    return (_GATES[document.type](**values),)


def silence_to_domain(name: str, document: SilenceDocument) -> SilencePolicy:
    """The policy of a field.

    Raises:
        Invalid: naming the field by its path.
    """
    try:
        return document.to_domain()
    except Invalid as refusal:
        raise refusal.under(name) from None


def gate_to_document(gate: Gate) -> dict[str, Any]:
    """The document that gives this gate back."""
    values = {each.name: _value(getattr(gate, each.name)) for each in fields(gate)}
    return {"type": _TYPES[type(gate)], "name": values.pop("name")} | values


def silence_to_document(policy: SilencePolicy) -> dict[str, Any]:
    """The document that gives this policy back."""
    return {"act": policy.act.value, "after": format_duration(policy.after)}


def _value(value: object) -> object:
    match value:
        case timedelta():
            return format_duration(value)
        case SilencePolicy():
            return silence_to_document(value)
        case Enum():
            return value.value
        case tuple():
            return list(value)
        case Mapping():
            return dict(value)
        case _:
            return value
