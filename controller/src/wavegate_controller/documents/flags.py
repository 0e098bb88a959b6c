"""A flag as a document."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import Field

from wavegate.evaluation import Generation
from wavegate_controller.documents.reading import examples
from wavegate_controller.documents.targeting import TargetingDocument, targeting_to_document, targeting_to_domain
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.flag import Flag, Stop


class FlagDocument(TargetingDocument):
    """A flag to create; without variants it is a boolean one, `off` by default."""

    model_config = examples(
        {"key": "ai-summaries"},
        {
            "key": "answer-model",
            "description": "Which model answers.",
            "variants": {"small": {"model": "small"}, "large": {"model": "large", "temperature": 0.2}},
            "default_variant": "small",
        },
    )

    key: str = Field(description="Stable name, such as ai-summaries.")
    description: str = ""
    variants: dict[str, Any] = Field(
        default_factory=lambda: {"on": True, "off": False},
        description="Variant name to the JSON value that apps receive.",
    )
    default_variant: str = Field(
        default="off", description="What a disabled flag, and a flag without a rollout, serves."
    )
    salt: str | None = Field(default=None, description="Overrides the flag key in the bucketing hash.")
    bucket_by: str | None = Field(default=None, description="Attribute that is bucketed instead of the targeting key.")
    generation: Literal["v2", "v3"] = Field(default="v3", description="flagd's bucketing generation.")

    def to_domain(self, *, environment: str, now: datetime) -> Flag:
        """The flag, enabled.

        Raises:
            Invalid: naming the field.
        """
        dumped = self.model_dump(by_alias=True)
        return Flag(
            environment=environment,
            created_at=now,
            updated_at=now,
            **_values(dumped, dumped, now=now),
        )


class FlagChange(TargetingDocument):
    """What to change of a flag; what is left out stays as it is."""

    model_config = examples({"description": "Summaries by the new model."}, {"deny": ["user-13"]})

    description: str | None = None
    variants: dict[str, Any] | None = Field(default=None, description="All of them, not only those that change.")
    default_variant: str | None = None
    salt: str | None = None
    bucket_by: str | None = None
    generation: Literal["v2", "v3"] | None = None

    def applied(self, flag: Flag, *, now: datetime) -> Flag:
        """The flag with these changes, its version one higher.

        Raises:
            Invalid: naming the field.
        """
        given = self.model_dump(by_alias=True, include=self.model_fields_set)
        for name in ("description", "variants", "default_variant", "generation"):
            if name in given and given[name] is None:
                raise Invalid(name, "is null", "a value, or leave the field out")
        whole = flag_to_document(flag) | targeting_to_document(flag, whole=True) | given
        return replace(flag, updated_at=now, version=flag.version + 1, **_values(whole, given, now=now))


#: What a flag's document and the flag itself have under the same names.
_PLAIN: Final = ("key", "description", "variants", "default_variant", "salt", "bucket_by")


def _values(whole: Mapping[str, Any], given: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """The fields of a flag; a pilot that is given has its people from now on."""
    targeting = dict(whole)
    if given.get("pilot"):
        targeting["pilot"] = {name: value for name, value in given["pilot"].items() if value not in (None, [])}
    return {
        **{name: whole[name] for name in _PLAIN},
        "generation": Generation(whole["generation"]),
        **_checked(whole, targeting, now=now),
    }


def _checked(whole: Mapping[str, Any], targeting: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    variants, default_variant = whole["variants"], whole["default_variant"]
    if default_variant not in variants:
        return {}  # `Flag` refuses that, with what else is wrong with its variants
    return targeting_to_domain(targeting, variants=variants, default_variant=default_variant, now=now)


def flag_to_document(flag: Flag) -> dict[str, Any]:
    """The flag as the API shows it."""
    return {
        "key": flag.key,
        "environment": flag.environment,
        "description": flag.description,
        "enabled": flag.enabled,
        "variants": dict(flag.variants),
        "default_variant": flag.default_variant,
        "salt": flag.salt,
        "bucket_by": flag.bucket_by,
        "generation": flag.generation.value,
        "created_at": flag.created_at.isoformat(),
        "updated_at": flag.updated_at.isoformat(),
        "version": flag.version,
        "stopped": flag.stopped and _stop_to_document(flag.stopped),
        "archived_at": None if flag.archived_at is None else flag.archived_at.isoformat(),
        **targeting_to_document(flag),
    }


def _stop_to_document(stop: Stop) -> dict[str, Any]:
    return {"by": stop.by, "at": stop.at.isoformat(), "reason": stop.reason}
