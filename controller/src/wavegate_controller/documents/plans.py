"""A rollout plan as a document."""

from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar, assert_never

from pydantic import Field

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.documents.duration import format_duration
from wavegate_controller.documents.reading import Document, Duration
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.plan import (
    DEFAULT_GATES,
    Approval,
    ErrorRateGate,
    Gate,
    OnBreach,
    Operator,
    Plan,
    ThresholdGate,
    Wave,
    percent,
)

Source = TypeVar("Source")
Result = TypeVar("Result")


class WaveDocument(Document):
    """One wave."""

    percent: float = Field(description="Share of the users that get the candidate, in percent; steps of 0.001.")
    bake: Duration = Field(default="1h", validate_default=True, description="Least time in this wave.")
    approval: Literal["auto", "manual"] = Field(default="auto", description="Whether a human must open the next wave.")


class ThresholdGateDocument(Document):
    """Any PromQL that gives one number, compared with a limit."""

    type: Literal["threshold"]
    name: str
    query: str = Field(description="PromQL; may use {{flag}} {{candidate}} {{stable}} {{wave}} {{window}}.")
    operator: Literal["<", "<=", ">", ">="] = Field(description="The gate passes while `value operator limit`.")
    limit: float
    failures: int = Field(default=2, description="Breach when so many of the last `of` looks are over the limit.")
    of: int = 3
    warm_up: Duration = Field(default="0s", validate_default=True, description="First part of a wave to ignore.")
    window: Duration = Field(default="1m", validate_default=True, description="What {{window}} stands for.")


class ErrorRateGateDocument(Document):
    """Bad outcomes of the candidate against those of stable, on the SDK's counters."""

    type: Literal["error_rate"]
    name: str = "error-rate"
    kinds: list[str] = Field(default=["error"], description="Kinds of wavegate_bad_total that count as bad.")
    alpha: float = Field(default=0.05, description="Probability of a false breach over the whole rollout.")
    margin: float = Field(default=0.01, description="Tolerated harm relative to stable.")
    absolute_margin: float = Field(default=0.0001, description="Tolerated share of bad outcomes on top.")
    min_requests: int = Field(default=50, description="Requests that each arm needs in a wave to pass it.")
    ceiling: float = Field(default=0.25, description="Share of bad outcomes that is a breach whatever stable does.")
    stale_after: Duration = Field(
        default="1m", validate_default=True, description="Age of samples that say nothing any more."
    )


GateDocument = Annotated[ThresholdGateDocument | ErrorRateGateDocument, Field(discriminator="type")]


class PlanDocument(Document):
    """Waves and gates."""

    waves: list[WaveDocument] = Field(
        default_factory=lambda: [WaveDocument(percent=share) for share in (10, 25, 50, 100)],
        description="Rising percentages.",
    )
    gates: list[GateDocument] | None = Field(
        default=None, description="All must pass; the default is one error_rate gate."
    )
    on_breach: Literal["roll_back", "step_back", "pause"] = "roll_back"
    interval: Duration = Field(default="15s", validate_default=True, description="Time between two looks at the gates.")

    def to_domain(self) -> Plan:
        """The plan.

        Raises:
            Invalid: naming the field by its path in this document.
        """
        return Plan(
            waves=tuple(_at(f"waves[{index}]", _wave, wave) for index, wave in enumerate(self.waves)),
            gates=DEFAULT_GATES
            if self.gates is None
            else tuple(_at(f"gates[{index}]", _gate, gate) for index, gate in enumerate(self.gates)),
            on_breach=OnBreach(self.on_breach),
            interval=self.interval,
        )


def plan_to_document(plan: Plan) -> dict[str, Any]:
    """The document that gives this plan back."""
    return {
        "waves": [
            {
                "percent": percent(wave.weight),
                "bake": format_duration(wave.bake),
                "approval": wave.approval.value,
            }
            for wave in plan.waves
        ],
        "gates": [_gate_to_document(gate) for gate in plan.gates],
        "on_breach": plan.on_breach.value,
        "interval": format_duration(plan.interval),
    }


def _at(path: str, build: Callable[[Source], Result], source: Source) -> Result:
    try:
        return build(source)
    except Invalid as refusal:
        raise refusal.under(path) from None


def _wave(wave: WaveDocument) -> Wave:
    weight = wave.percent * FULL_WEIGHT / 100
    if abs(weight - round(weight)) > 1e-6:  # noqa: PLR2004 - what binary fractions leave of a decimal one
        raise Invalid("percent", f"{wave.percent} is too fine", "steps of 0.001")
    return Wave(weight=round(weight), bake=wave.bake, approval=Approval(wave.approval))


def _gate(gate: ThresholdGateDocument | ErrorRateGateDocument) -> Gate:
    values = gate.model_dump(exclude={"type"})
    match gate:
        case ThresholdGateDocument():
            return ThresholdGate(**values | {"operator": Operator(gate.operator)})
        case ErrorRateGateDocument():
            return ErrorRateGate(**values | {"kinds": tuple(gate.kinds)})
        case _:
            assert_never(gate)


def _gate_to_document(gate: Gate) -> dict[str, Any]:
    values = {
        field.name: format_duration(value) if isinstance(value := getattr(gate, field.name), timedelta) else value
        for field in fields(gate)
    }
    match gate:
        case ThresholdGate():
            return {"type": "threshold"} | values | {"operator": gate.operator.value}
        case ErrorRateGate():
            return {"type": "error_rate"} | values | {"kinds": list(gate.kinds)}
        case _:
            assert_never(gate)
