"""The ruleset: what an environment's flags are, valid or not constructed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from wavegate.evaluation.checks import check_one_of, check_text
from wavegate.evaluation.conditions import Condition
from wavegate.evaluation.errors import InvalidRuleset
from wavegate.evaluation.flag import Flag
from wavegate.evaluation.parsed_flags import ParsedFlags
from wavegate.evaluation.segments import Segments

SCHEMA: Final = 1

#: Evaluations of other flags that one evaluation may ask for, each counted as often as it is asked.
MOST_PREREQUISITES: Final = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Ruleset:
    """All flags of one environment at one revision; revisions only grow."""

    environment: str
    revision: int
    flags: Mapping[str, Flag] = field(default_factory=dict)
    segments: Mapping[str, Condition] = field(default_factory=dict)
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        check_schema(self.schema)
        check_text("environment", self.environment)
        if type(self.revision) is not int or self.revision < 0:
            raise InvalidRuleset("revision", f"is {self.revision!r}", "give an integer, 0 or more")
        segments = Segments(self.segments)
        asked: dict[str, int] = {}
        for key in self.flags.not_plain if isinstance(self.flags, ParsedFlags) else self.flags:
            flag = self.flags[key]
            if key != flag.key:
                raise InvalidRuleset(f"flags.{key}", f"holds the flag {flag.key!r}", "file each flag under its own key")
            for index, rule in enumerate(flag.rules):
                segments.check(f"flags.{key}.rules[{index}].if", rule.condition)
            if flag.pilot is not None and flag.pilot.condition is not None:
                segments.check(f"flags.{key}.pilot.if", flag.pilot.condition)
            if flag.prerequisites:
                _check_prerequisites(flag, self.flags, asked, ())


def check_schema(schema: object) -> None:
    """Refuses a document that this version would misread."""
    if type(schema) is not int or schema != SCHEMA:
        raise InvalidRuleset(
            "schema",
            f"is {schema!r}, which this version cannot read",
            f"serve schema {SCHEMA}, or update wavegate",
        )


def _check_prerequisites(flag: Flag, flags: Mapping[str, Flag], asked: dict[str, int], within: tuple[str, ...]) -> int:
    """How many other flags are asked for one answer; each flag is looked into once, for they may double."""
    if flag.key in asked:
        return asked[flag.key]
    inside = (*within, flag.key)
    count = 0
    for index, prerequisite in enumerate(flag.prerequisites):
        path = f"flags.{flag.key}.prerequisites[{index}]"
        if prerequisite.flag in inside:
            circle = " → ".join((*inside[inside.index(prerequisite.flag) :], prerequisite.flag))
            raise InvalidRuleset(f"{path}.flag", f"closes the circle {circle}", "let no flag need itself")
        needed = flags.get(prerequisite.flag)
        if needed is None:
            raise InvalidRuleset(
                f"{path}.flag", f"is {prerequisite.flag!r}, which is no flag", "name a flag of this ruleset"
            )
        for place, variant in enumerate(prerequisite.variants):
            check_one_of(f"{path}.variants[{place}]", variant, needed.variants, f"variant of {needed.key}")
        # Before going deeper, for Python's own stack has an end as well.
        count += 1 if len(inside) > MOST_PREREQUISITES else 1 + _check_prerequisites(needed, flags, asked, inside)
        if count > MOST_PREREQUISITES or len(inside) > MOST_PREREQUISITES:
            raise InvalidRuleset(
                path,
                "makes the flag ask too many others",
                f"let it need {MOST_PREREQUISITES} at most, theirs counted along",
            )
    asked[flag.key] = count
    return count
