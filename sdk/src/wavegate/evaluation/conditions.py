"""Conditions: what a rule, a segment or a pilot asks of an evaluation context; valid or not constructed."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from wavegate.evaluation.checks import check_json, check_text
from wavegate.evaluation.errors import InvalidRuleset

#: What an attribute is compared with.
Scalar: TypeAlias = str | int | float | bool
#: The attribute of this name is the targeting key, always.
TARGETING_KEY: Final = "targeting_key"


class Operator(StrEnum):
    """How an attribute is compared. A value of another type than the operator is for does not match."""

    #: The same string, number or boolean.
    EQUALS = "equals"
    #: One of a list of them.
    IN = "in"
    #: A string with this within, or a list with this among its members; several values: any of them.
    CONTAINS = "contains"
    #: A string that begins so; several values: with any of them.
    STARTS_WITH = "starts_with"
    #: A string that ends so; several values: with any of them.
    ENDS_WITH = "ends_with"
    #: A string in which the pattern is found.
    MATCHES = "matches"
    #: Anything but nothing.
    EXISTS = "exists"
    # Numbers.
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    # Versions, in the order of Semantic Versioning 2.0.0.
    VERSION_EQUALS = "semver="
    VERSION_LESS = "semver<"
    VERSION_AT_MOST = "semver<="
    VERSION_GREATER = "semver>"
    VERSION_AT_LEAST = "semver>="
    # Instants: a date, a time and an offset.
    BEFORE = "date<"
    NOT_AFTER = "date<="
    AFTER = "date>"
    NOT_BEFORE = "date>="


NUMERIC: Final = frozenset({Operator.LESS, Operator.AT_MOST, Operator.GREATER, Operator.AT_LEAST})
_AFFIXES: Final = frozenset({Operator.STARTS_WITH, Operator.ENDS_WITH})


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One attribute against one value, or one of several."""

    attribute: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...] | None = None

    def __post_init__(self) -> None:
        check_text("attribute", self.attribute)
        if not isinstance(self.operator, Operator):
            raise InvalidRuleset("operator", f"is {self.operator!r}", f"use one of: {', '.join(Operator)}")
        self._check_value()

    def _check_value(self) -> None:
        value = self.value
        if self.operator is Operator.EXISTS:
            if value is not None:
                raise InvalidRuleset(
                    "value", f"is {_shown(value)}", "leave it out; say not around exists for its opposite"
                )
        elif self.operator is Operator.EQUALS:
            _check_scalar("value", value)
        elif self.operator is Operator.IN:
            _check_several(value)
        elif self.operator is Operator.CONTAINS or self.operator in _AFFIXES:
            self._check_parts(value)
        elif self.operator is Operator.MATCHES:
            _check_pattern(value)
        elif self.operator in NUMERIC:
            if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type] # a number here
                raise InvalidRuleset("value", f"is {_shown(value)}", "give a finite number, not in quotes")
        elif self.operator.startswith("semver"):
            _check_version(value)
        else:
            _check_instant(value)

    def _check_parts(self, value: object) -> None:
        if isinstance(value, tuple):
            _check_several(value)
        parts = value if isinstance(value, tuple) else (value,)
        for part in parts:
            if self.operator in _AFFIXES and not isinstance(part, str):
                raise InvalidRuleset("value", f"is {_shown(value)}", "give a string or a list of strings")
            _check_scalar("value", part)
            if part == "":
                raise InvalidRuleset(
                    "value", f"is {_shown(value)}", "give strings of one character or more; all have nothing within"
                )


@dataclass(frozen=True, slots=True)
class InSegment:
    """The ruleset's segment of this name says so."""

    name: str

    def __post_init__(self) -> None:
        check_text("segment", self.name)


@dataclass(frozen=True, slots=True)
class AllOf:
    """Each of them says so."""

    conditions: tuple["Condition", ...]

    def __post_init__(self) -> None:
        _check_not_empty("all", self.conditions)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of them says so."""

    conditions: tuple["Condition", ...]

    def __post_init__(self) -> None:
        _check_not_empty("any", self.conditions)


@dataclass(frozen=True, slots=True)
class Not:
    """It does not say so, be it that the attribute is missing or of the wrong type."""

    condition: "Condition"


Condition: TypeAlias = Comparison | InSegment | AllOf | AnyOf | Not


def _shown(value: object) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)


def _check_not_empty(word: str, conditions: object) -> None:
    if not isinstance(conditions, tuple) or not conditions:
        raise InvalidRuleset(
            word, "has no condition", "give a list of one or more; what asks nothing would fit everybody"
        )


def _check_several(value: object) -> None:
    if not isinstance(value, tuple) or not value:
        raise InvalidRuleset("value", f"is {_shown(value)}", "give a list of one value or more")
    for index, item in enumerate(value):
        _check_scalar(f"value[{index}]", item)


def _check_scalar(path: str, value: object) -> None:
    if type(value) not in (str, int, float, bool):
        raise InvalidRuleset(path, f"is {_shown(value)}", "give a string, a number, true or false")
    check_json(path, value)


# What these need is imported when there is such a condition: together it costs more than all the others.


def _check_version(value: object) -> None:
    from wavegate.evaluation.semver import read_version  # noqa: PLC0415

    if not isinstance(value, str) or read_version(value) is None:
        raise InvalidRuleset("value", f"is {_shown(value)}", "give a semantic version such as 2.10.0 or 3.0.0-rc.1")


def _check_instant(value: object) -> None:
    from wavegate.evaluation.instants import read_instant  # noqa: PLC0415

    if not isinstance(value, str) or read_instant(value) is None:
        raise InvalidRuleset(
            "value", f"is {_shown(value)}", "give date, time and offset, as in 2026-03-01T09:00:00+01:00"
        )


def _check_pattern(value: object) -> None:
    from wavegate.evaluation.pattern import compile_pattern  # noqa: PLC0415

    if not isinstance(value, str):
        raise InvalidRuleset("value", f"is {_shown(value)}", "give a regular expression as a string")
    try:
        compile_pattern(value)
    except ValueError as refused:
        problem, _, advice = str(refused).partition("; ")
        raise InvalidRuleset("value", f"{problem}, in {_shown(value)}", advice) from None
