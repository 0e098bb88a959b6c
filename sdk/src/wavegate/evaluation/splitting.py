"""Splits as closures: who gets which of several answers, by the hash of their key.

These run for every request of every app, so each does one thing and calls nothing it need not.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, Generic, TypeAlias, TypeVar

from wavegate.evaluation.bucketing import KeyHash, digest, first_hash_outside, key_hash, prefix_of
from wavegate.evaluation.flag import Flag
from wavegate.evaluation.matching import Attributes

T = TypeVar("T")
#: Targeting key and attributes to an answer.
Choose: TypeAlias = Callable[[Any, Attributes], T]

# Prefixes of longer keys are not remembered: there could be any number of them.
_LONGEST_REMEMBERED: Final = 64


@dataclass(frozen=True, slots=True)
class Errors(Generic[T]):
    """What to answer who cannot be put in an arm: without a key, or with one that has no hash."""

    missing: T
    unusable: T


def constant(answer: T) -> Choose[T]:
    """The same for everybody."""

    def choose(_targeting_key: Any, _attributes: Attributes) -> T:
        return answer

    return choose


def two_arms(flag: Flag, weight: int, inside: T, outside: T, errors: Errors[T]) -> Choose[T]:
    """One answer for the weight's share of the keys, another for the rest: what most flags are most of the time."""
    prefix = prefix_of(flag.generation, flag.salt or flag.key, joined=_is_joined(flag))
    prefixes: dict[int, bytes] = {}
    limit = first_hash_outside(weight)

    def choose(targeting_key: Any, _attributes: Attributes) -> T:
        try:
            text = targeting_key.encode()
            return inside if digest(prefixes[len(text)] + text) < limit else outside
        except Exception:  # noqa: BLE001 # the first key of its length, or none; a caller's object may raise anything
            return slowly(targeting_key)

    def slowly(targeting_key: Any) -> T:
        try:
            # Keys that are empty would all share one bucket, so they are no keys.
            if not targeting_key:
                return errors.missing if is_no_key(targeting_key) else errors.unusable
            text = targeting_key.encode()
            before = prefix(len(text))
            if len(text) <= _LONGEST_REMEMBERED:
                prefixes[len(text)] = before
            return inside if digest(before + text) < limit else outside
        except Exception:  # noqa: BLE001 # as above
            return errors.unusable

    return _by_key_or_attribute(flag, choose)


def arms(flag: Flag, cuts: list[int], choices: list[Choose[T]], errors: Errors[T]) -> Choose[T]:
    """Several ways on, by where in the flag's own buckets a key falls; `cuts` are the weights between them."""
    return _arms(flag, flag_hash(flag), cuts, choices, errors)


def derived_arms(flag: Flag, salt: str, cuts: list[int], choices: list[Choose[T]], errors: Errors[T]) -> Choose[T]:
    """The same by a hash of its own, which is independent of the flag's."""
    return _arms(flag, key_hash(flag.generation, salt, joined=True), cuts, choices, errors)


def flag_hash(flag: Flag) -> KeyHash:
    """The hash that the flag's arms and cohorts go by."""
    return key_hash(flag.generation, flag.salt or flag.key, joined=_is_joined(flag))


def cuts_between(weights: list[int]) -> list[int]:
    """Where one share ends and the next begins."""
    return list(accumulate(weights))[:-1]


def is_no_key(value: Any) -> bool:
    """Whether this is what a caller passes who has no key."""
    return value is None or type(value) is str


def _arms(flag: Flag, hashed: KeyHash, cuts: list[int], choices: list[Choose[T]], errors: Errors[T]) -> Choose[T]:
    limits = [first_hash_outside(cut) for cut in cuts]
    missing, unusable = constant(errors.missing), constant(errors.unusable)
    bucket_by = flag.bucket_by

    def choose(targeting_key: Any, attributes: Attributes) -> T:
        try:
            key = targeting_key if bucket_by is None else attributes.get(bucket_by)
            way = choices[bisect_right(limits, hashed(key))] if key else missing if is_no_key(key) else unusable
        except Exception:  # noqa: BLE001 # as above
            way = unusable
        return way(targeting_key, attributes)

    return choose


def _by_key_or_attribute(flag: Flag, choose: Choose[T]) -> Choose[T]:
    bucket_by = flag.bucket_by
    if bucket_by is None:
        return choose

    def choose_by_attribute(_targeting_key: Any, attributes: Attributes) -> T:
        try:
            value = attributes.get(bucket_by)
        except Exception:  # noqa: BLE001 # as above
            value = None
        return choose(value, attributes)

    return choose_by_attribute


def _is_joined(flag: Flag) -> bool:
    return flag.salt is not None or flag.bucket_by is not None
