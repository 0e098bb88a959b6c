"""A rollout plan as a document."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal, TypeVar

from pydantic import Field

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.documents.duration import format_duration
from wavegate_controller.documents.freeze import (
    FreezeWindowDocument,
    freeze_window_to_document,
    freeze_windows_to_domain,
)
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
from wavegate_controller.domain.foresight.findings import Allowance, Rule
from wavegate_controller.domain.plan import (
    DEFAULT_GATES,
    Approval,
    GuardrailSettings,
    OnBreach,
    OnInconclusive,
    OnRedCheck,
    OnTimeLimit,
    Plan,
    Wave,
    percent,
)

Source = TypeVar("Source")
Result = TypeVar("Result")


class WaveDocument(Document):
    """One wave."""

    percent: float = Field(description="Share of the users that get the candidate, in percent; steps of 0.001.")
    bake: Duration = Field(default="15m", validate_default=True, description="Least time in this wave.")
    approval: Literal["auto", "manual"] = Field(default="auto", description="Whether a human must open the next wave.")
    approvers: int = Field(
        default=1, description="How many must approve, each once; the author of the rollout does not count."
    )
    time_limit: Duration | None = Field(default=None, description="Longest time in this wave; by default none.")
    on_time_limit: Literal["ask", "pause", "roll_back"] = Field(
        default="ask", description="What becomes of a wave whose time limit is over."
    )
    target: Duration | None = Field(
        default=None, description="From then on it passes without evidence of harm; by default 4 times the bake."
    )
    suspicion_limit: Duration | None = Field(
        default=None, description="From then on suspicion does not hold; by default 12 times the bake."
    )
    maximum: Duration | None = Field(
        default=None, description="From then on a shut last gate is inconclusive; by default 96 times the bake."
    )


class GuardrailDocument(Document):
    """What all gates that compare share."""

    alpha: float = Field(default=0.05, description="Probability of a false breach by comparison in the whole rollout.")
    beta: float = Field(default=0.05, description="Probability of opening a gate although the candidate is too bad.")
    suspicion: float = Field(default=2, description="Evidence from which a wave is held.")
    min_requests: int = Field(default=50, description="Requests that each arm needs in a wave to pass it.")
    stale_after: Duration = Field(
        default="5m", validate_default=True, description="Age of samples that say nothing any more; two looks at least."
    )
    restart_every: Duration = Field(
        default="10m", validate_default=True, description="Distance of the possible starts of a late regression."
    )
    cohorts: int = Field(default=16, description="As the SDK counts; 1 for counters without the label.")
    sample_ratio: bool = Field(
        default=False, description="Newly exposed users must be split as planned; each stays with one process."
    )
    on_inconclusive: Literal["ask", "advance", "roll_back"] = Field(
        default="ask", description="What becomes of a last gate that its maximum time has not opened."
    )

    def to_domain(self) -> GuardrailSettings:
        """The settings.

        Raises:
            Invalid: naming the field.
        """
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return GuardrailSettings(**values | {"on_inconclusive": OnInconclusive(self.on_inconclusive)})


class AllowanceDocument(Document):
    """That lint may find something."""

    rule: str = Field(description="Rule of the lint.", json_schema_extra={"enum": [rule.value for rule in Rule]})
    gate: str | None = Field(default=None, description="In this gate; by default in all.")
    reason: str = Field(description="Why it may be so.")

    def to_domain(self) -> Allowance:
        """The allowance.

        Raises:
            Invalid: naming the field.
        """
        try:
            rule = Rule(self.rule)
        except ValueError:
            raise Invalid("rule", f"{self.rule!r} is no rule", f"one of {', '.join(Rule)}") from None
        return Allowance(rule=rule, gate=self.gate, reason=self.reason)


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
    guardrail: GuardrailDocument = Field(
        default_factory=GuardrailDocument, description="What all gates that compare share."
    )
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
    final_bake: Duration | None = Field(
        default=None, description="How long to watch on after the last wave before it is completed; by default not."
    )
    freeze_windows: list[FreezeWindowDocument] = Field(
        default_factory=list, description="When nothing raises exposure, beside the windows of the environment."
    )
    budget: dict[str, float] = Field(
        default_factory=dict,
        description="Gate that compares to how many more of what it counts an hour the next wave may take without an "
        "approval.",
    )
    objectives: dict[str, float] = Field(
        default_factory=dict,
        description="Gate that compares bad outcomes to the share of all requests that is to end well in the long "
        "run, such as 0.999; the forecast says how fast that is used up.",
    )
    allowances: list[AllowanceDocument] = Field(
        default_factory=list, description="What lint may find in the gates, and why."
    )
    dry_run: bool = Field(
        default=False, description="Judge and record what would have been done; only people move the rollout."
    )
    on_red_check: Literal["show", "hold"] = Field(
        default="show", description="What a check of production readiness does that has turned red since."
    )

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
            guardrail=_at("guardrail", GuardrailDocument.to_domain, self.guardrail),
            on_no_data=silence_to_domain("on_no_data", self.on_no_data),
            on_cannot_measure=silence_to_domain("on_cannot_measure", self.on_cannot_measure),
            hold_out=weight_of("hold_out", self.hold_out),
            keep_hold_out=self.keep_hold_out,
            final_bake=self.final_bake,
            freeze_windows=freeze_windows_to_domain(self.freeze_windows, "freeze_windows"),
            budget=self.budget,
            objectives=self.objectives,
            allowances=tuple(
                _at(f"allowances[{index}]", AllowanceDocument.to_domain, each)
                for index, each in enumerate(self.allowances)
            ),
            dry_run=self.dry_run,
            on_red_check=OnRedCheck(self.on_red_check),
        )


def plan_to_document(plan: Plan) -> dict[str, Any]:
    """The document that gives this plan back."""
    return {
        "waves": [
            {
                "percent": percent(wave.weight),
                "bake": format_duration(wave.bake),
                "approval": wave.approval.value,
                "approvers": wave.approvers,
                "time_limit": _duration(wave.time_limit),
                "on_time_limit": wave.on_time_limit.value,
                "target": _duration(wave.target),
                "suspicion_limit": _duration(wave.suspicion_limit),
                "maximum": _duration(wave.maximum),
            }
            for wave in plan.waves
        ],
        "gates": [gate_to_document(gate) for gate in plan.gates],
        "on_breach": plan.on_breach.value,
        "interval": format_duration(plan.interval),
        "guardrail": {
            "alpha": plan.guardrail.alpha,
            "beta": plan.guardrail.beta,
            "suspicion": plan.guardrail.suspicion,
            "min_requests": plan.guardrail.min_requests,
            "stale_after": format_duration(plan.guardrail.stale_after),
            "restart_every": format_duration(plan.guardrail.restart_every),
            "cohorts": plan.guardrail.cohorts,
            "sample_ratio": plan.guardrail.sample_ratio,
            "on_inconclusive": plan.guardrail.on_inconclusive.value,
        },
        "on_no_data": silence_to_document(plan.on_no_data),
        "on_cannot_measure": silence_to_document(plan.on_cannot_measure),
        "hold_out": percent(plan.hold_out),
        "keep_hold_out": plan.keep_hold_out,
        "final_bake": _duration(plan.final_bake),
        "freeze_windows": [freeze_window_to_document(each) for each in plan.freeze_windows],
        "budget": dict(plan.budget),
        "objectives": dict(plan.objectives),
        "allowances": [{"rule": each.rule.value, "gate": each.gate, "reason": each.reason} for each in plan.allowances],
        "dry_run": plan.dry_run,
        "on_red_check": plan.on_red_check.value,
    }


def _at(path: str, build: Callable[[Source], Result], source: Source) -> Result:
    try:
        return build(source)
    except Invalid as refusal:
        raise refusal.under(path) from None


def _wave(wave: WaveDocument) -> Wave:
    return Wave(
        weight=weight_of("percent", wave.percent),
        bake=wave.bake,
        approval=Approval(wave.approval),
        approvers=wave.approvers,
        time_limit=wave.time_limit,
        on_time_limit=OnTimeLimit(wave.on_time_limit),
        target=wave.target,
        suspicion_limit=wave.suspicion_limit,
        maximum=wave.maximum,
    )


def _duration(duration: timedelta | None) -> str | None:
    return None if duration is None else format_duration(duration)


def weight_of(field: str, share: float) -> int:
    """A percentage in 1/100,000.

    Raises:
        Invalid: naming the field.
    """
    weight = share * FULL_WEIGHT / 100
    if abs(weight - round(weight)) > 1e-6:  # noqa: PLR2004 - what binary fractions leave of a decimal one
        raise Invalid(field, f"{share} is too fine", "steps of 0.001")
    return round(weight)
