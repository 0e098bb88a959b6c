"""A ruleset as flagd's flag definitions, so that its evaluators in any language put the same people in the same arms.

What flagd cannot say the same way is refused, with the reason, and left out: an approximation would put somebody in
another arm and nobody would see it. docs/flagd.md has what becomes of what.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from wavegate.evaluation import (
    FULL_WEIGHT,
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Flag,
    Generation,
    InSegment,
    Not,
    Operator,
    Rollout,
    Ruleset,
    Serve,
)

#: JSON Logic.
Logic: TypeAlias = Any
#: A condition, and what is served to who meets it.
Branch: TypeAlias = tuple[Logic, Logic]

_SCHEMA: Final = "https://flagd.dev/schema/v0/flags.json"
#: The targeting key, in our conditions and in flagd's contexts.
_OUR_KEY: Final = "targeting_key"
_KEY: Final = {"var": "targetingKey"}
#: Names that flagd's contexts have for their own purposes.
_TAKEN: Final = frozenset({"targetingKey", "$flagd"})
#: A value type of flagd's to the types of ours.
_VALUES: Final = ({bool}, {int, float}, {str}, {dict})
_NUMERIC: Final = frozenset({Operator.LESS, Operator.AT_MOST, Operator.GREATER, Operator.AT_LEAST})


class CannotExpress(Exception):
    """flagd has no way to say this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlagdExport:
    """flagd's document, and why it lacks what it lacks.

    Attributes:
        document: the flag definitions.
        refused: flag key to the reason.
    """

    document: dict[str, Any]
    refused: Mapping[str, str]


def export(ruleset: Ruleset, generation: Generation | None = None) -> FlagdExport:
    """All flags that flagd can evaluate as the SDK does.

    Args:
        ruleset: what is exported.
        generation: the bucketing of the evaluators that will read it; flags that split people by the other one are
            refused. With None none is, and each evaluator must be of the generation that a flag's metadata name.
    """
    flags: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for key, flag in ruleset.flags.items():
        try:
            flags[key] = _Writer(ruleset, generation).definition(flag)
        except CannotExpress as reason:
            refused[key] = str(reason)
    metadata: dict[str, Any] = {"flagSetId": ruleset.environment, "version": str(ruleset.revision)}
    if refused:
        metadata["refused"] = "; ".join(f"{key}: {reason}" for key, reason in refused.items())
    return FlagdExport(document={"$schema": _SCHEMA, "metadata": metadata, "flags": flags}, refused=refused)


