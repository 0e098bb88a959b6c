"""Conditions as closures: made once, asked with a targeting key and attributes, never raising.

What a caller passes may be anything. Where looking at it raises, it is of the wrong type, and what
is of the wrong type does not match. The closures that are asked most look at exact types first and
call nothing they need not.
"""

import operator
from collections.abc import Callable, Mapping
from sys import intern
from typing import Any, Final, TypeAlias

from wavegate.evaluation.conditions import (
    NUMERIC,
    TARGETING_KEY,
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    InSegment,
    Not,
    Operator,
    Scalar,
)

Attributes: TypeAlias = Mapping[str, Any]
#: Targeting key and attributes to whether they match.
Matches: TypeAlias = Callable[[Any, Attributes], bool]
Scalars: TypeAlias = frozenset[Scalar]
#: A number, and whether the integers that match are those above it or those below.
Bound: TypeAlias = tuple[float, bool]

_AMONG: Final = frozenset({Operator.EQUALS, Operator.IN})
_SIGNS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compile_condition(condition: Condition, segments: Mapping[str, Matches]) -> Matches:
    """The closure of a condition; `segments` has those that it names."""
    match condition:
        case InSegment(name):
            return segments[name]
        case AllOf(conditions):
            return _all([compile_condition(inner, segments) for inner in conditions])
        case AnyOf(conditions):
            return _any([compile_condition(inner, segments) for inner in conditions])
        case Not(inner):
            return _not(compile_condition(inner, segments))
        case Comparison():
            matches = _comparison(condition)
            return _of_the_key(matches) if condition.attribute == TARGETING_KEY else matches


def without_call(condition: Condition) -> tuple[str, Scalars | None, Bound | None]:
    """An attribute, and what it is compared with where that is texts to be among, or a bound for integers.

    It is so for most rules there are, and these can be asked without a call. A bound says nothing of
    values that are no integers.
    """
    if not isinstance(condition, Comparison) or condition.attribute == TARGETING_KEY:
        return "", None, None
    sign, values = condition.operator, _values(condition)
    # Interned as the names of keyword arguments are, so that a name is found by looking where it is, not what.
    name = intern(_exact(condition.attribute))
    if sign in _AMONG and all(type(one) is str for one in values):
        return name, frozenset(values), None
    return name, None, _bound(sign, condition.value)


def _bound(sign: Operator, limit: Any) -> Bound | None:
    if sign is Operator.GREATER or sign is Operator.LESS:
        return limit, sign is Operator.GREATER
    if sign is Operator.AT_LEAST and type(limit) is int:
        return limit - 1, True
    if sign is Operator.AT_MOST and type(limit) is int:
        return limit + 1, False
    return None


def _all(conditions: list[Matches]) -> Matches:
    def matches(targeting_key: Any, attributes: Attributes) -> bool:
        for condition in conditions:  # noqa: SIM110 # `all` with a generator takes twice as long
            if not condition(targeting_key, attributes):
                return False
        return True

    return matches


def _any(conditions: list[Matches]) -> Matches:
    def matches(targeting_key: Any, attributes: Attributes) -> bool:
        for condition in conditions:  # noqa: SIM110 # as above
            if condition(targeting_key, attributes):
                return True
        return False

    return matches


def _not(condition: Matches) -> Matches:
    def matches(targeting_key: Any, attributes: Attributes) -> bool:
        return not condition(targeting_key, attributes)

    return matches


def _of_the_key(condition: Matches) -> Matches:
    def matches(targeting_key: Any, _attributes: Attributes) -> bool:
        return condition(None, {TARGETING_KEY: targeting_key})

    return matches


def _comparison(condition: Comparison) -> Matches:
    name, sign, value, values = (
        intern(_exact(condition.attribute)),
        condition.operator,
        condition.value,
        _values(condition),
    )
    if sign in _AMONG:
        # Strings only, as nearly always: then nothing but a string can be among them.
        if all(type(one) is str for one in values):
            return _is_among(name, frozenset(values))
        return _is(name, _among(values))
    if sign in NUMERIC:
        return _number(name, _SIGNS[sign], value)
    # Looking for one text takes less time than looking for a tuple of one.
    if sign is Operator.STARTS_WITH:
        return _starts_with(name, values[0] if len(values) == 1 else values)
    if sign is Operator.ENDS_WITH:
        return _ends_with(name, values[0] if len(values) == 1 else values)
    return _is(name, _test(sign, value, values))


def _values(condition: Comparison) -> tuple[Scalar, ...]:
    value = condition.value
    return value if isinstance(value, tuple) else () if value is None else (value,)


