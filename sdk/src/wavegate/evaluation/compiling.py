"""Flags as closures: every answer a flag can give is made beforehand, and only what a flag uses costs anything."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from wavegate.evaluation.bucketing import FULL_WEIGHT, cohort_of
from wavegate.evaluation.conditions import TARGETING_KEY, AllOf, Comparison, Condition, Not, Operator
from wavegate.evaluation.details import ErrorCode, EvaluationDetails, Reason, failure
from wavegate.evaluation.flag import Flag, Pilot, Rollout, Serve, Share, Stale
from wavegate.evaluation.matching import Attributes, Matches, compile_condition, without_call
from wavegate.evaluation.ruleset import Ruleset
from wavegate.evaluation.splitting import (
    Choose,
    Step,
    arms,
    by_steps,
    constant,
    cuts_between,
    derived_arms,
    flag_hash,
    two_arms,
)

T = TypeVar("T")
#: What becomes of an answer when a flag is compiled; a client hangs its counters on it here.
Present: TypeAlias = Callable[[EvaluationDetails], T]


@dataclass(frozen=True, kw_only=True, slots=True)
class CompiledFlag(Generic[T]):
    """A flag ready to be asked. Neither closure raises, whatever it is given.

    `when_stale` is what to answer instead while the ruleset is stale; None to go on asking.
    """

    choose: Choose[T]
    cohort: Choose[int | None]
    when_stale: T | None = None


def compile_flag(flag: Flag, present: Present[T], ruleset: Ruleset | None = None) -> CompiledFlag[T]:
    """Does all that can be done before a targeting key is known.

    Args:
        flag: the flag.
        present: makes of each possible answer what `choose` is to return.
        ruleset: has the segments and flags that this one names; None if it names none.

    Raises:
        InvalidRuleset: the flag names some, and there is no ruleset.
    """
    if ruleset is None:
        ruleset = Ruleset(environment="none", revision=0, flags={flag.key: flag})
    return Compiler(ruleset).compile(flag, present)


def compile_flags(ruleset: Ruleset, present: Present[T]) -> dict[str, CompiledFlag[T]]:
    """Every flag of a ruleset, as `compile_flag` does one."""
    compiler = Compiler(ruleset)
    return {key: compiler.compile(flag, present) for key, flag in ruleset.flags.items()}


def as_it_is(answer: EvaluationDetails) -> EvaluationDetails:
    """For whoever needs nothing more than the answer."""
    return answer


class Compiler:
    """Compiles the flags of a ruleset, and holds what they share: segments, and flags that others need."""

    def __init__(self, ruleset: Ruleset) -> None:
        self._ruleset = ruleset
        self._needed: dict[str, Choose[EvaluationDetails]] = {}
        self._conditions = ConditionCompiler(ruleset)

    def compile(self, flag: Flag, present: Present[T]) -> CompiledFlag[T]:
        """As `compile_flag` does; the flag is one of the ruleset's."""
        stale = flag.stale is Stale.DEFAULT
        return CompiledFlag(
            choose=self._choose(_Answers(flag, present)),
            cohort=_cohort(flag),
            when_stale=_Answers(flag, present).default(Reason.STALE, "stale") if stale else None,
        )

    def _choose(self, answers: "_Answers[T]") -> Choose[T]:
        """From the last step to the first, each going on to the one before."""
        flag = answers.flag
        if not flag.enabled:
            return constant(answers.default(Reason.DISABLED, "state"))
        steps = self._steps(answers)
        if flag.pilot is not None and flag.rollout is not None:
            condition = _membership(flag.pilot)
            if condition is not None:
                matches = self._conditions.compile(condition)
                serve = _candidate(answers, flag.rollout, Reason.TARGETING_MATCH, "pilot")
                steps.append(("", None, None, matches, serve))
        choose = _rollout(answers, steps)
        if flag.deny or flag.allow:
            choose = _lists(answers, choose)
        if flag.prerequisites:
            choose = self._prerequisites(answers, choose)
        return choose

    def _steps(self, answers: "_Answers[T]") -> list[Step[T]]:
        return [
            (
                *without_call(rule.condition),
                self._conditions.compile(rule.condition),
                _serve(answers, rule.serve, f"rules[{index}]"),
            )
            for index, rule in enumerate(answers.flag.rules)
        ]

    def _prerequisites(self, answers: "_Answers[T]", rest: Choose[T]) -> Choose[T]:
        needs = [
            (
                self._plain(prerequisite.flag),
                frozenset(prerequisite.variants),
                answers.default(Reason.DEFAULT, f"prerequisites[{index}]"),
            )
            for index, prerequisite in enumerate(answers.flag.prerequisites)
        ]

        def choose(targeting_key: Any, attributes: Attributes) -> T:
            for ask, wanted, unmet in needs:
                if ask(targeting_key, attributes).variant not in wanted:
                    return unmet
            return rest(targeting_key, attributes)

        return choose

    def _plain(self, flag_key: str) -> Choose[EvaluationDetails]:
        """A flag that others need, asked without a trace: nobody was exposed to it."""
        if flag_key not in self._needed:
            self._needed[flag_key] = self._choose(_Answers(self._ruleset.flags[flag_key], as_it_is))
        return self._needed[flag_key]


