"""Feature flags for progressive rollouts: decided locally, counted by variant, rolled back by metrics."""

from wavegate.client import Client, ConfigError, Trial
from wavegate.evaluation import (
    ErrorCode,
    EvaluationDetails,
    Flag,
    InvalidRuleset,
    Reason,
    Rollout,
    Ruleset,
    WavegateError,
)

__all__ = [
    "Client",
    "ConfigError",
    "ErrorCode",
    "EvaluationDetails",
    "Flag",
    "InvalidRuleset",
    "Reason",
    "Rollout",
    "Ruleset",
    "Trial",
    "WavegateError",
]
