"""Reading requests: everything that comes in is one strict document."""

import json
from typing import Any, Literal, TypeVar

from flask import request
from pydantic import Field
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from wavegate_controller.documents import (
    CalendarDocument,
    FlagChange,
    FlagDocument,
    PlanChange,
    RolloutDocument,
    SegmentDocument,
    TemplateDocument,
    parse,
)
from wavegate_controller.documents.catalog import EnvironmentChange, EnvironmentDocument
from wavegate_controller.documents.reading import Document, examples
from wavegate_controller.domain.errors import Invalid

Model = TypeVar("Model", bound=Document)


class Act(Document):
    """A person's signature under an act."""

    model_config = examples({"actor": "ada", "comment": "the first hundred answers read well"})

    actor: str | None = Field(default=None, description="Who asks; left out where a token says it.")
    comment: str = Field(default="", description="Why.")


class Raise(Act):
    """What may raise exposure, signed."""

    model_config = examples({"actor": "ada", "comment": "the first hundred answers read well"})

    override_freeze: bool = Field(default=False, description="Do it in a freeze window all the same; needs a comment.")


class StartIt(Raise):
    """The first wave, signed."""

    model_config = examples({"actor": "ada", "comment": "the first hundred answers read well"})

    despite_lint: str = Field(default="", description="Why to start it although lint finds errors in its gates.")


class Approve(Raise):
    """That the next wave may open, signed, and what was read before."""

    model_config = examples(
        {
            "actor": "ada",
            "comment": "as good as the old model, and nobody complains",
            "review": "117.5f0c6a9b1e2d3c48.8d1b7f2e9a3c4d50.1c2d3e4f5a6b7c8d.4f53cda18c2baa0c.90a1b2c3d4e5f607",
        }
    )

    review: str | None = Field(
        default=None, description="The `digest` of the review that was read; refused when that is over."
    )


class DryRunIt(Act):
    """Whether a rollout is only judged, signed."""

    model_config = examples({"actor": "ada", "comment": "it agreed with us for a week", "dry_run": False})

    dry_run: bool = Field(description="Whether only people move it.")


class PinIt(Act):
    """Where to hold a rollout, signed."""

    model_config = examples({"actor": "ada", "comment": "until the vendor answers", "percent": 10})

    percent: float | None = Field(
        default=None, description="Of the wave to hold, this one or a lower one; by default this one."
    )


class Signable:
    """Of documents that may be signed and need not be: where nobody is known, `anybody` makes what has no name."""


class NewFlag(FlagDocument, Signable):
    """A flag to make, signed perhaps, and whether it goes through the stages."""

    actor: str | None = Field(default=None, description="Who asks; left out where a token says it.")
    exempt: str | None = Field(
        default=None, description="Why it may scale without going through the stages; an admin's, kept for ever."
    )


class NewEnvironment(EnvironmentDocument, Signable):
    """An environment to make, signed perhaps."""

    actor: str | None = Field(default=None, description="Who asks; left out where a token says it.")


class ChangedEnvironment(EnvironmentChange, Signable):
    """What is to be different about an environment, signed."""

    actor: str | None = Field(default=None, description="Who asks; left out where a token says it.")
    comment: str = Field(default="", description="Why.")


class ChangedFlag(FlagChange):
    """What to change of a flag, signed."""

    model_config = examples({"deny": ["user-13"], "actor": "ada", "comment": "asked to be left out"})

    actor: str | None = Field(default=None, description="Who asks; left out where a token says it.")
    comment: str = Field(default="", description="Why.")
    override_freeze: bool = Field(default=False, description="Do it in a freeze window all the same; needs a comment.")
    version: int | None = Field(default=None, ge=1, description="The version that was read; refused when it is over.")

    def change(self) -> FlagChange:
        """Without the signature."""
        given = self.model_fields_set & FlagChange.model_fields.keys()
        return FlagChange.model_construct(given, **{name: getattr(self, name) for name in FlagChange.model_fields})


class SavedSegment(SegmentDocument):
    """A segment to keep, signed."""

    model_config = examples(
        {"condition": {"attribute": "country", "operator": "in", "value": ["NO", "SE"]}, "actor": "ada"}
    )

    actor: str | None = Field(default=None, description="Who asks; left out where a token says it.")
    comment: str = Field(default="", description="Why.")
    override_freeze: bool = Field(default=False, description="Do it in a freeze window all the same; needs a comment.")
    version: int | None = Field(default=None, ge=0, description="The version that was read, 0 for none.")


