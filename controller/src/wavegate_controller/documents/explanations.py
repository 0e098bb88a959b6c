"""What a comparison says, with every number beside its limit, as the API shows it."""

from dataclasses import asdict
from typing import Any

from wavegate_controller.domain.guardrail import Assessment, MetricAssessment
from wavegate_controller.domain.guardrail.design_effect import NO_EVIDENCE


def assessment_to_document(assessment: Assessment) -> dict[str, Any]:
    """The answer for all gates that compare, and each of them with its interval and forecast where they are known."""
    return {
        "outcome": assessment.outcome.value,
        "reason": assessment.reason.value,
        "cause": assessment.cause,
        "evidence": assessment.evidence,
        "evidence_limit": assessment.evidence_limit,
        "suspicion": assessment.suspicion,
        "gate_limit": assessment.gate_limit,
        "ceiling_limit": assessment.ceiling_limit,
        "mismatch": assessment.mismatch,
        "mismatch_limit": assessment.mismatch_limit,
        "last_gate": assessment.last_gate,
        "metrics": [_metric_to_document(each) for each in assessment.metrics],
    }


def _metric_to_document(metric: MetricAssessment) -> dict[str, Any]:
    """The interval is that of the ratio of candidate to stable; the forecast is what the gate still needs."""
    forecast = metric.forecast
    return {
        "name": metric.name,
        "kind": metric.kind.value,
        "waited_for": metric.guardrail,
        "in_wave": asdict(metric.in_wave),
        "in_all": asdict(metric.in_all),
        "unit": metric.unit,
        "regression": metric.regression,
        "early": metric.early,
        "early_margin": metric.early_margin,
        "final": metric.final,
        "final_margin": metric.final_margin,
        "ceiling": metric.ceiling,
        "design_effect": None if metric.design_effect == NO_EVIDENCE else metric.design_effect,
        "live_cohorts": metric.live_cohorts,
        "interval": metric.interval and asdict(metric.interval),
        "forecast": forecast
        and {
            "bad_outcomes": forecast.bad_outcomes,
            "remaining_seconds": None if forecast.remaining is None else forecast.remaining.total_seconds(),
            "visible_regression": forecast.visible_regression,
        },
    }