class _Writer:
    """Writes one flag, and those that it needs."""

    def __init__(self, ruleset: Ruleset, generation: Generation | None) -> None:
        self._ruleset = ruleset
        self._generation = generation
        self._splits = False

    def definition(self, flag: Flag) -> dict[str, Any]:
        """In flagd's words."""
        kinds = {type(value) for value in flag.variants.values()}
        if not any(kinds <= same for same in _VALUES):
            raise CannotExpress("has variants that are not all booleans, all numbers, all strings or all objects")
        targeting = self._flag(flag, inlined=False)
        if self._splits and self._generation is not None and flag.generation is not self._generation:
            raise CannotExpress(f"splits people by generation {flag.generation}, and {self._generation} was asked for")
        definition: dict[str, Any] = {
            # One that flagd knows as disabled it does not evaluate at all, and apps get the default in their code.
            "state": "ENABLED",
            "variants": dict(flag.variants),
            "defaultVariant": flag.default_variant,
        }
        if targeting != flag.default_variant:
            definition["targeting"] = {"if": [True, targeting]} if isinstance(targeting, str) else targeting
        metadata: dict[str, Any] = {"generation": flag.generation.value} if self._splits else {}
        if not flag.enabled:
            metadata["disabled"] = True
        if metadata:
            definition["metadata"] = metadata
        return definition

    def _flag(self, flag: Flag, *, inlined: bool) -> Logic:
        """Logic that gives the name of a variant: the steps of the SDK, in their order."""
        if not flag.enabled:
            return flag.default_variant
        split = _Split(flag, inlined=inlined)
        branches = [
            *self._prerequisites(flag),
            *_lists(flag),
            *((self._condition(rule.condition), split.serve(rule.serve)) for rule in flag.rules),
            *self._pilot(flag, split),
        ]
        rest = flag.default_variant if flag.rollout is None else split.rollout(flag.rollout)
        self._splits = self._splits or split.used
        if not branches:
            return rest
        return {"if": [part for branch in branches for part in branch] + [rest]}

    def _prerequisites(self, flag: Flag) -> Iterable[Branch]:
        for prerequisite in flag.prerequisites:
            needed = self._ruleset.flags[prerequisite.flag]
            if needed.generation is not flag.generation:
                raise CannotExpress(f"needs {needed.key}, which is of another bucketing generation")
            served = self._flag(needed, inlined=True)
            yield {"!": [{"in": [served, list(prerequisite.variants)]}]}, flag.default_variant

    def _pilot(self, flag: Flag, split: "_Split") -> Iterable[Branch]:
        pilot = flag.pilot
        if pilot is None or flag.rollout is None:
            return
        people = [key for key in pilot.keys if key not in pilot.opted_out]
        asked: list[Logic] = []
        if pilot.keys:
            if not people:
                return
            asked.append({"in": [_KEY, people]})
        if pilot.condition is not None:
            asked.append(self._condition(pilot.condition))
            if not pilot.keys and pilot.opted_out:
                asked.append({"!": [{"in": [_KEY, list(pilot.opted_out)]}]})
        yield (asked[0] if len(asked) == 1 else {"and": asked}), split.candidate(flag.rollout)

    def _condition(self, condition: Condition) -> Logic:
        match condition:
            case InSegment(name):
                return self._condition(self._ruleset.segments[name])
            case AllOf(conditions):
                return {"and": [self._condition(inner) for inner in conditions]}
            case AnyOf(conditions):
                return {"or": [self._condition(inner) for inner in conditions]}
            case Not(inner):
                return {"!": [self._condition(inner)]}
            case Comparison():
                return _comparison(condition)


class _Split:
    """flagd's `fractional` for one flag, by the hash that the SDK uses for it."""

    def __init__(self, flag: Flag, *, inlined: bool) -> None:
        self._flag = flag
        self._inlined = inlined
        self.used = False

    def serve(self, serve: Serve) -> Logic:
        """One variant, or a split by the flag's own hash."""
        if isinstance(serve, str):
            return serve
        return self._guarded(self._own([(share.variant, share.weight) for share in serve]))

    def candidate(self, rollout: Rollout) -> Logic:
        """What who is in gets."""
        return self._guarded(self._candidate(rollout))

    def rollout(self, rollout: Rollout) -> Logic:
        """Stable or candidate, by the percentage and the hold-out."""
        return self._guarded(self._percentage(rollout))

    def _guarded(self, logic: Logic) -> Logic:
        """Nobody in particular is in no arm: the SDK answers with an error, flagd with the default variant."""
        if isinstance(logic, str) or type(logic.get("fractional", [{}])[0]) is list:
            return logic
        return {"if": [{"!": [self._key()]}, None, logic]}

    def _key(self) -> Logic:
        by = self._flag.bucket_by
        return _KEY if by is None else _variable(by)

    def _candidate(self, rollout: Rollout) -> Logic:
        """The candidate, or one of several by a hash that knows nothing of how large their common share is."""
        candidate, flag = rollout.candidate, self._flag
        if isinstance(candidate, str):
            return candidate
        shares = [(share.variant, share.weight) for share in candidate]
        return self._derived(f"{flag.salt or flag.key}:candidates:", shares)

    def _percentage(self, rollout: Rollout) -> Logic:
        if rollout.weight == 0:
            return rollout.stable
        inside = self._candidate(rollout)
        weight, rest = rollout.weight, FULL_WEIGHT - rollout.weight
        holdout = rollout.holdout
        if holdout is None or holdout.weight == 0:
            if rest == 0:
                return inside
            if isinstance(inside, str):
                return self._own([(inside, weight), (rollout.stable, rest)])
            return {"if": [self._is_in(self._own([("in", weight), ("out", rest)])), inside, rollout.stable]}
        salt = f"{holdout.salt or self._flag.key}:holdout:"
        held = self._derived(salt, [("out", holdout.weight), ("in", FULL_WEIGHT - holdout.weight)])
        branches = [self._is_in(held)]
        if rest:
            branches.insert(0, self._is_in(self._own([("in", weight), ("out", rest)])))
        asked = branches[0] if len(branches) == 1 else {"and": branches}
        return {"if": [asked, inside, rollout.stable]}

    def _own(self, shares: Sequence[tuple[str, int]]) -> Logic:
        flag = self._flag
        if flag.salt is None and flag.bucket_by is None:
            if not self._inlined:
                # flagd's short form, which hashes flag key and targeting key.
                return self._fractional(None, shares)
            if flag.generation is Generation.V3:
                raise CannotExpress(f"needs {flag.key}, whose people flagd can only split under its own key; salt it")
        return self._derived(flag.salt or flag.key, shares)

    def _derived(self, salt: str, shares: Sequence[tuple[str, int]]) -> Logic:
        return self._fractional({"cat": [salt, self._key()]}, shares)

    def _fractional(self, bucket_by: Logic | None, shares: Sequence[tuple[str, int]]) -> Logic:
        self.used = True
        parts = [[name, weight] for name, weight in shares if weight]
        if len(parts) == 1:
            return parts[0][0]
        return {"fractional": [*([] if bucket_by is None else [bucket_by]), *parts]}

    @staticmethod
    def _is_in(fractional: Logic) -> Logic:
        return {"==": [fractional, "in"]}


