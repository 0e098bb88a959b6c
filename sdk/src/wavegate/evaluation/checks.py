"""The checks that every part of a ruleset shares: refused with the place, the problem, and what would be right."""

import math
from collections.abc import Iterable
from typing import Final

from wavegate.evaluation.bucketing import FULL_WEIGHT
from wavegate.evaluation.errors import InvalidRuleset

_DEEPEST_VALUE: Final = 32


def check_text(path: str, text: object, verb: str = "is") -> None:
    """A name, a key, a salt."""
    if not isinstance(text, str) or not text:
        raise InvalidRuleset(path, f"{verb} {text!r}", "give a string of one character or more")
    if not text.isascii():
        _check_unicode(path, text)


def check_keys(path: str, keys: object) -> None:
    """A list of targeting keys."""
    if not isinstance(keys, tuple):
        raise InvalidRuleset(path, f"is of type {type(keys).__name__}", "give a list of targeting keys")
    for index, key in enumerate(keys):
        check_text(f"{path}[{index}]", key)


def check_weight(path: str, weight: object) -> None:
    """A share in thousandths of a percent."""
    # A bool is an int to Python; as a weight it is a mistake.
    if type(weight) is not int or not 0 <= weight <= FULL_WEIGHT:
        raise InvalidRuleset(path, f"is {weight!r}", f"give an integer from 0 to {FULL_WEIGHT} (1000 is one percent)")


def check_one_of(path: str, name: object, known: Iterable[str], what: str) -> None:
    """A reference to something that must be there."""
    if not isinstance(name, str) or name not in known:
        choice = ", ".join(known)
        raise InvalidRuleset(path, f"is {name!r}, which is no {what}", f"use one of: {choice}" if choice else "add it")


def check_json(path: str, value: object, depth: int = 0) -> None:
    """Refuses what would not survive the way to another language."""
    if depth > _DEEPEST_VALUE:
        raise InvalidRuleset(path, "is nested too deeply", f"use {_DEEPEST_VALUE} levels at most")
    match value:
        case list():
            for index, item in enumerate(value):
                check_json(f"{path}[{index}]", item, depth + 1)
        case dict():
            for name, item in value.items():
                _check_name(path, name)
                check_json(f"{path}.{name}", item, depth + 1)
        case _:
            _check_scalar(path, value)


def _check_name(path: str, name: object) -> None:
    if not isinstance(name, str):
        raise InvalidRuleset(path, f"has the name {name!r}", "name the members of an object by strings")
    _check_unicode(path, name)


def _check_scalar(path: str, value: object) -> None:
    match value:
        case None | bool() | int():
            pass
        case str():
            _check_unicode(path, value)
        case float() if math.isfinite(value):
            pass
        case float():
            raise InvalidRuleset(path, f"is {value!r}", "give a finite number")
        case _:
            raise InvalidRuleset(
                path,
                f"is of type {type(value).__name__}",
                "use what JSON has: true, false, null, number, string, list, object",
            )


def _check_unicode(path: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRuleset(path, f"holds {text!r}", "give text that has a UTF-8 form") from None
