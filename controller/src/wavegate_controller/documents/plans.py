"""A rollout plan as a document."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import Field

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.documents.duration import format_duration
from wavegate_controller.documents.gates import (
    AnyGateDocument,
    SilenceDocument,
    gate_to_document,
    gates_to_domain,
    silence_to_document,
    silence_to_domain,
)
from wavegate_controller.documents.reading import Document, Duration
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.plan import DEFAULT_GATES, Approval, OnBreach, Plan, Wave, percent

Source = TypeVar("Source")
Result = TypeVar("Result")


class WaveDocument(Document):
    """One wave."""

    percent: float = Field(description="Share of the users that get the candidate, in percent; steps of 0.001.")
    bake: Duration = Field(default="1h", validate_default=True, description="Least time in this wave.")
    approval: Literal["auto", "manual"] = Field(default="auto", description="Whether a human must open the next wave.")


class PlanDocument(Document):
    """Waves and gates."""

    waves: list[WaveDocument] = Field(
        default_factory=lambda: [WaveDocument(percent=share) for share in (10, 25, 50, 100)],
        description="Rising percentages.",
    )
    gates: list[AnyGateDocument] | None = Field(
        default=None, description="All must pass; by default errors and latency beside stable."
    )
    on_breach: Literal["roll_back", "step_back", "pause"] = Field(
        default="roll_back", description="What a breach does."
    )
    interval: Duration = Field(default="15s", validate_default=True, description="Time between two looks at the gates.")
    on_no_data: SilenceDocument = Field(
        default=SilenceDocument(act="hold"), description="For gates without one of their own."
    )
    on_cannot_measure: SilenceDocument = Field(
        default=SilenceDocument(act="hold"), description="For gates without one of their own."
    )
    hold_out: float = Field(
        default=0, description="Percent of the users that the candidate is kept from, at 100 % too, to compare with."
    )
    keep_hold_out: bool = Field(default=False, description="Whether they stay held out when the rollout has completed.")

    def to_domain(self) -> Plan:
        """The plan.

        Raises:
            Invalid: naming the field by its path in this document.
        """
        return Plan(
            waves=tuple(_at(f"waves[{index}]", _wave, wave) for index, wave in enumerate(self.waves)),
            gates=DEFAULT_GATES
            if self.gates is None
            else tuple(
                gate
                for index, document in enumerate(self.gates)
                for gate in _at(f"gates[{index}]", gates_to_domain, document)
            ),
            on_breach=OnBreach(self.on_breach),
            interval=self.interval,
            on_no_data=silence_to_domain("on_no_data", self.on_no_data),
            on_cannot_measure=silence_to_domain("on_cannot_measure", self.on_cannot_measure),
            hold_out=_weight("hold_out", self.hold_out),
            keep_hold_out=self.keep_hold_out,
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
        "gates": [gate_to_document(gate) for gate in plan.gates],
        "on_breach": plan.on_breach.value,
        "interval": format_duration(plan.interval),
        "on_no_data": silence_to_document(plan.on_no_data),
        "on_cannot_measure": silence_to_document(plan.on_cannot_measure),
        "hold_out": percent(plan.hold_out),
        "keep_hold_out": plan.keep_hold_out,
    }


def _at(path: str, build: Callable[[Source], Result], source: Source) -> Result:
    try:
        return build(source)
    except Invalid as refusal:
        raise refusal.under(path) from None


def _wave(wave: WaveDocument) -> Wave:
    return Wave(weight=_weight("percent", wave.percent), bake=wave.bake, approval=Approval(wave.approval))


def _weight(field: str, share: float) -> int:
    weight = share * FULL_WEIGHT / 100
    if abs(weight - round(weight)) > 1e-6:  # noqa: PLR2004 - what binary fractions leave of a decimal one
        raise Invalid(field, f"{share} is too fine", "steps of 0.001")
    return round(weight)
