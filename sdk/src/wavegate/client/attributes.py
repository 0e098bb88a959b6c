"""What is known of whoever asks: a mapping, keyword arguments, or both."""

from __future__ import annotations

TYPE_CHECKING = False  # as in wavegate/__init__.py
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

    from wavegate.evaluation.matching import Attributes

#: What is known of who says nothing. Never written to.
NO_ATTRIBUTES: Final[Attributes] = {}


def both(attributes: Attributes, named: Mapping[str, Any]) -> Attributes:
    """The mapping and the keyword arguments; these hold where both name the same. What is no mapping says nothing.

    Where the mapping comes by place only, because each name that a function knows costs every caller who names
    another, one that comes as `attributes` is among the keyword arguments.
    """
    if not named:
        return attributes
    if "attributes" in named:
        named = dict(named)
        attributes = named.pop("attributes")
        if not named:
            return attributes
    try:
        return {**attributes, **named}
    except Exception:  # noqa: BLE001 # a caller's object may raise anything
        return named
