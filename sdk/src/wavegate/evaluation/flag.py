"""A flag: its variants, and who gets which; valid or not constructed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from wavegate.evaluation.bucketing import FULL_WEIGHT, Generation
from wavegate.evaluation.checks import check_json, check_keys, check_one_of, check_text, check_weight
from wavegate.evaluation.conditions import Condition
from wavegate.evaluation.errors import InvalidRuleset


class Stale(StrEnum):
    """What an app gets of a flag whose ruleset nobody has confirmed for long."""

    #: What the last ruleset says.
    KEEP = "keep"
    #: The default variant: for apps that must not run a rollout blind.
    DEFAULT = "default"


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """One variant's part of a split, in thousandths of a percent; those of a split add up to 100,000."""

    variant: str
    weight: int

    def __post_init__(self) -> None:
        check_text("variant", self.variant)
        check_weight("weight", self.weight)


#: What is served: one variant, or a split between several, in an order that never changes while it lasts.
Serve: TypeAlias = str | tuple[Share, ...]


def served_variants(serve: Serve) -> tuple[str, ...]:
    """The names in it."""
    return (serve,) if isinstance(serve, str) else tuple(share.variant for share in serve)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Who meets the condition is served this, whatever the rollout says."""

    condition: Condition
    serve: Serve
    #: For people; it decides nothing.
    name: str | None = None

    def __post_init__(self) -> None:
        _check_serve("serve", self.serve)
        if self.name is not None:
            check_text("name", self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pilot:
    """The few who get the candidate before any percentage: these people, or who meets a condition, or both at once.

    With both, the condition narrows the named: who leaves the department leaves the pilot. `limit` is
    the most people it may have. SDKs decide each on their own and never hear of one another, so only
    named people can be counted, and a limit asks for names.
    """

    keys: tuple[str, ...] = ()
    condition: Condition | None = None
    limit: int | None = None
    #: Who does not want to take part. They are not in the pilot, and are in a later rollout like anybody.
    opted_out: tuple[str, ...] = ()
    #: With what clients hash the named people where they count who uses it, so that no metric names anybody.
    usage_key: str | None = None

    def __post_init__(self) -> None:
        check_keys("keys", self.keys)
        if self.usage_key is not None and (type(self.usage_key) is not str or not self.usage_key):
            raise InvalidRuleset("usage_key", f"is {self.usage_key!r}", "give a random text, or none")
        check_keys("opted_out", self.opted_out)
        if not self.keys and self.condition is None:
            raise InvalidRuleset("keys", "names nobody, and there is no condition", "give keys, or if, or both")
        if self.limit is None:
            return
        if type(self.limit) is not int or self.limit < 1:
            raise InvalidRuleset("limit", f"is {self.limit!r}", "give a number of people, 1 or more")
        if not self.keys:
            raise InvalidRuleset(
                "limit",
                "cannot be kept without keys, because SDKs cannot count who meets a condition",
                "name the people in keys, or serve a split to the condition by a rule",
            )
        people = len(set(self.keys))
        if people > self.limit:
            raise InvalidRuleset("keys", f"names {people} people", f"name {self.limit} at most, or raise the limit")


@dataclass(frozen=True, kw_only=True, slots=True)
class Holdout:
    """A share of everybody that the rollout never reaches, not at 100 % either, in thousandths of a percent.

    Who is held out is decided by a hash of its own, of this salt or the flag key: so it does not depend
    on how far the rollout is, stays the same when the rollout starts again with another salt, and is
    the same for all flags that name the same salt.
    """

    weight: int
    salt: str | None = None

    def __post_init__(self) -> None:
        check_weight("weight", self.weight)
        if self.salt is not None:
            check_text("salt", self.salt)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """Two arms and the candidate's share, in thousandths of a percent.

    Growing the weight moves nobody out, shrinking it moves out whoever came last. The candidate may
    be a split: then who is in stays with one of its variants, however the weight moves.
    """

    stable: str
    candidate: Serve
    weight: int
    holdout: Holdout | None = None

    def __post_init__(self) -> None:
        check_text("rollout.stable", self.stable)
        _check_serve("rollout.candidate", self.candidate)
        if self.stable in served_variants(self.candidate):
            raise InvalidRuleset(
                "rollout.candidate", f"is {self.stable!r}, the stable variant itself", "name the variant to move to"
            )
        check_weight("rollout.weight", self.weight)


@dataclass(frozen=True, kw_only=True, slots=True)
class Prerequisite:
    """Another flag, and what it must serve to the same person."""

    flag: str
    variants: tuple[str, ...]

    def __post_init__(self) -> None:
        check_text("flag", self.flag)
        if not self.variants:
            raise InvalidRuleset("variants", "names none", "give a list of one variant or more")
        for index, name in enumerate(self.variants):
            check_text(f"variants[{index}]", name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """A key, its variants, and who gets which.

    `salt` is None for the flag key; `bucket_by` is None for the targeting key, else the name of the
    attribute whose value decides the arm (a company instead of a person). `deny` has targeting keys
    that get the stable variant, `allow` those that get the variant they are listed under.
    """

    key: str
    variants: Mapping[str, Any]
    default_variant: str
    enabled: bool = True
    salt: str | None = None
    bucket_by: str | None = None
    generation: Generation = Generation.V3
    rollout: Rollout | None = None
    prerequisites: tuple[Prerequisite, ...] = ()
    deny: tuple[str, ...] = ()
    allow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    pilot: Pilot | None = None
    stale: Stale = Stale.KEEP

    def __post_init__(self) -> None:
        check_text("flags", self.key, "has the key")
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
            check_text("variants", name, "has the name")
            if type(value) is not bool:
                check_json(f"variants.{name}", value)
        self._check_variant("default_variant", self.default_variant)
        self._check_options()
        if self.rollout is not None:
            self._check_variant("rollout.stable", self.rollout.stable)
            self._check_serve("rollout.candidate", self.rollout.candidate)
        if self.deny or self.allow:
            self._check_lists()
        for index, rule in enumerate(self.rules):
            self._check_serve(f"rules[{index}].serve", rule.serve)
        if self.pilot is not None and self.rollout is None:
            raise InvalidRuleset("pilot", "has no candidate to serve", "give a rollout, of weight 0 if need be")

    def _check_options(self) -> None:
        if self.salt is not None:
            check_text("salt", self.salt)
        if self.bucket_by is not None:
            check_text("bucket_by", self.bucket_by)
        if self.generation not in _GENERATIONS:
            raise InvalidRuleset("generation", f"is {self.generation!r}", "use v2 or v3")
        if self.stale not in _POLICIES:
            raise InvalidRuleset("stale", f"is {self.stale!r}", "use keep or default")

    def _check_lists(self) -> None:
        check_keys("deny", self.deny)
        listed: dict[str, str] = {}
        for variant, keys in self.allow.items():
            self._check_variant("allow", variant)
            check_keys(f"allow.{variant}", keys)
            for key in keys:
                if listed.setdefault(key, variant) != variant:
                    raise InvalidRuleset(
                        f"allow.{variant}",
                        f"names {key!r}, whom {listed[key]} names as well",
                        "allow each key one variant",
                    )

    def _check_serve(self, path: str, serve: Serve) -> None:
        if isinstance(serve, str):
            self._check_variant(path, serve)
            return
        for index, share in enumerate(serve):
            self._check_variant(f"{path}[{index}].variant", share.variant)

    def _check_variant(self, path: str, name: object) -> None:
        check_one_of(path, name, self.variants, "variant of this flag")


_GENERATIONS = frozenset(Generation)
_POLICIES = frozenset(Stale)


def _check_serve(path: str, serve: object) -> None:
    if not isinstance(serve, tuple):
        check_text(path, serve)
        return
    if not serve:
        raise InvalidRuleset(path, "splits between no variants", "give a variant, or a list of variants with weights")
    weights = 0
    seen: set[str] = set()
    for index, share in enumerate(serve):
        if share.variant in seen:
            raise InvalidRuleset(f"{path}[{index}].variant", f"is {share.variant!r} again", "name each variant once")
        seen.add(share.variant)
        weights += share.weight
    if weights != FULL_WEIGHT:
        raise InvalidRuleset(path, f"has weights that add up to {weights}", f"make them add up to {FULL_WEIGHT}")
