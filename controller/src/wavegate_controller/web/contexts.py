"""An evaluation context as people write it: a JSON object, or one `key=value` a line."""

import json
from collections.abc import Mapping
from typing import Any, Final

from wavegate_controller.domain.errors import Invalid

_LINE: Final = "lines such as country=NO or age=34, or one JSON object"
_MOST: Final = 200


def read_attributes(text: str) -> dict[str, Any]:
    """The attributes that a text gives.

    In lines a value is a number, true or false where it looks like one, else text; in double quotes it is text always,
    and in brackets a list.

    Raises:
        Invalid: naming the line that is none, or what is wrong with the JSON.
    """
    text = text.strip()
    if text.startswith("{"):
        return _object(text)
    attributes: dict[str, Any] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name:
            raise Invalid("attributes", f"line {number}, {line.strip()!r}, has no key and value", _LINE)
        if name in attributes:
            raise Invalid("attributes", f"line {number} gives {name!r} again", "each key once; a list is [1, 2]")
        attributes[name] = _value(name, value)
    return _checked(attributes)


def write_attributes(attributes: Mapping[str, Any]) -> str:
    """As JSON in one line."""
    return json.dumps(attributes, ensure_ascii=False)


def _object(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise Invalid("attributes", "is nested too deeply", "an object of plain values") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Invalid("attributes", f"is no JSON at {where}: {error.msg}", _LINE) from None
    except ValueError as error:
        raise Invalid("attributes", str(error), "finite numbers") from None
    return _checked(document)


def _checked(attributes: dict[str, Any]) -> dict[str, Any]:
    if len(attributes) > _MOST:
        raise Invalid("attributes", f"has {len(attributes)} keys", f"{_MOST} at most")
    return attributes


def _value(name: str, text: str) -> Any:
    """A scalar or list where it reads as one."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        if text[:1] in ('"', "[", "{"):
            raise Invalid(
                "attributes", f"{name} begins with {text[:1]} and is no JSON", "the whole value in JSON, or none of it"
            ) from None
        return text
    return text if value is None else value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
