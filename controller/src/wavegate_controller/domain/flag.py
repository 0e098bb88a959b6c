"""A flag as the controller holds it: variants, the safe default, the inputs of bucketing, and who is served by name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from wavegate import evaluation
from wavegate.evaluation import (
    AllOf,
    Comparison,
    Generation,
    InvalidRuleset,
    Operator,
    Pilot,
    Prerequisite,
    Rule,
    Stale,
)
from wavegate.evaluation.conditions import TARGETING_KEY
from wavegate_controller.domain.errors import Invalid

#: Flag keys and variant names become metric label values, URLs and file names; keep them plain.
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,98}[a-z0-9])?")
_NAME_RULE: Final = "1 to 100 of a-z, 0-9, '.', '_' and '-', beginning and ending with a letter or digit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Who stopped a flag, when, and why."""

    by: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PilotCohort:
    """The few who get a variant before any percentage.

    Attributes:
        variant: what they get while no rollout serves; afterwards it is the rollout's candidate.
        people: who they are.
        since: when they were last chosen: a rollout that is rolled back later takes it from them, too.
        usage_key: random; with it apps hash who uses it, and without it nobody can tell whose hash it is. Empty where
            that is not counted.
        control: the other half of a pilot that is split: they get the default variant, and count as targeted, too.
    """

    variant: str
    people: Pilot
    since: datetime
    usage_key: str = ""
    control: tuple[str, ...] = ()

    def comparison(self, default_variant: str) -> tuple[Rule, ...]:
        """The rule by which apps count the other half as people who were picked, too."""
        people = tuple(each for each in self.control if each not in self.people.opted_out)
        if not people:
            return ()
        named = Comparison(attribute=TARGETING_KEY, operator=Operator.IN, value=people)
        condition = self.people.condition
        both = named if condition is None else AllOf(conditions=(named, condition))
        return (Rule(condition=both, serve=default_variant, name="the other half of the pilot"),)

    @property
    def served(self) -> Pilot:
        """As apps get it."""
        return replace(self.people, usage_key=self.usage_key or None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """One flag in one environment. Valid, or not constructed.

    Attributes:
        variants: variant name to the JSON value that an app receives; at least two.
        default_variant: what a disabled flag, and a flag without a rollout, serves.
        enabled: False is the emergency stop: everybody gets the default variant at once.
        salt: overrides the flag key in the bucketing hash; fixed while a rollout runs.
        bucket_by: evaluation-context attribute that is bucketed instead of the targeting key.
        generation: flagd's bucketing generation.
        prerequisites: other flags, and what they must serve to the same person.
        deny: targeting keys that never get a candidate.
        allow: variant name to the targeting keys that get it.
        rules: who meets a condition is served this, whatever the rollout says.
        pilot: the few who get the candidate before any percentage.
        stale: what an app serves while nobody confirms its ruleset.
        stopped: who disabled it; None while it is enabled.
        archived_at: since when it is out of the ruleset; None while it is in.
        version: counts the changes; a writer must name the version it read.
    """

    key: str
    environment: str
    variants: Mapping[str, Any]
    default_variant: str
    created_at: datetime
    updated_at: datetime
    description: str = ""
    enabled: bool = True
    salt: str | None = None
    bucket_by: str | None = None
    generation: Generation = Generation.V3
    prerequisites: tuple[Prerequisite, ...] = ()
    deny: tuple[str, ...] = ()
    allow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    pilot: PilotCohort | None = None
    stale: Stale = Stale.KEEP
    stopped: Stop | None = None
    archived_at: datetime | None = None
    version: int = 1

    def __post_init__(self) -> None:
        check_name("key", self.key)
        check_name("environment", self.environment)
        for name in self.variants:
            check_name(f"variants.{name}", name)
        if len(self.variants) < 2:  # noqa: PLR2004 - stable and candidate
            raise Invalid("variants", f"{len(self.variants)} given", "at least two: what is served now and what is new")
        if self.default_variant not in self.variants:
            known = ", ".join(sorted(self.variants))
            raise Invalid("default_variant", f"{self.default_variant!r} is not a variant", f"one of {known}")
        self._check_targeting()

    def compiled(
        self, rollout: evaluation.Rollout | None, *, with_pilot: bool = True, as_served: bool = False
    ) -> evaluation.Flag:
        """The flag of the ruleset; a pilot without a rollout gets one that serves nobody else.

        Args:
            rollout: that decides what it serves.
            with_pilot: whether its people have it.
            as_served: with what apps need beside what people have written: the other half of a pilot.

        Raises:
            InvalidRuleset: what the evaluator would refuse.
        """
        pilot = self.pilot if with_pilot else None
        if rollout is None and pilot is not None:
            rollout = evaluation.Rollout(stable=self.default_variant, candidate=pilot.variant, weight=0)
        return evaluation.Flag(
            key=self.key,
            variants=self.variants,
            default_variant=self.default_variant,
            enabled=self.enabled,
            salt=self.salt,
            bucket_by=self.bucket_by,
            generation=self.generation,
            rollout=rollout,
            prerequisites=self.prerequisites,
            deny=self.deny,
            allow=self.allow,
            rules=(*self.rules, *pilot.comparison(self.default_variant)) if as_served and pilot else self.rules,
            pilot=None if pilot is None else pilot.served,
            stale=self.stale,
        )

    def _check_targeting(self) -> None:
        """The evaluator has the last word, here as in every app."""
        if self.pilot is not None and self.pilot.variant == self.default_variant:
            others = ", ".join(sorted(set(self.variants) - {self.default_variant}))
            raise Invalid("pilot.variant", f"{self.pilot.variant!r} is what everybody gets", f"one of {others}")
        try:
            self.compiled(None)
        except InvalidRuleset as refused:
            raise refused_targeting(refused, self.key) from None


def refused_targeting(refused: InvalidRuleset, key: str) -> Invalid:
    """The evaluator's refusal as ours, seen from the document of the flag of this key."""
    path = refused.path.removeprefix(f"flags.{key}.")
    return Invalid(path.replace("rollout.candidate", "pilot.variant"), refused.problem, refused.expected)


def check_name(field: str, value: str) -> None:
    """Refuse a key that could not stand in a label, a URL and a file name alike.

    Raises:
        Invalid: naming the field.
    """
    if not _NAME.fullmatch(value):
        raise Invalid(field, f"{value!r} is not a valid name", _NAME_RULE)
