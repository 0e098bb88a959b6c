"""What people keep in Git: objects of a few kinds, each with the same fields as the API's documents."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, cast

from pydantic import ConfigDict, Field, TypeAdapter

from wavegate_controller.documents.catalog import EnvironmentDocument, SegmentDocument, TemplateDocument
from wavegate_controller.documents.flags import FlagDocument
from wavegate_controller.documents.reading import Document, examples, parse
from wavegate_controller.documents.rollouts import RolloutDocument
from wavegate_controller.domain.errors import Invalid

API_VERSION: Final = "wavegate/v1"


class RolloutSpec(RolloutDocument):
    """A rollout of a flag; changing it makes a new one, once the one before has ended."""

    start: bool = Field(default=False, description="Start it, too.")


class ConfigurationObject(Document):
    """What all objects have."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    api_version: Literal["wavegate/v1"] = Field(alias="apiVersion", description="Version of this form.")
    environment: str | None = Field(default=None, description="Where; by default the one that is asked about.")


class EnvironmentSpec(EnvironmentDocument):
    """An environment."""


class EnvironmentObject(ConfigurationObject):
    """An environment; it is in none itself."""

    model_config = examples({"apiVersion": API_VERSION, "kind": "Environment", "spec": {"name": "staging"}})

    kind: Literal["Environment"]
    environment: None = Field(default=None, description="Left out: an environment is in none.")
    spec: EnvironmentSpec


class SegmentSpec(SegmentDocument):
    """A segment, with its key."""

    model_config = examples(
        {"key": "nordics", "condition": {"attribute": "country", "operator": "in", "value": ["NO", "SE"]}}
    )

    key: str = Field(description="Stable name, such as nordics.")


class SegmentObject(ConfigurationObject):
    """A named condition."""

    model_config = examples(
        {
            "apiVersion": API_VERSION,
            "kind": "Segment",
            "spec": {
                "key": "nordics",
                "condition": {"attribute": "country", "operator": "in", "value": ["NO", "SE"]},
            },
        }
    )

    kind: Literal["Segment"]
    spec: SegmentSpec


class PlanTemplateSpec(TemplateDocument):
    """A plan, with its name."""

    model_config = examples({"name": "careful", "plan": {"hold_out": 5}})

    name: str = Field(description="Stable name, such as careful.")


class PlanTemplateObject(ConfigurationObject):
    """A named plan; changing it makes its next version and touches no rollout."""

    model_config = examples(
        {"apiVersion": API_VERSION, "kind": "PlanTemplate", "spec": {"name": "careful", "plan": {"hold_out": 5}}}
    )

    kind: Literal["PlanTemplate"]
    spec: PlanTemplateSpec


class FlagSpec(FlagDocument):
    """A flag; its exemption counts when it is made."""

    exempt: str | None = Field(
        default=None, description="Why a new flag may scale without its stages: an admin's, kept for ever."
    )


class FlagObject(ConfigurationObject):
    """A flag; whether it is stopped is no matter of files."""

    model_config = examples({"apiVersion": API_VERSION, "kind": "Flag", "spec": {"key": "ai-summaries"}})

    kind: Literal["Flag"]
    spec: FlagSpec


class RolloutObject(ConfigurationObject):
    """The rollout that a flag shall have."""

    model_config = examples(
        {
            "apiVersion": API_VERSION,
            "kind": "Rollout",
            "environment": "production",
            "spec": {"flag": "ai-summaries", "plan": {"waves": [{"percent": 10}, {"percent": 100}]}, "start": True},
        }
    )

    kind: Literal["Rollout"]
    spec: RolloutSpec


AnyObject = Annotated[
    EnvironmentObject | SegmentObject | PlanTemplateObject | FlagObject | RolloutObject, Field(discriminator="kind")
]

#: Kind to its model, in the order in which they are applied: what others name comes first.
KINDS: Final[Mapping[str, type[ConfigurationObject]]] = {
    "Environment": EnvironmentObject,
    "Segment": SegmentObject,
    "PlanTemplate": PlanTemplateObject,
    "Flag": FlagObject,
    "Rollout": RolloutObject,
}


def read_object(data: object) -> AnyObject:
    """One object.

    Raises:
        Invalid: naming the field.
    """
    if not isinstance(data, Mapping):
        raise Invalid("document", f"{data!r} is not valid", "a mapping with apiVersion, kind and spec")
    kind = data.get("kind")
    if kind not in KINDS:
        problem = "is missing" if kind is None else f"{kind!r} is unknown"
        raise Invalid("kind", problem, "one of " + ", ".join(KINDS))
    return cast("AnyObject", parse(KINDS[str(kind)], dict(data)))


def configuration_schema() -> dict[str, Any]:
    """The JSON Schema of one object, for editors and checks."""
    schema = TypeAdapter(AnyObject).json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Wavegate configuration",
        "description": "One document of a file for `wavegate plan` and `wavegate apply`.",
        **schema,
    }
