"""Rulesets and their evaluation, pure: what the SDK decides with and the controller publishes."""

TYPE_CHECKING = False  # as in wavegate/__init__.py
if TYPE_CHECKING:
    from wavegate.evaluation.answering import compile_ruleset, evaluate, variant_for
    from wavegate.evaluation.bucketing import COHORTS, FULL_WEIGHT, Generation, bucket_of, cohort_of, key_hash
    from wavegate.evaluation.codec import ruleset_from_json, ruleset_to_json
    from wavegate.evaluation.compiling import CompiledFlag, compile_flag, compile_flags
    from wavegate.evaluation.conditions import AllOf, AnyOf, Comparison, Condition, InSegment, Not, Operator
    from wavegate.evaluation.details import ErrorCode, EvaluationDetails, Reason
    from wavegate.evaluation.errors import InvalidRuleset, WavegateError
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

_SOURCES = {
    "bucketing": (
        "COHORTS",
        "FULL_WEIGHT",
        "Generation",
        "bucket_of",
        "cohort_of",
        "key_hash",
    ),
    "codec": (
        "ruleset_from_json",
        "ruleset_to_json",
    ),
    "compiling": (
        "CompiledFlag",
        "compile_flag",
        "compile_flags",
    ),
    "conditions": (
        "AllOf",
        "AnyOf",
        "Comparison",
        "Condition",
        "InSegment",
        "Not",
        "Operator",
    ),
    "details": (
        "ErrorCode",
        "EvaluationDetails",
        "Reason",
    ),
    "errors": (
        "InvalidRuleset",
        "WavegateError",
    ),
    "answering": (
        "compile_ruleset",
        "evaluate",
        "variant_for",
    ),
    "flag": (
        "Flag",
        "Holdout",
        "Pilot",
        "Prerequisite",
        "Rollout",
        "Rule",
        "Serve",
        "Share",
        "Stale",
    ),
    "ruleset": (
        "SCHEMA",
        "Ruleset",
    ),
}
_SOURCE = {name: module for module, names in _SOURCES.items() for name in names}


def __getattr__(name: str) -> object:
    """Imports what is asked for when it is first asked for, for apps with a client need half of it."""
    if name not in _SOURCE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 # who imports the parts needs none of this

    value = globals()[name] = getattr(import_module(f"{__name__}.{_SOURCE[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