class Removal(Act):
    """What is to go, signed."""

    model_config = examples({"actor": "ada", "comment": "nobody asks for it any more", "version": 3})

    version: int | None = Field(default=None, ge=1, description="The version that was read; refused when it is over.")


class SavedTemplate(TemplateDocument):
    """A plan to keep by name, signed."""

    model_config = examples({"description": "For what costs money", "plan": {"hold_out": 5}, "actor": "ada"})

    actor: str | None = Field(default=None, description="Who asks; left out where a token says it.")
    comment: str = Field(default="", description="Why.")
    version: int | None = Field(default=None, ge=0, description="The version that was read, 0 for none.")


class SavedCalendar(CalendarDocument):
    """When nothing raises exposure, signed."""

    model_config = examples(
        {
            "freeze_windows": [
                {"name": "weekend", "time_zone": "Europe/Berlin", "from": "fri 16:00", "to": "mon 08:00"},
            ],
            "actor": "ada",
        }
    )

    actor: str | None = Field(default=None, description="Who asks; left out where a token says it.")
    comment: str = Field(default="", description="Why.")
    version: int | None = Field(default=None, ge=0, description="The version that was read, 0 for none.")


class Judged(Act):
    """What a person says about a wave, signed."""

    model_config = examples({"gate": "judgement", "verdict": "pass", "comment": "reads well"})

    gate: str = Field(description="Name of a manual gate.")
    verdict: Literal["pass", "breach"] = Field(description="What they say.")
    wave: int | None = Field(default=None, ge=1, description="The wave they looked at; refused when it is over.")


class SignedPlan(PlanChange):
    """Another plan for a draft, signed."""

    actor: str | None = Field(default=None, description="Who asks; left out where a token says it.")
    comment: str = Field(default="", description="Why.")
    version: int | None = Field(default=None, description="The version that was read; refused when it is another one.")


class SignedRollout(RolloutDocument):
    """A rollout to create, signed."""

    actor: str | None = Field(default=None, description="Who asks; left out where a token says it.")


class Parameters(Document, strict=False):
    """Query parameters: text that says something else."""


class Query(Parameters):
    """What every operation takes that is done in an environment."""

    environment: str | None = Field(default=None, description="Where; by default the controller's own environment.")


def read_query(model: type[Model]) -> Model:
    """The query parameters; unknown and repeated ones are refused.

    Raises:
        Invalid: naming the parameter.
    """
    for name, values in request.args.lists():
        if len(values) > 1:
            raise Invalid(name, "is given more than once", "one value")
    return parse(model, without_null(request.args.to_dict()))


def read_body(model: type[Model]) -> Model:
    """The body of a mutation.

    Raises:
        UnsupportedMediaType: not sent as JSON; a form on somebody's web page cannot send that.
        BadRequest: not JSON.
        Invalid: naming the field.
    """
    if request.mimetype != "application/json" or request.mimetype_params.get("charset", "utf-8").lower() != "utf-8":
        raise UnsupportedMediaType("send the body as `Content-Type: application/json`, in UTF-8")
    if request.content_encoding not in (None, "", "identity"):
        raise UnsupportedMediaType(f"send the body as it is, without `Content-Encoding: {request.content_encoding}`")
    return parse(model, without_null(_json(request.get_data())))


def without_null(document: Any, path: str = "") -> Any:
    """The document; PostgreSQL's texts cannot hold the null character, so that it enters nowhere.

    Raises:
        Invalid: naming the field that has one.
    """
    match document:
        case str() if "\0" in document:
            raise Invalid(path or "document", "holds a null character", "text without one")
        case dict():
            for name, each in document.items():
                without_null(name, path)
                without_null(each, f"{path}.{name}" if path else name)
        case list():
            for index, each in enumerate(document):
                without_null(each, f"{path}[{index}]")
        case _:
            pass
    return document


def _json(body: bytes) -> Any:
    """Strict JSON: what Python reads beyond it (NaN, half surrogates) no other program could read from us."""
    try:
        data = json.loads(body.decode(), object_pairs_hook=_once)
        json.dumps(data, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one name readers choose differently, and a proxy that checks may see another than we do."""
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(twice, "is given more than once", "each name once")
    return document
