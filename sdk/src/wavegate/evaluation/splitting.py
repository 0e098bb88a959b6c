"""Splits as closures: who gets which of several answers, by the hash of their key.

These run for every request of every app, so each does one thing and calls nothing it need not.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final, TypeAlias, TypeVar

from wavegate.evaluation.bucketing import KeyHash, digest, first_hash_outside, key_hash, prefix_of
from wavegate.evaluation.details import ErrorCode
from wavegate.evaluation.flag import Flag
from wavegate.evaluation.matching import Attributes, Bound, Matches, Scalars

T = TypeVar("T")
#: Targeting key and attributes to an answer.
Choose: TypeAlias = Callable[[Any, Attributes], T]
#: A rule: who matches is served. Where no call is needed to say who does, what is compared stands first.
Step: TypeAlias = tuple[str, Scalars | None, Bound | None, Matches, Choose[T]]
#: What stands before keys of so many bytes when they are hashed; None where it was not needed yet.
Prefixes: TypeAlias = list[Any]

# Prefixes of longer keys are not remembered: there could be any number of them.
_LONGEST_REMEMBERED: Final = 64
_NO_BOUND: Final[tuple[float | None, bool]] = (None, False)


#: What to answer who cannot be put in an arm: without a key, or with one that has no hash. Rare, so made when needed.
Errors: TypeAlias = Callable[[ErrorCode], T]


def constant(answer: T) -> Choose[T]:
    """The same for everybody."""

    def choose(_targeting_key: Any, _attributes: Attributes) -> T:
        return answer

    return choose


def two_arms(
    flag: Flag, weight: int, inside: T, outside: T, errors: Errors[T], rules: Sequence[Step[T]] = ()
) -> Choose[T]:
    """One answer for the weight's share of the keys, another for the rest: what most flags are most of the time.

    What stands before a key when it is hashed is remembered by the key's length, for there are few lengths.
    """
    hashing = prefix_of(flag.generation, flag.salt or flag.key, joined=is_joined(flag))
    prefixes: Prefixes = []
    limit = first_hash_outside(weight)

    def choose(targeting_key: Any, _attributes: Attributes) -> T:
        try:
            text = targeting_key.encode()
            return inside if digest(prefixes[len(text)] + text) < limit else outside
        except Exception:  # noqa: BLE001 # the first key of its length, or none; a caller's object may raise anything
            return slowly(targeting_key, _attributes)

    def slowly(targeting_key: Any, _attributes: Attributes) -> T:
        try:
            # Keys that are empty would all share one bucket, so they are no keys.
            if not targeting_key:
                return errors(no_key(targeting_key))
            text = targeting_key.encode()
            prefix = hashing(len(text))
            if 0 < len(text) <= _LONGEST_REMEMBERED:
                # Of two threads at once both may lengthen the list, which then is longer than it need be.
                prefixes.extend([None] * (len(text) + 1 - len(prefixes)))
                prefixes[len(text)] = prefix
            return inside if digest(prefix + text) < limit else outside
        except Exception:  # noqa: BLE001 # as above
            return errors(ErrorCode.INVALID_CONTEXT)

    if flag.bucket_by is not None:
        return by_steps(rules, _by_attribute(flag.bucket_by, choose))
    if not rules:
        return choose
    after_rules = _after_rules if len(rules) < 3 else _after_three_rules  # noqa: PLR2004 # as the name says
    return after_rules(rules, prefixes, limit, inside, outside, by_steps(rules, slowly))


def _after_rules(
    rules: Sequence[Step[T]], prefixes: Prefixes, limit: int, inside: T, outside: T, slowly: Choose[T]
) -> Choose[T]:
    """Rules and two arms in one closure, because a call costs a tenth of all there is to do."""

    def choose(targeting_key: Any, attributes: Attributes) -> T:
        try:
            for name, texts, _, matches, serve in rules:
                if attributes.get(name) in texts if texts is not None else matches(targeting_key, attributes):
                    return serve(targeting_key, attributes)
            text = targeting_key.encode()
            return inside if digest(prefixes[len(text)] + text) < limit else outside
        except Exception:  # noqa: BLE001 # as above; and what has no hash is among no texts
            return slowly(targeting_key, attributes)

    return choose


def _after_three_rules(
    rules: Sequence[Step[T]], prefixes: Prefixes, limit: int, inside: T, outside: T, slowly: Choose[T]
) -> Choose[T]:
    """The same for three rules or more, the first of which are written out: a turn of a loop costs half a rule.

    Integers are compared with a bound at once; for any other number there is the rule's own closure.
    """
    (name_1, name_2, name_3), (texts_1, texts_2, texts_3), bounds, matches, serve = zip(*rules[:3], strict=True)
    (edge_1, above_1), (edge_2, above_2), (edge_3, above_3) = (bound or _NO_BOUND for bound in bounds)
    after_more = _after_rules(rules[3:], prefixes, limit, inside, outside, slowly) if rules[3:] else None

    # All but two are constants: so many of them are faster to reach as defaults than as variables of the outside.
    def choose(  # noqa: PLR0913, PLR0917
        targeting_key: Any,
        attributes: Attributes,
        name_1: str = name_1,
        texts_1: Scalars | None = texts_1,
        edge_1: float | None = edge_1,
        above_1: bool = above_1,
        name_2: str = name_2,
        texts_2: Scalars | None = texts_2,
        edge_2: float | None = edge_2,
        above_2: bool = above_2,
        name_3: str = name_3,
        texts_3: Scalars | None = texts_3,
        edge_3: float | None = edge_3,
        above_3: bool = above_3,
        prefixes: Prefixes = prefixes,
        limit: int = limit,
        inside: T = inside,
        outside: T = outside,
        matches: Sequence[Matches] = matches,
        serve: Sequence[Choose[T]] = serve,
    ) -> T:
        try:
            if (
                attributes.get(name_1) in texts_1
                if texts_1 is not None
                else (number > edge_1 if above_1 else number < edge_1)
                if edge_1 is not None and type(number := attributes.get(name_1)) is int
                else matches[0](targeting_key, attributes)
            ):
                return serve[0](targeting_key, attributes)
            if (
                attributes.get(name_2) in texts_2
                if texts_2 is not None
                else (number > edge_2 if above_2 else number < edge_2)
                if edge_2 is not None and type(number := attributes.get(name_2)) is int
                else matches[1](targeting_key, attributes)
            ):
                return serve[1](targeting_key, attributes)
            if (
                attributes.get(name_3) in texts_3
                if texts_3 is not None
                else (number > edge_3 if above_3 else number < edge_3)
                if edge_3 is not None and type(number := attributes.get(name_3)) is int
                else matches[2](targeting_key, attributes)
            ):
                return serve[2](targeting_key, attributes)
            if after_more is not None:
                return after_more(targeting_key, attributes)
            text = targeting_key.encode()
            return inside if digest(prefixes[len(text)] + text) < limit else outside
        except Exception:  # noqa: BLE001 # as above
            return slowly(targeting_key, attributes)

    return choose


def by_steps(steps: Sequence[Step[T]], rest: Choose[T]) -> Choose[T]:
    """The first whose condition is met serves."""
    if not steps:
        return rest

    def choose(targeting_key: Any, attributes: Attributes) -> T:
        for *_, matches, serve in steps:
            if matches(targeting_key, attributes):
                return serve(targeting_key, attributes)
        return rest(targeting_key, attributes)

    return choose


def arms(flag: Flag, cuts: list[int], choices: list[Choose[T]], errors: Errors[T]) -> Choose[T]:
    """Several ways on, by where in the flag's own buckets a key falls; `cuts` are the weights between them."""
    return _arms(flag, flag_hash(flag), cuts, choices, errors)


