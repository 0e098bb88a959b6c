"""Looking into the documents of others, which may hold anything."""

from collections.abc import Mapping, Sequence
from typing import Any

from wavegate_controller.domain.errors import Invalid


def an_object(field: str, value: Any) -> Mapping[str, Any]:
    """The value as an object.

    Raises:
        Invalid: it is none.
    """
    if not isinstance(value, Mapping):
        raise Invalid(field, f"is {_shown(value)}", "an object")
    return value


def a_list(field: str, value: Any) -> Sequence[Any]:
    """The value as a list; null is an empty one.

    Raises:
        Invalid: it is none.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise Invalid(field, f"is {_shown(value)}", "a list")
    return value


def objects(field: str, value: Any) -> Sequence[Mapping[str, Any]]:
    """The value as a list of objects; null is an empty one.

    Raises:
        Invalid: it is none.
    """
    return [an_object(f"{field}[{index}]", each) for index, each in enumerate(a_list(field, value))]


def a_text(field: str, value: Any) -> str:
    """The value as a text that is not empty.

    Raises:
        Invalid: it is none.
    """
    if not isinstance(value, str) or not value:
        raise Invalid(field, f"is {_shown(value)}", "a text")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004 - as much as fits a line
