"""A flag's variants as rows of a form: what was typed, the values it gives, and what apps would stumble over."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wavegate_controller.domain.errors import Invalid

#: Rows of one form.
MOST: Final = 50
_TYPES: Final[Sequence[tuple[type, str]]] = (
    (bool, "boolean"),
    (str, "string"),
    (int, "number"),
    (float, "number"),
    (dict, "object"),
    (list, "list"),
)
_JSON: Final = 'JSON: true, 12, "text", or {"model": "small"}'


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One variant as it was typed."""

    name: str = ""
    text: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed."""
        return not self.name and not self.text


def rows_of(variants: Mapping[str, Any]) -> list[Row]:
    """The rows that give these variants; objects over several lines."""
    return [Row(name=name, text=_written(value)) for name, value in variants.items()]


def read_rows(rows: Sequence[Row]) -> dict[str, Any]:
    """The variants that the rows give.

    Raises:
        Invalid: naming the row by its number, from 0 on.
    """
    variants: dict[str, Any] = {}
    for index, row in enumerate(rows):
        if row.is_empty:
            continue
        if not row.name:
            raise Invalid(f"variants[{index}]", "has a value and no name", "a name such as on or large")
        if row.name in variants:
            raise Invalid(f"variants[{index}]", f"is {row.name!r} again", "each name once")
        variants[row.name] = _value(index, row.text)
    return variants


def notes(variants: Mapping[str, Any]) -> Iterator[str]:
    """What is right in itself and yet would surprise an app."""
    kinds = {name: type_of(value) for name, value in variants.items()}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{name} is a {kind}" for name, kind in kinds.items())
        yield f"The variants are of several types: {told}. Who asks for one gets their own default for the others."
    objects = {name: value for name, value in variants.items() if isinstance(value, dict)}
    everything = sorted({key for value in objects.values() for key in value})
    for name, value in objects.items():
        if missing := [key for key in everything if key not in value]:
            yield f"{name} lacks {', '.join(missing)}, which another variant has."
    for key in everything:
        types = {type_of(value[key]) for value in objects.values() if key in value}
        if len(types) > 1:
            yield f"{key} is a {' here and a '.join(sorted(types))} there."


def type_of(value: Any) -> str:
    """The type as apps ask for it."""
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "null")


def _value(index: int, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise Invalid(f"variants[{index}]", "is nested too deeply", _JSON) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Invalid(f"variants[{index}]", f"is no JSON at {where}: {error.msg}", _JSON) from None
    except ValueError as error:
        raise Invalid(f"variants[{index}]", str(error), _JSON) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2 if isinstance(value, dict | list) else None)
