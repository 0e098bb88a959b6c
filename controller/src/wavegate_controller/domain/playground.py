"""What a flag answers to somebody and why: each step of the evaluation in its order, up to the one that decided.

The answer is the evaluator's own, and so is each condition that is looked into: nothing is decided here. The order of
the steps is the evaluator's (docs/ruleset.md), and a test holds the two together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from wavegate.evaluation import (
    AllOf,
    AnyOf,
    Comparison,
    CompiledFlag,
    Condition,
    ErrorCode,
    EvaluationDetails,
    Flag,
    InSegment,
    Not,
    Pilot,
    Prerequisite,
    Rollout,
    Ruleset,
    bucket_of,
    compile_ruleset,
    evaluate,
)
from wavegate.evaluation.compiling import ConditionCompiler
from wavegate.evaluation.conditions import TARGETING_KEY
from wavegate.evaluation.splitting import flag_hash

#: Somebody's attributes by name.
Attributes = Mapping[str, Any]


class Outcome(StrEnum):
    """What a step did."""

    #: It gave the answer.
    DECIDED = "decided"
    #: It had nothing to say to this context, so the next one was asked.
    PASSED = "passed"
    #: It would have given the answer, and could not: the context lacks something.
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tested:
    """A condition, and what it said.

    Attributes:
        given: what the context has for it, of a comparison.
        inner: those within, of a condition that has some; all of them, whether or not they were needed.
    """

    condition: Condition
    met: bool
    given: Any = None
    inner: tuple["Tested", ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """Where a key falls among 100,000; in the rollout if it is below the weight."""

    key: str
    number: int
    weight: int

    @property
    def is_in(self) -> bool:
        """Whether the rollout has it."""
        return self.number < self.weight


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of an evaluation.

    Attributes:
        path: as `EvaluationDetails.decided_by` names it.
        tested: the condition of a rule or of the pilot.
        named: of a list or the pilot: whether the targeting key stands in it, and not among those who opted out.
        opted_out: of the pilot: whether it stands among them.
        needed: of a prerequisite: what it asks of another flag.
        served: of a prerequisite: what that flag serves to the same context; None where it could not say.
        bucket: of the rollout; None where the percentage is the same for everybody, or there is no key.
    """

    path: str
    outcome: Outcome
    tested: Tested | None = None
    named: bool | None = None
    opted_out: bool = False
    needed: Prerequisite | None = None
    served: str | None = None
    bucket: Bucket | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a flag answers, and the steps up to the one that decided, in their order."""

    details: EvaluationDetails
    steps: tuple[Step, ...]

    @property
    def deciding(self) -> Step:
        """The step that decided, or failed to."""
        return self.steps[-1]


class Playground:
    """Asks a ruleset as an app would, and shows the steps."""

    def __init__(self, ruleset: Ruleset) -> None:
        self._ruleset = ruleset
        self._compiled: Mapping[str, CompiledFlag[EvaluationDetails]] = compile_ruleset(ruleset)
        self._conditions = ConditionCompiler(ruleset)

    def flag_keys(self) -> Sequence[str]:
        """Of all flags, in order."""
        return sorted(self._ruleset.flags)

    def ask(self, flag_key: str, targeting_key: str | None, attributes: Attributes) -> Answer:
        """One flag's answer to one context."""
        details = evaluate(self._compiled, flag_key, targeting_key, attributes=attributes)
        flag = self._ruleset.flags.get(flag_key)
        if flag is None:
            return Answer(details=details, steps=(Step(path="flags", outcome=Outcome.FAILED),))
        asked = _Asked(self, flag, targeting_key, attributes, details)
        return Answer(details=details, steps=tuple(asked.steps()))

    def test(self, condition: Condition, targeting_key: str | None, attributes: Attributes) -> Tested:
        """A condition and all within it, each as the evaluator has it."""
        met = self._conditions.compile(condition)(targeting_key, attributes)
        match condition:
            case AllOf(conditions) | AnyOf(conditions):
                inner = tuple(self.test(each, targeting_key, attributes) for each in conditions)
                return Tested(condition=condition, met=met, inner=inner)
            case Not(within):
                return Tested(condition=condition, met=met, inner=(self.test(within, targeting_key, attributes),))
            case InSegment(name):
                within = self._ruleset.segments[name]
                return Tested(condition=condition, met=met, inner=(self.test(within, targeting_key, attributes),))
            case Comparison(attribute=attribute):
                given = targeting_key if attribute == TARGETING_KEY else attributes.get(attribute)
                return Tested(condition=condition, met=met, given=given)

    def served(self, flag_key: str, targeting_key: str | None, attributes: Attributes) -> str | None:
        """The variant that a flag serves."""
        return evaluate(self._compiled, flag_key, targeting_key, attributes=attributes).variant


