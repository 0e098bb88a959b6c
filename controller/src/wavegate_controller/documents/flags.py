"""A flag as a document."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from wavegate.evaluation import Generation
from wavegate_controller.documents.reading import Document, examples
from wavegate_controller.domain.flag import Flag


class FlagDocument(Document):
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
        values = self.model_dump() | {"generation": Generation(self.generation)}
        return Flag(environment=environment, created_at=now, updated_at=now, **values)


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
    }
