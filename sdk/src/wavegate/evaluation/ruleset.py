"""The ruleset: what an environment's flags are, valid or not constructed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wavegate.evaluation.bucketing import FULL_WEIGHT, Generation
from wavegate.evaluation.errors import InvalidRuleset

SCHEMA: Final = 1
_DEEPEST_VALUE: Final = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """Two arms and the candidate's share, in thousandths of a percent.

    Growing the weight moves nobody out, shrinking it moves out whoever came last.
    """

    stable: str
    candidate: str
    weight: int

    def __post_init__(self) -> None:
        _check_text("rollout.stable", self.stable)
        _check_text("rollout.candidate", self.candidate)
        if self.stable == self.candidate:
            raise InvalidRuleset(
                "rollout.candidate",
                f"is {self.candidate!r}, the stable variant itself",
                "name the variant to move to",
            )
        # A bool is an int to Python; as a weight it is a mistake.
        if type(self.weight) is not int or not 0 <= self.weight <= FULL_WEIGHT:
            raise InvalidRuleset(
                "rollout.weight",
                f"is {self.weight!r}",
                f"give an integer from 0 to {FULL_WEIGHT} (1000 is one percent)",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """A key, its variants, and who gets which.

    `salt` is None for the flag key; `bucket_by` is None for the targeting key, else the name of the
    attribute whose value decides the arm (a company instead of a person).
    """

    key: str
    variants: Mapping[str, Any]
    default_variant: str
    enabled: bool = True
    salt: str | None = None
    bucket_by: str | None = None
    generation: Generation = Generation.V3
    rollout: Rollout | None = None

    def __post_init__(self) -> None:
        _check_text("flags", self.key, "has the key")
        try:
            self._check()
        except InvalidRuleset as refused:
            raise refused.under(f"flags.{self.key}") from None

    def _check(self) -> None:
        if type(self.enabled) is not bool:
            raise InvalidRuleset("state", f"is {self.enabled!r}", "say enabled or disabled")
        if not self.variants:
            raise InvalidRuleset("variants", "has no variant", "give at least one name with its value")
        for name, value in self.variants.items():
            _check_text("variants", name, "has the name")
            _check_json(f"variants.{name}", value)
        self._check_variant("default_variant", self.default_variant)
        if self.salt is not None:
            _check_text("salt", self.salt)
        if self.bucket_by is not None:
            _check_text("bucket_by", self.bucket_by)
        if self.generation not in tuple(Generation):
            raise InvalidRuleset("generation", f"is {self.generation!r}", "use v2 or v3")
        if self.rollout is not None:
            self._check_variant("rollout.stable", self.rollout.stable)
            self._check_variant("rollout.candidate", self.rollout.candidate)

    def _check_variant(self, path: str, name: object) -> None:
        if not isinstance(name, str) or name not in self.variants:
            known = ", ".join(self.variants)
            raise InvalidRuleset(path, f"is {name!r}, which is no variant of this flag", f"use one of: {known}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ruleset:
    """All flags of one environment at one revision; revisions only grow."""

    environment: str
    revision: int
    flags: Mapping[str, Flag] = field(default_factory=dict)
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        check_schema(self.schema)
        _check_text("environment", self.environment)
        if type(self.revision) is not int or self.revision < 0:
            raise InvalidRuleset("revision", f"is {self.revision!r}", "give an integer, 0 or more")
        for key, flag in self.flags.items():
            if key != flag.key:
                raise InvalidRuleset(f"flags.{key}", f"holds the flag {flag.key!r}", "file each flag under its own key")


def check_schema(schema: object) -> None:
    """Refuses a document that this version would misread."""
    if type(schema) is not int or schema != SCHEMA:
        raise InvalidRuleset(
            "schema",
            f"is {schema!r}, which this version cannot read",
            f"serve schema {SCHEMA}, or update wavegate",
        )


def _check_text(path: str, text: object, verb: str = "is") -> None:
    if not isinstance(text, str) or not text:
        raise InvalidRuleset(path, f"{verb} {text!r}", "give a string of one character or more")
    _check_unicode(path, text)


def _check_unicode(path: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRuleset(path, f"holds {text!r}", "give text that has a UTF-8 form") from None


def _check_json(path: str, value: object, depth: int = 0) -> None:
    """Refuses what would not survive the way to another language."""
    if depth > _DEEPEST_VALUE:
        raise InvalidRuleset(path, "is nested too deeply", f"use {_DEEPEST_VALUE} levels at most")
    match value:
        case list():
            for index, item in enumerate(value):
                _check_json(f"{path}[{index}]", item, depth + 1)
        case dict():
            for name, item in value.items():
                _check_name(path, name)
                _check_json(f"{path}.{name}", item, depth + 1)
        case _:
            _check_scalar(path, value)


def _check_name(path: str, name: object) -> None:
    if not isinstance(name, str):
        raise InvalidRuleset(path, f"has the name {name!r}", "name the members of an object by strings")
    _check_unicode(path, name)


def _check_scalar(path: str, value: object) -> None:
    match value:
        case None | bool() | int():
            pass
        case str():
            _check_unicode(path, value)
        case float() if math.isfinite(value):
            pass
        case float():
            raise InvalidRuleset(path, f"is {value!r}", "give a finite number")
        case _:
            raise InvalidRuleset(
                path,
                f"is of type {type(value).__name__}",
                "use what JSON has: true, false, null, number, string, list, object",
            )
