"""Who is served by name, as documents. What they mean, the SDK's evaluator says: it reads them here as in every app."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from wavegate.evaluation import Condition, InvalidRuleset, Stale
from wavegate.evaluation.condition_codec import read_condition, write_condition
from wavegate.evaluation.flag_codec import read_flag, write_flag
from wavegate_controller.documents.reading import Document
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.flag import Flag, PilotCohort, refused_targeting

#: What is the ruleset's own (docs/ruleset.md), by field of a flag; the pilot has more to it.
_EVALUATED = ("prerequisites", "deny", "allow", "rules", "stale")


class PrerequisiteDocument(Document):
    """Another flag, and what it must serve to the same person."""

    flag: str = Field(description="Its key.")
    variants: list[str] = Field(description="One of these.")


class ShareDocument(Document):
    """One variant's part of a split."""

    variant: str
    weight: int = Field(description="In thousandths of a percent; those of a split add up to 100000.")


class RuleDocument(Document):
    """Who meets the condition is served this, whatever the rollout says."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: str | None = Field(default=None, description="For people.")
    condition: dict[str, Any] = Field(alias="if", description="As docs/ruleset.md has conditions.")
    serve: str | list[ShareDocument] = Field(description="A variant, or a split.")


class PilotDocument(Document):
    """The few who get the candidate before any percentage."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    variant: str = Field(description="What they get while no rollout serves; then it is the rollout's candidate.")
    keys: list[str] = Field(default_factory=list, description="Targeting keys.")
    condition: dict[str, Any] | None = Field(
        default=None, alias="if", description="Narrows the named, or stands alone."
    )
    limit: int | None = Field(default=None, description="The most people it may have; asks for names.")
    opted_out: list[str] = Field(default_factory=list, description="Who does not want to take part.")


class TargetingDocument(Document):
    """All that is served by name."""

    prerequisites: list[PrerequisiteDocument] = Field(
        default_factory=list, description="Other flags, and what they must serve; rollouts wait for them, too."
    )
    deny: list[str] = Field(default_factory=list, description="Targeting keys that never get a candidate.")
    allow: dict[str, list[str]] = Field(default_factory=dict, description="Variant to the targeting keys that get it.")
    rules: list[RuleDocument] = Field(default_factory=list, description="In order; the first that is met decides.")
    pilot: PilotDocument | None = Field(default=None, description="The few before any percentage.")
    stale: Literal["keep", "default"] = Field(
        default="keep", description="What an app serves while nobody confirms its ruleset."
    )


def targeting_to_domain(
    document: Mapping[str, Any], *, variants: Mapping[str, Any], default_variant: str, now: datetime
) -> dict[str, Any]:
    """The fields of `Flag` that a targeting document says.

    Args:
        document: as `TargetingDocument` dumps it; fields that are missing are empty.
        variants: of the flag.
        default_variant: of the flag.
        now: since when the pilot has its people, where the document does not say.

    Raises:
        Invalid: what the evaluator refuses, by its path in this document.
    """
    pilot = document.get("pilot")
    fields: dict[str, Any] = {name: document.get(name) or None for name in _EVALUATED}
    fields |= {"variants": dict(variants), "default_variant": default_variant}
    if pilot is not None:
        people = {
            name: value for name, value in pilot.items() if name not in ("variant", "since", "usage_key", "control")
        }
        rollout = {"stable": default_variant, "candidate": pilot["variant"], "weight": 0}
        fields |= {"pilot": people, "rollout": rollout}
    try:
        flag = read_flag("flag", {name: value for name, value in fields.items() if value is not None})
    except InvalidRuleset as refused:
        raise refused_targeting(refused, "flag") from None
    values: dict[str, Any] = {name: getattr(flag, name) for name in _EVALUATED}
    if flag.pilot is None or pilot is None:
        return values | {"pilot": None}
    since = datetime.fromisoformat(pilot["since"]) if "since" in pilot else now
    cohort = PilotCohort(
        variant=pilot["variant"],
        people=flag.pilot,
        since=since,
        usage_key=pilot.get("usage_key", ""),
        control=tuple(pilot.get("control", ())),
    )
    return values | {"pilot": cohort}


def targeting_to_document(flag: Flag, *, whole: bool = False) -> dict[str, Any]:
    """The document that gives the flag's targeting back; what is empty is spelled out.

    Args:
        flag: whose.
        whole: with what only the database and apps know.
    """
    written = write_flag(flag.compiled(None))
    document: dict[str, Any] = {
        "prerequisites": [],
        "deny": [],
        "allow": {},
        "rules": [],
        "stale": Stale.KEEP.value,
        "pilot": None,
    }
    document |= {name: written[name] for name in _EVALUATED if name in written}
    if flag.pilot is not None:
        since = {"since": flag.pilot.since.isoformat()}
        document["pilot"] = {"variant": flag.pilot.variant} | written["pilot"] | since
        if not whole:
            document["pilot"].pop("usage_key", None)
        elif flag.pilot.control:
            document["pilot"]["control"] = list(flag.pilot.control)
    return document | {"stale": flag.stale.value}


def condition_to_domain(field: str, document: object) -> Condition:
    """A condition of the evaluator.

    Raises:
        Invalid: what the evaluator refuses, by its path.
    """
    try:
        return read_condition(field, document)
    except InvalidRuleset as refused:
        raise Invalid(refused.path, refused.problem, refused.expected) from None


def condition_to_document(condition: Condition) -> dict[str, Any]:
    """The document that gives this condition back."""
    return write_condition(condition)
