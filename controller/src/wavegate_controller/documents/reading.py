"""Reading a document: unknown fields and wrong types are refused with the field's path, the same everywhere."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from wavegate_controller.documents.duration import parse_duration
from wavegate_controller.documents.texts import read_texts
from wavegate_controller.domain.errors import Invalid


class Document(BaseModel):
    """Base of all documents: strict about names, and never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def examples(*documents: dict[str, Any]) -> ConfigDict:
    """The configuration of a model that shows how its documents look; a test reads them."""
    return ConfigDict(json_schema_extra={"examples": list(documents)})


#: Seconds as a number, or a Prometheus duration such as "10m" or "1h30m".
Duration = Annotated[Any, BeforeValidator(parse_duration), Field(json_schema_extra={"type": ["string", "number"]})]

Model = TypeVar("Model", bound=Document)


def parse(model: type[Model], data: object) -> Model:
    """The document as its model.

    Raises:
        Invalid: the first field that is wrong, by its path.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise refusal(error) from None


def parse_text(model: type[Model], text: str) -> Model:
    """A YAML or JSON text as its model.

    Raises:
        Invalid: not YAML, or the first field that is wrong, by its path.
    """
    documents = list(read_texts(text))
    if len(documents) > 1:
        raise Invalid("document", f"is {len(documents)} documents", "one")
    return parse(model, documents[0] if documents else None)


def refusal(error: ValidationError) -> Invalid:
    """The first field that a model refused, in our words."""
    first = error.errors(include_url=False)[0]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in _fields(first["loc"]))
    field = path.removeprefix(".") or "document"
    match first["type"]:
        case "extra_forbidden":
            return Invalid(field, "is not a known field", "only documented fields")
        case "missing":
            return Invalid(field, "is missing", "a value")
        case "union_tag_not_found" if _tag(first["ctx"]) == "type":
            kinds = "the kind of gate, such as error_rate or threshold, or a preset"
            return Invalid(f"{field}.type", "is missing", kinds)
        case "union_tag_not_found":
            return Invalid(f"{field}.{_tag(first['ctx'])}", "is missing", "the kind of the document")
        case "union_tag_invalid":
            known = first["ctx"].get("expected_tags", "")
            return Invalid(f"{field}.{_tag(first['ctx'])}", f"{first['ctx']['tag']!r} is unknown", f"one of {known}")
        case "model_type" | "model_attributes_type" | "dict_type":
            return Invalid(field, f"{first['input']!r} is not valid", "a mapping of fields")
        case "value_error":
            cause = first.get("ctx", {}).get("error")
            if isinstance(cause, Invalid):
                return Invalid(field, cause.problem, cause.expected)
            return Invalid(field, f"{first['input']!r} is not valid", str(cause))
        case _:
            return Invalid(field, f"{first['input']!r} is not valid", _lower(first["msg"]))


def _fields(path: tuple[int | str, ...]) -> list[int | str]:
    """The path without the kinds of gates, which stand in it behind each gate's number and are no fields."""
    return [part for index, part in enumerate(path) if index < 2 or path[index - 2] not in ("gates", "documents")]  # noqa: PLR2004


def _tag(context: Mapping[str, Any]) -> str:
    """The field that tells the members of a union apart; gates have a function for that, which reads `type`."""
    name = str(context.get("discriminator", ""))
    return name.strip("'") if name.startswith("'") else "type"


def _lower(message: str) -> str:
    return message.removeprefix("Input should be ").removeprefix("Value error, ")
