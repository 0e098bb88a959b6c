"""Rulesets and their evaluation, pure: what the SDK decides with and the controller publishes."""

from wavegate.evaluation.bucketing import COHORTS, FULL_WEIGHT, Generation, bucket_of, cohort_of, key_hash
from wavegate.evaluation.codec import ruleset_from_json, ruleset_to_json
from wavegate.evaluation.compiling import CompiledFlag, compile_flag, compile_flags
from wavegate.evaluation.conditions import AllOf, AnyOf, Comparison, Condition, InSegment, Not, Operator
from wavegate.evaluation.details import ErrorCode, EvaluationDetails, Reason
from wavegate.evaluation.errors import InvalidRuleset, WavegateError
from wavegate.evaluation.evaluate import compile_ruleset, evaluate, variant_for
from wavegate.evaluation.flag import Flag, Holdout, Pilot, Prerequisite, Rollout, Rule, Serve, Share, Stale
from wavegate.evaluation.ruleset import SCHEMA, Ruleset

__all__ = [
    "COHORTS",
    "FULL_WEIGHT",
    "SCHEMA",
    "AllOf",
    "AnyOf",
    "Comparison",
    "CompiledFlag",
    "Condition",
    "ErrorCode",
    "EvaluationDetails",
    "Flag",
    "Generation",
    "Holdout",
    "InSegment",
    "InvalidRuleset",
    "Not",
    "Operator",
    "Pilot",
    "Prerequisite",
    "Reason",
    "Rollout",
    "Rule",
    "Ruleset",
    "Serve",
    "Share",
    "Stale",
    "WavegateError",
    "bucket_of",
    "cohort_of",
    "compile_flag",
    "compile_flags",
    "compile_ruleset",
    "evaluate",
    "key_hash",
    "ruleset_from_json",
    "ruleset_to_json",
    "variant_for",
]