class ConditionCompiler:
    """Compiles the conditions of a ruleset, each of whose segments becomes one closure, however often it is named."""

    def __init__(self, ruleset: Ruleset) -> None:
        self._segments = _Segments(ruleset)

    def compile(self, condition: Condition) -> Matches:
        """As `compile_condition` does, with the ruleset's segments."""
        return compile_condition(condition, self._segments)


class _Segments(dict[str, Matches]):
    """The closures of segments by name, each made when a flag first names it."""

    def __init__(self, ruleset: Ruleset) -> None:
        super().__init__()
        self._ruleset = ruleset

    def __missing__(self, name: str) -> Matches:
        matches = self[name] = compile_condition(self._ruleset.segments[name], self)
        return matches


class _Answers(Generic[T]):
    """Makes the answers of one flag, presented."""

    def __init__(self, flag: Flag, present: Present[T]) -> None:
        self.flag = flag
        self._present = present
        self._errors: dict[ErrorCode, T] = {}

    def of(self, variant: str, reason: Reason, decided_by: str) -> T:
        flag = self.flag
        return self._present(
            EvaluationDetails(
                flag_key=flag.key,
                value=flag.variants[variant],
                variant=variant,
                reason=reason,
                decided_by=decided_by,
            )
        )

    def default(self, reason: Reason, decided_by: str) -> T:
        return self.of(self.flag.default_variant, reason, decided_by)

    def error(self, code: ErrorCode) -> T:
        """Why somebody could not be put in an arm."""
        key, by = self.flag.key, self.flag.bucket_by
        if by is not None:
            code, message = (
                ErrorCode.INVALID_CONTEXT,
                f"the flag is split by the attribute {by!r}; pass it as a string, not empty",
            )
        elif code is ErrorCode.TARGETING_KEY_MISSING:
            message = "the flag is split between users; pass a targeting key, an empty one is none"
        else:
            message = "the targeting key must be a string with a UTF-8 form"
        if code not in self._errors:
            self._errors[code] = self._present(failure(key, code, message))
        return self._errors[code]


def _lists(answers: _Answers[T], rest: Choose[T]) -> Choose[T]:
    flag = answers.flag
    named: dict[str, T] = {}
    for variant, keys in flag.allow.items():
        named.update(dict.fromkeys(keys, answers.of(variant, Reason.TARGETING_MATCH, f"allow.{variant}")))
    if flag.deny:
        stable = flag.default_variant if flag.rollout is None else flag.rollout.stable
        # Last, because who is in both lists is denied: saying no must not wait until somebody finds the yes.
        named.update(dict.fromkeys(flag.deny, answers.of(stable, Reason.TARGETING_MATCH, "deny")))

    def choose(targeting_key: Any, attributes: Attributes) -> T:
        try:
            answer = named.get(targeting_key)
        except Exception:  # noqa: BLE001 # what has no hash is in no list
            answer = None
        return rest(targeting_key, attributes) if answer is None else answer

    return choose


