"""Rulesets and their evaluation, pure: what the SDK decides with and the controller publishes."""

from wavegate.evaluation.bucketing import COHORTS, FULL_WEIGHT, Generation, bucket_of, cohort_of, key_hash
from wavegate.evaluation.codec import ruleset_from_json, ruleset_to_json
from wavegate.evaluation.details import ErrorCode, EvaluationDetails, Reason
from wavegate.evaluation.errors import InvalidRuleset, WavegateError
from wavegate.evaluation.evaluate import CompiledFlag, compile_flag, compile_ruleset, evaluate, variant_for
from wavegate.evaluation.ruleset import SCHEMA, Flag, Rollout, Ruleset

__all__ = [
    "COHORTS",
    "FULL_WEIGHT",
    "SCHEMA",
    "CompiledFlag",
    "ErrorCode",
    "EvaluationDetails",
    "Flag",
    "Generation",
    "InvalidRuleset",
    "Reason",
    "Rollout",
    "Ruleset",
    "WavegateError",
    "bucket_of",
    "cohort_of",
    "compile_flag",
    "compile_ruleset",
    "evaluate",
    "key_hash",
    "ruleset_from_json",
    "ruleset_to_json",
    "variant_for",
]
