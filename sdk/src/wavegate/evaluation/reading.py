"""Taking JSON apart: members that must be there, of the kind that is meant, else a refusal that says where."""

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from wavegate.evaluation.errors import InvalidRuleset

P = ParamSpec("P")
T = TypeVar("T")


def required(fields: Mapping[str, Any], name: str, path: str = "") -> Any:
    """The member of this name."""
    try:
        return fields[name]
    except KeyError:
        raise InvalidRuleset(join(path, name), "is missing", "a ruleset must have it") from None


def as_object(path: str, value: object, name: str = "") -> Mapping[str, Any]:
    """What is a JSON object, at the path, or the member of this name there."""
    # Asked first, because to ask whether something is a Mapping takes ten times as long.
    if type(value) is not dict and not isinstance(value, Mapping):
        raise InvalidRuleset(join(path, name) if name else path, f"is {kind(value)}", "give a JSON object")
    return value


def as_list(path: str, value: object) -> list[Any]:
    """What is a JSON list."""
    if not isinstance(value, list):
        raise InvalidRuleset(path, f"is {kind(value)}", "give a JSON list")
    return value


def built(path: str, part: Callable[P, T], *args: P.args, **fields: P.kwargs) -> T:
    """A part of the ruleset; its refusals, which know of it alone, told as of this place."""
    try:
        return part(*args, **fields)
    except InvalidRuleset as refused:
        raise refused.under(path) from None


def join(path: str, name: str) -> str:
    """The path of a member."""
    return f"{path}.{name}" if path else name


def kind(value: object) -> str:
    """What JSON calls it."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case Mapping():
            return "an object"
        case _:
            return f"of type {type(value).__name__}"