def _is_among(name: str, texts: Scalars) -> Matches:
    def matches(_targeting_key: Any, attributes: Attributes) -> bool:
        try:
            return attributes.get(name) in texts
        except Exception:  # noqa: BLE001 # unhashable, or worse: the wrong type
            return False

    return matches


def _starts_with(name: str, beginnings: Any) -> Matches:
    def matches(_targeting_key: Any, attributes: Attributes) -> bool:
        try:
            value = attributes.get(name)
            if type(value) is str:
                return value.startswith(beginnings)
            return _is_text(value) and str.startswith(value, beginnings)  # type: ignore[arg-type] # it is
        except Exception:  # noqa: BLE001 # as above
            return False

    return matches


def _ends_with(name: str, endings: Any) -> Matches:
    def matches(_targeting_key: Any, attributes: Attributes) -> bool:
        try:
            value = attributes.get(name)
            if type(value) is str:
                return value.endswith(endings)
            return _is_text(value) and str.endswith(value, endings)  # type: ignore[arg-type] # it is
        except Exception:  # noqa: BLE001 # as above
            return False

    return matches


def _number(name: str, compare: Callable[[Any, Any], bool], limit: Any) -> Matches:
    def matches(_targeting_key: Any, attributes: Attributes) -> bool:
        try:
            value = attributes.get(name)
            kind = type(value)
            if kind is int or kind is float:
                return compare(value, limit)
            return _is_number(value) and bool(compare(value, limit))
        except Exception:  # noqa: BLE001 # as above
            return False

    return matches


def _is(name: str, test: Callable[[Any], Any]) -> Matches:
    """Whether the test says so of the attribute, for all tests that take their time anyway."""

    def matches(_targeting_key: Any, attributes: Attributes) -> bool:
        try:
            value = attributes.get(name)
            return value is not None and bool(test(value))
        except Exception:  # noqa: BLE001 # as above
            return False

    return matches


def _test(sign: Operator, value: Any, values: tuple[Scalar, ...]) -> Callable[[Any], Any]:
    if sign is Operator.EXISTS:
        return lambda _: True
    if sign is Operator.CONTAINS:
        return _contains(values)
    # There since such a condition was first read.
    if sign is Operator.MATCHES:
        from wavegate.evaluation.pattern import compile_pattern  # noqa: PLC0415

        found = compile_pattern(value)
        return lambda given: _is_text(given) and found(_exact(given))
    if sign.startswith("semver"):
        from wavegate.evaluation.semver import read_version  # noqa: PLC0415

        compare_versions, version = _SIGNS[sign.removeprefix("semver")], read_version(value)
        return lambda given: (
            _is_text(given) and (read := read_version(_exact(given))) is not None and compare_versions(read, version)
        )
    from wavegate.evaluation.instants import read_instant  # noqa: PLC0415

    compare_instants, instant = _SIGNS[sign.removeprefix("date")], read_instant(value)
    return lambda given: (read := read_instant(given)) is not None and compare_instants(read, instant)


def _among(values: tuple[Scalar, ...]) -> Callable[[Any], bool]:
    """Whether a value is one of these, where 1 is 1.0 but neither is true."""
    booleans = frozenset(value for value in values if type(value) is bool)
    numbers = frozenset(value for value in values if type(value) in (int, float))
    texts = frozenset(value for value in values if type(value) is str)

    def test(given: Any) -> bool:
        if type(given) is bool:
            return given in booleans
        return given in (numbers if _is_number(given) else texts)

    return test


def _contains(values: tuple[Scalar, ...]) -> Callable[[Any], bool]:
    parts = [value for value in values if type(value) is str]
    among = _among(values)

    def test(given: Any) -> bool:
        if _is_text(given):
            return any(part in given for part in parts)
        return issubclass(type(given), (list, tuple, set, frozenset)) and any(map(_forgiving(among), given))

    return test


def _forgiving(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """One odd member says nothing of the others."""

    def forgiving(given: Any) -> bool:
        try:
            return test(given)
        except Exception:  # noqa: BLE001 # as above
            return False

    return forgiving


# Not isinstance, here and below: that asks the object for its class, and a broken proxy raises.
def _is_text(value: Any) -> bool:
    return issubclass(type(value), str)


def _is_number(value: Any) -> bool:
    kind = type(value)
    return issubclass(kind, (int, float)) and kind is not bool


def _exact(text: str) -> str:
    """The characters of a string, whatever its class makes of them."""
    return text if type(text) is str else str.__str__(text)