def derived_arms(flag: Flag, salt: str, cuts: list[int], choices: list[Choose[T]], errors: Errors[T]) -> Choose[T]:
    """The same by a hash of its own, which is independent of the flag's."""
    return _arms(flag, key_hash(flag.generation, salt, joined=True), cuts, choices, errors)


def flag_hash(flag: Flag) -> KeyHash:
    """The hash that the flag's arms and cohorts go by."""
    return key_hash(flag.generation, flag.salt or flag.key, joined=is_joined(flag))


def cuts_between(weights: list[int]) -> list[int]:
    """Where one share ends and the next begins."""
    return list(accumulate(weights))[:-1]


def no_key(value: Any) -> ErrorCode:
    """What is wrong with an empty value: it is missing, or it is no key at all."""
    is_missing = value is None or type(value) is str
    return ErrorCode.TARGETING_KEY_MISSING if is_missing else ErrorCode.INVALID_CONTEXT


def is_joined(flag: Flag) -> bool:
    """Whether salt and key are hashed as one text."""
    return flag.salt is not None or flag.bucket_by is not None


def _arms(flag: Flag, hashed: KeyHash, cuts: list[int], choices: list[Choose[T]], errors: Errors[T]) -> Choose[T]:
    limits = [first_hash_outside(cut) for cut in cuts]
    bucket_by = flag.bucket_by

    def choose(targeting_key: Any, attributes: Attributes) -> T:
        try:
            key = targeting_key if bucket_by is None else attributes.get(bucket_by)
            if not key:
                return errors(no_key(key))
            way = choices[bisect_right(limits, hashed(key))]
        except Exception:  # noqa: BLE001 # as above
            return errors(ErrorCode.INVALID_CONTEXT)
        return way(targeting_key, attributes)

    return choose


def _by_attribute(bucket_by: str, choose: Choose[T]) -> Choose[T]:
    def choose_by_attribute(_targeting_key: Any, attributes: Attributes) -> T:
        try:
            value = attributes.get(bucket_by)
        except Exception:  # noqa: BLE001 # as above
            value = None
        return choose(value, attributes)

    return choose_by_attribute