def _lists(flag: Flag) -> Iterable[Branch]:
    """Who is denied first: that is also whom the SDK denies who is in both lists."""
    if flag.deny:
        stable = flag.default_variant if flag.rollout is None else flag.rollout.stable
        yield {"in": [_KEY, list(flag.deny)]}, stable
    for variant, keys in flag.allow.items():
        if keys:
            yield {"in": [_KEY, list(keys)]}, variant


def _comparison(condition: Comparison) -> Logic:
    sign, value = condition.operator, condition.value
    found = _variable(condition.attribute)
    values: Sequence[Any] = value if isinstance(value, tuple) else (value,)
    if sign is Operator.EXISTS:
        return _there(found)
    if sign is Operator.EQUALS:
        return _equals(found, value)
    if sign is Operator.IN:
        return _among(found, values)
    if sign is Operator.CONTAINS:
        if not all(isinstance(part, str) for part in values):
            raise CannotExpress("looks for numbers or booleans in a list, which flagd would find in texts as well")
        return _any(values, lambda part: {"in": [part, found]})
    if sign is Operator.STARTS_WITH or sign is Operator.ENDS_WITH:
        return _any(values, lambda part: {sign.value: [found, part]})
    if sign in _NUMERIC:
        # To JSON Logic nothing is 0.
        return {"and": [_there(found), {sign.value: [found, value]}]}
    if sign.startswith("semver"):
        return {"and": [_there(found), {"sem_ver": [found, sign.removeprefix("semver"), value]}]}
    if sign is Operator.MATCHES:
        raise CannotExpress("matches a regular expression, which flagd does not know")
    raise CannotExpress("compares dates, which flagd does not know")


def _there(found: Logic) -> Logic:
    # Not `!=`: to some languages' JSON Logic 0 is nothing, loosely.
    return {"!==": [found, None]}


def _equals(found: Logic, value: Any) -> Logic:
    if isinstance(value, bool | str):
        return {"===": [found, value]}
    # Not `===`: some languages tell 1 from 1.0.
    return {"and": [_there(found), {">=": [found, value]}, {"<=": [found, value]}]}


def _among(found: Logic, values: Sequence[Any]) -> Logic:
    texts = [value for value in values if isinstance(value, str)]
    others = [_equals(found, value) for value in values if not isinstance(value, str)]
    asked = ([{"in": [found, texts]}] if texts else []) + others
    return asked[0] if len(asked) == 1 else {"or": asked}


def _any(values: Sequence[Any], ask: Callable[[Any], Logic]) -> Logic:
    asked = [ask(value) for value in values]
    return asked[0] if len(asked) == 1 else {"or": asked}


def _variable(attribute: str) -> Logic:
    if attribute == _OUR_KEY:
        return _KEY
    if attribute in _TAKEN:
        raise CannotExpress(f"asks for an attribute {attribute}, a name that flagd keeps to itself")
    if "." in attribute:
        raise CannotExpress(f"asks for an attribute {attribute}, whose dot flagd takes for a way into an object")
    return {"var": attribute}
