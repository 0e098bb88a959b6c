"""Evaluation: one flag, one caller, one answer.

Nothing here raises for what a caller passes in, and nothing waits.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wavegate.evaluation.compiling import CompiledFlag, as_it_is, compile_flag, compile_flags
from wavegate.evaluation.details import ErrorCode, EvaluationDetails, failure
from wavegate.evaluation.fitting import fits
from wavegate.evaluation.flag import Flag
from wavegate.evaluation.matching import Attributes
from wavegate.evaluation.ruleset import Ruleset

__all__ = [
    "Attributes",
    "compile_ruleset",
    "evaluate",
    "failure",
    "finish",
    "fits",
    "no_flag",
    "type_mismatch",
    "variant_for",
]


def compile_ruleset(ruleset: Ruleset) -> dict[str, CompiledFlag[EvaluationDetails]]:
    """Every flag of a ruleset, for `evaluate`."""
    return compile_flags(ruleset, as_it_is)


def evaluate(
    compiled: Mapping[str, CompiledFlag[EvaluationDetails]],
    flag_key: str,
    targeting_key: str | None,
    default: Any = None,
    attributes: Attributes | None = None,
) -> EvaluationDetails:
    """The answer of one flag to one caller; never raises. A default of None accepts any type."""
    flag = compiled.get(flag_key) if issubclass(type(flag_key), str) else None
    if flag is None:
        return no_flag(flag_key, default)
    try:
        # Taken once, so that no odd mapping can raise later or say two things.
        context = dict(attributes) if attributes is not None else {}
    except Exception:  # noqa: BLE001 # a caller's object may raise anything
        return failure(flag_key, ErrorCode.INVALID_CONTEXT, "the attributes cannot be read", default)
    return finish(flag.choose(targeting_key, context), default, flag.cohort(targeting_key, context))


def variant_for(flag: Flag, targeting_key: str | None, **attributes: Any) -> str | None:
    """The variant a flag gives to a key; None where it cannot say. For flags that name no segment and no other flag."""
    return compile_flag(flag, as_it_is).choose(targeting_key, attributes).variant


def finish(answer: EvaluationDetails, default: Any, cohort: int | None) -> EvaluationDetails:
    """Completes a flag's answer for one caller: its default, the type it asked for, its cohort."""
    if answer.error_code is not None:
        return replace(answer, value=default, cohort=cohort)
    if not fits(answer.value, default):
        return replace(type_mismatch(answer, type(default).__name__), value=default, cohort=cohort)
    return replace(answer, cohort=cohort)


def no_flag(flag_key: Any, default: Any, *, ready: bool = True) -> EvaluationDetails:
    """What to answer for a key that is not there, whatever that key is; `ready` says there is a ruleset."""
    # Not isinstance: that asks the object for its class, and a broken proxy raises.
    key = flag_key if issubclass(type(flag_key), str) else ""
    if not ready:
        return failure(key, ErrorCode.PROVIDER_NOT_READY, "no ruleset has arrived yet", default)
    message = f"the ruleset has no flag {key!r}" if key else "a flag key is a string of one character or more"
    return failure(key, ErrorCode.FLAG_NOT_FOUND, message, default)


def type_mismatch(answer: EvaluationDetails, wanted: str) -> EvaluationDetails:
    """What to answer when a variant's value is of another type than the caller asked for."""
    found = type(answer.value).__name__
    message = f"variant {answer.variant!r} is of type {found}, the caller asked for {wanted}"
    return failure(answer.flag_key, ErrorCode.TYPE_MISMATCH, message)