def _membership(pilot: Pilot) -> Condition | None:
    """Who is in the pilot, as a condition; None for nobody."""
    if not pilot.keys:
        if not pilot.opted_out:
            return pilot.condition
        opted_out = Comparison(attribute=TARGETING_KEY, operator=Operator.IN, value=pilot.opted_out)
        return None if pilot.condition is None else AllOf((pilot.condition, Not(opted_out)))
    people = tuple(key for key in pilot.keys if key not in pilot.opted_out)
    if not people:
        return None
    named = Comparison(attribute=TARGETING_KEY, operator=Operator.IN, value=people)
    return named if pilot.condition is None else AllOf((named, pilot.condition))


def _rollout(answers: _Answers[T], steps: list[Step[T]]) -> Choose[T]:
    """The rules, then the percentage or the default."""
    flag = answers.flag
    rollout = flag.rollout
    if rollout is None:
        is_static = not (flag.prerequisites or flag.deny or flag.allow or flag.rules)
        reason = Reason.STATIC if is_static else Reason.DEFAULT
        return by_steps(steps, constant(answers.default(reason, "default_variant")))
    held_out = rollout.holdout is not None and rollout.holdout.weight > 0
    if isinstance(rollout.candidate, str) and not held_out and 0 < rollout.weight < FULL_WEIGHT:
        candidate, stable = (
            answers.of(variant, Reason.SPLIT, "rollout") for variant in (rollout.candidate, rollout.stable)
        )
        return two_arms(flag, rollout.weight, candidate, stable, answers.error, steps)
    return by_steps(steps, _percentage(answers, rollout))


def _percentage(answers: _Answers[T], rollout: Rollout) -> Choose[T]:
    # Where everybody gets the same, nobody needs a key.
    stable = constant(answers.of(rollout.stable, Reason.SPLIT, "rollout"))
    if rollout.weight == 0:
        return stable
    inside = _candidate(answers, rollout, Reason.SPLIT, "rollout")
    holdout = rollout.holdout
    if holdout is not None and holdout.weight > 0:
        salt = f"{holdout.salt or answers.flag.key}:holdout:"
        held = constant(answers.of(rollout.stable, Reason.SPLIT, "rollout.holdout"))
        inside = derived_arms(answers.flag, salt, [holdout.weight], [held, inside], answers.error)
    if rollout.weight == FULL_WEIGHT:
        return inside
    return arms(answers.flag, [rollout.weight], [inside, stable], answers.error)


def _candidate(answers: _Answers[T], rollout: Rollout, reason: Reason, decided_by: str) -> Choose[T]:
    """The candidate, or one of several, by a hash that knows nothing of how large their common share is."""
    candidate, flag = rollout.candidate, answers.flag
    if isinstance(candidate, str):
        return constant(answers.of(candidate, reason, decided_by))
    salt = f"{flag.salt or flag.key}:candidates:"
    cuts, choices = _shares(answers, candidate, decided_by)
    return derived_arms(flag, salt, cuts, choices, answers.error)


def _serve(answers: _Answers[T], serve: Serve, decided_by: str) -> Choose[T]:
    if isinstance(serve, str):
        return constant(answers.of(serve, Reason.TARGETING_MATCH, decided_by))
    cuts, choices = _shares(answers, serve, decided_by)
    return arms(answers.flag, cuts, choices, answers.error)


def _shares(answers: _Answers[T], split: tuple[Share, ...], decided_by: str) -> tuple[list[int], list[Choose[T]]]:
    return (
        cuts_between([share.weight for share in split]),
        [constant(answers.of(share.variant, Reason.SPLIT, decided_by)) for share in split],
    )


def _cohort(flag: Flag) -> Choose[int | None]:
    hashed, bucket_by = flag_hash(flag), flag.bucket_by

    def cohort(targeting_key: Any, attributes: Attributes) -> int | None:
        try:
            key = targeting_key if bucket_by is None else attributes.get(bucket_by)
            return cohort_of(hashed(key)) if key else None
        except Exception:  # noqa: BLE001 # a caller's object may raise anything
            return None

    return cohort