#: What a step that gives the answer is called where the evaluator could not say which: it failed there.
_FAILED: Final = frozenset({ErrorCode.TARGETING_KEY_MISSING, ErrorCode.INVALID_CONTEXT})


class _Asked:
    """One flag, asked for one context."""

    def __init__(
        self,
        playground: Playground,
        flag: Flag,
        targeting_key: str | None,
        attributes: Attributes,
        details: EvaluationDetails,
    ) -> None:
        self._playground = playground
        self._flag = flag
        self._key = targeting_key
        self._attributes = attributes
        self._failed = details.error_code in _FAILED
        self._decided_by = details.decided_by

    def steps(self) -> Iterator[Step]:
        """In their order, up to the one that the evaluator names, or at which it could not go on."""
        for step, applies in self._candidates():
            if step.path == self._decided_by or (applies and self._decided_by is None):
                outcome = Outcome.FAILED if self._failed else Outcome.DECIDED
                yield replace(step, outcome=outcome)
                return
            yield step

    def _candidates(self) -> Iterator[tuple[Step, bool]]:
        """Every step there is, and whether it would give the answer."""
        flag = self._flag
        if not flag.enabled:
            yield Step(path="state", outcome=Outcome.PASSED), True
        for index, needed in enumerate(flag.prerequisites):
            served = self._playground.served(needed.flag, self._key, self._attributes)
            path = f"prerequisites[{index}]"
            step = Step(path=path, outcome=Outcome.PASSED, needed=needed, served=served)
            yield step, served not in needed.variants
        yield from self._lists()
        for index, rule in enumerate(flag.rules):
            tested = self._playground.test(rule.condition, self._key, self._attributes)
            yield Step(path=f"rules[{index}]", outcome=Outcome.PASSED, tested=tested), tested.met
        if flag.pilot is not None and flag.rollout is not None:
            yield self._pilot(flag.pilot)
        if flag.rollout is None:
            yield Step(path="default_variant", outcome=Outcome.PASSED), True
        else:
            yield from self._rollout(flag.rollout)

    def _lists(self) -> Iterator[tuple[Step, bool]]:
        """Who is in both is denied."""
        flag = self._flag
        if flag.deny:
            named = self._key in flag.deny
            yield Step(path="deny", outcome=Outcome.PASSED, named=named), named
        for variant, keys in flag.allow.items():
            named = self._key in keys
            yield Step(path=f"allow.{variant}", outcome=Outcome.PASSED, named=named), named

    def _pilot(self, pilot: Pilot) -> tuple[Step, bool]:
        condition = pilot.condition
        tested = None if condition is None else self._playground.test(condition, self._key, self._attributes)
        out = self._key in pilot.opted_out
        named = False if out else self._key in pilot.keys if pilot.keys else None
        is_in = named is not False and (tested is None or tested.met)
        return Step(path="pilot", outcome=Outcome.PASSED, tested=tested, named=named, opted_out=out), is_in

    def _rollout(self, rollout: Rollout) -> Iterator[tuple[Step, bool]]:
        bucket = self._bucket(rollout)
        has_holdout = rollout.holdout is not None and rollout.holdout.weight > 0
        if has_holdout and rollout.weight > 0 and (bucket is None or bucket.is_in):
            yield Step(path="rollout.holdout", outcome=Outcome.PASSED), False
        yield Step(path="rollout", outcome=Outcome.PASSED, bucket=bucket), True

    def _bucket(self, rollout: Rollout) -> Bucket | None:
        flag = self._flag
        key = self._key if flag.bucket_by is None else self._attributes.get(flag.bucket_by)
        if not isinstance(key, str) or not key:
            return None
        try:
            number = bucket_of(flag_hash(flag)(key))
        except UnicodeEncodeError:
            return None
        return Bucket(key=key, number=number, weight=rollout.weight)
