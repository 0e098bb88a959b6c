"""Evaluation: each flag becomes a closure once, and every answer it can give is made beforehand.

Nothing here raises for what a caller passes in, and nothing waits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

from wavegate.evaluation.bucketing import FULL_WEIGHT, KeyHash, cohort_of, first_hash_outside, key_hash
from wavegate.evaluation.details import ErrorCode, EvaluationDetails, Reason
from wavegate.evaluation.ruleset import Flag, Rollout, Ruleset

T = TypeVar("T")
Attributes: TypeAlias = Mapping[str, Any]
#: Targeting key and attributes to an answer.
Choose: TypeAlias = Callable[[Any, Attributes], T]
#: What becomes of an answer when a flag is compiled; a client hangs its counters on it here.
Present: TypeAlias = Callable[[EvaluationDetails], T]


@dataclass(frozen=True, kw_only=True, slots=True)
class CompiledFlag(Generic[T]):
    """A flag ready to be asked. `answers` are all that `choose` can return."""

    choose: Choose[T]
    cohort: Choose[int | None]
    answers: tuple[T, ...]


def compile_flag(flag: Flag, present: Present[T]) -> CompiledFlag[T]:
    """Does all that can be done before a targeting key is known."""
    hashed = key_hash(
        flag.generation,
        flag.salt or flag.key,
        joined=flag.salt is not None or flag.bucket_by is not None,
    )
    cohort = _cohort(hashed, flag.bucket_by)
    rollout = flag.rollout
    if not flag.enabled:
        return _constant(present(_answer(flag, flag.default_variant, Reason.DISABLED)), cohort)
    if rollout is None:
        return _constant(present(_answer(flag, flag.default_variant, Reason.STATIC)), cohort)
    # Where everybody gets the same, nobody needs a key.
    if rollout.weight == 0:
        return _constant(present(_answer(flag, rollout.stable, Reason.SPLIT)), cohort)
    if rollout.weight == FULL_WEIGHT:
        return _constant(present(_answer(flag, rollout.candidate, Reason.SPLIT)), cohort)
    return _split(flag, rollout, hashed, cohort, present)


def compile_ruleset(ruleset: Ruleset) -> dict[str, CompiledFlag[EvaluationDetails]]:
    """Every flag of a ruleset, for `evaluate`."""
    return {key: compile_flag(flag, _as_it_is) for key, flag in ruleset.flags.items()}


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
    context = attributes or {}
    answer = flag.choose(targeting_key, context)
    return finish(answer, default, flag.cohort(targeting_key, context))


def variant_for(flag: Flag, targeting_key: str | None, **attributes: Any) -> str | None:
    """The variant a flag gives to a key; None where it cannot say."""
    return compile_flag(flag, _as_it_is).choose(targeting_key, attributes).variant


def finish(answer: EvaluationDetails, default: Any, cohort: int | None) -> EvaluationDetails:
    """Completes a flag's answer for one caller: its default, the type it asked for, its cohort."""
    if answer.error_code is not None:
        return replace(answer, value=default, cohort=cohort)
    if not fits(answer.value, default):
        return replace(type_mismatch(answer, type(default).__name__), value=default, cohort=cohort)
    return replace(answer, cohort=cohort)


def fits(value: Any, default: Any) -> bool:
    """Whether a caller who gave this default can use this value.

    An integer serves where a float was asked for, not the other way round; a boolean is no number;
    whoever gives None takes anything.
    """
    if default is None:
        return True
    wanted, given = type(default), type(value)
    if bool in (wanted, given):
        return wanted is given
    return issubclass(wanted, given) or (issubclass(wanted, float) and given is int)


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


def failure(flag_key: str, code: ErrorCode, message: str, default: Any = None) -> EvaluationDetails:
    """An answer that is the caller's default, and why."""
    return EvaluationDetails(
        flag_key=flag_key,
        value=default,
        variant=None,
        reason=Reason.ERROR,
        error_code=code,
        error_message=message,
    )


def _as_it_is(answer: EvaluationDetails) -> EvaluationDetails:
    return answer


def _answer(flag: Flag, variant: str, reason: Reason) -> EvaluationDetails:
    return EvaluationDetails(flag_key=flag.key, value=flag.variants[variant], variant=variant, reason=reason)


def _constant(answer: T, cohort: Choose[int | None]) -> CompiledFlag[T]:
    def choose(_targeting_key: Any, _attributes: Attributes) -> T:
        return answer

    return CompiledFlag(choose=choose, cohort=cohort, answers=(answer,))


def _split(
    flag: Flag, rollout: Rollout, hashed: KeyHash, cohort: Choose[int | None], present: Present[T]
) -> CompiledFlag[T]:
    stable = present(_answer(flag, rollout.stable, Reason.SPLIT))
    candidate = present(_answer(flag, rollout.candidate, Reason.SPLIT))
    limit = first_hash_outside(rollout.weight)
    bucket_by = flag.bucket_by
    if bucket_by is None:
        missing = present(
            failure(
                flag.key,
                ErrorCode.TARGETING_KEY_MISSING,
                "the flag is split between users; pass a targeting key, an empty one is none",
            )
        )
        unusable = present(
            failure(flag.key, ErrorCode.INVALID_CONTEXT, "the targeting key must be a string with a UTF-8 form")
        )
    else:
        missing = unusable = present(
            failure(
                flag.key,
                ErrorCode.INVALID_CONTEXT,
                f"the flag is split by the attribute {bucket_by!r}; pass it as a string, not empty",
            )
        )

    def choose_by_key(targeting_key: Any, _attributes: Attributes) -> T:
        try:
            if targeting_key:
                return candidate if hashed(targeting_key) < limit else stable
        except Exception:  # noqa: BLE001 # a caller's object may raise anything; evaluation never does
            return unusable
        # Keys that are empty would all share one bucket, so they are no keys.
        return missing if targeting_key is None or type(targeting_key) is str else unusable

    def choose_by_attribute(_targeting_key: Any, attributes: Attributes) -> T:
        return choose_by_key(attributes.get(bucket_by), attributes)  # type: ignore[arg-type] # not None here

    choose = choose_by_key if bucket_by is None else choose_by_attribute
    return CompiledFlag(choose=choose, cohort=cohort, answers=(stable, candidate, missing, unusable))


def _cohort(hashed: KeyHash, bucket_by: str | None) -> Choose[int | None]:
    def cohort(targeting_key: Any, attributes: Attributes) -> int | None:
        try:
            key = targeting_key if bucket_by is None else attributes.get(bucket_by)
            return cohort_of(hashed(key)) if key else None
        except Exception:  # noqa: BLE001 # as above
            return None

    return cohort
