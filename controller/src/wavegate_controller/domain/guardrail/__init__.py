"""Guardrail gates: sequential comparison of candidate and stable on counters, as pure functions over an evidence log.

Each read becomes an `Entry`; `advance` folds it into a `State`, `assess` answers hold, pass or roll back. The log is
the truth: `fold` over its entries gives the same state bit by bit, and `assess_log` the same answer.
"""

from wavegate_controller.domain.guardrail.assessment import (
    ALERTS,
    Assessment,
    Forecast,
    Interval,
    MetricAssessment,
    Outcome,
    Reason,
)
from wavegate_controller.domain.guardrail.estimate import (
    WaveEstimate,
    bad_outcomes_to_pass,
    bad_outcomes_to_roll_back,
    estimate,
)
from wavegate_controller.domain.guardrail.explain import explain
from wavegate_controller.domain.guardrail.log import Entry, Exposure, Increment, decode, encode
from wavegate_controller.domain.guardrail.policy import (
    DEFAULT_METRICS,
    DEFAULT_WAVES,
    GuardrailMetric,
    GuardrailPolicy,
    GuardrailWave,
    MetricKind,
)
from wavegate_controller.domain.guardrail.reading import Totals
from wavegate_controller.domain.guardrail.rule import CEILING_EVIDENCE, assess, assess_log
from wavegate_controller.domain.guardrail.snapshot import load, save
from wavegate_controller.domain.guardrail.state import State, advance, fold, start

__all__ = [
    "ALERTS",
    "CEILING_EVIDENCE",
    "DEFAULT_METRICS",
    "DEFAULT_WAVES",
    "Assessment",
    "Entry",
    "Exposure",
    "Forecast",
    "GuardrailMetric",
    "GuardrailPolicy",
    "GuardrailWave",
    "Increment",
    "Interval",
    "MetricAssessment",
    "MetricKind",
    "Outcome",
    "Reason",
    "State",
    "Totals",
    "WaveEstimate",
    "advance",
    "assess",
    "assess_log",
    "bad_outcomes_to_pass",
    "bad_outcomes_to_roll_back",
    "decode",
    "encode",
    "estimate",
    "explain",
    "fold",
    "load",
    "save",
    "start",
]
