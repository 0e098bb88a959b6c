"""Conditions as documents (docs/ruleset.md), in the words that the sources have in common."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from wavegate.evaluation import InvalidRuleset
from wavegate.evaluation.condition_codec import read_condition
from wavegate_controller.documents.importing.notes import CannotCarry

ConditionDocument: TypeAlias = dict[str, Any]

KEY: Final = "targeting_key"
_PARTS_OF_A_VERSION: Final = 3


def everybody() -> ConditionDocument:
    """Whoever asks, with a targeting key or without."""
    return {"any": [exists(KEY), negated(exists(KEY))]}


def nobody() -> ConditionDocument:
    """Nobody at all."""
    return {"all": [exists(KEY), negated(exists(KEY))]}


def negated(condition: ConditionDocument) -> ConditionDocument:
    """Its opposite; it is met where the attribute is missing."""
    inner: ConditionDocument | None = condition.get("not")
    return {"not": condition} if inner is None else inner


def all_of(conditions: Sequence[ConditionDocument]) -> ConditionDocument:
    """Each of them; none asks nothing, which everybody meets."""
    return _joined("all", conditions) if conditions else everybody()


def any_of(conditions: Sequence[ConditionDocument]) -> ConditionDocument:
    """One of them; of none, nobody meets one."""
    return _joined("any", conditions) if conditions else nobody()


def _joined(word: str, conditions: Sequence[ConditionDocument]) -> ConditionDocument:
    return conditions[0] if len(conditions) == 1 else {word: list(conditions)}


def exists(attribute: str) -> ConditionDocument:
    """It is there."""
    return {"attribute": attribute, "operator": "exists"}


def among(attribute: str, values: Iterable[Any]) -> ConditionDocument:
    """It is one of these."""
    wanted = [value for _, value in dict.fromkeys((type(value), value) for value in values)]
    return compare(attribute, "in", wanted) if wanted else nobody()


def compare(attribute: str, operator: str, value: Any, place: str = "condition") -> ConditionDocument:
    """One comparison, held to what the evaluator takes.

    Raises:
        CannotCarry: what it refuses.
    """
    condition = {"attribute": attribute, "operator": operator, "value": value}
    try:
        read_condition("", condition)
    except InvalidRuleset as refused:
        raise CannotCarry(place, f"{refused.path.strip('.')} {refused.problem}", refused.expected) from None
    return condition


def text_in_any_case(attribute: str, operator: str, value: str, place: str) -> ConditionDocument:
    """A part of a text, whatever the case of its letters: by a pattern, because comparisons here look at case.

    Raises:
        CannotCarry: it is too long for a pattern, or has letters beyond ASCII, whose case languages see differently.
    """
    if not value.isascii():
        raise CannotCarry(
            place, f"compares {value!r} in any case, beyond ASCII", "pass the attribute in lower case and compare that"
        )
    pattern = "".join(_in_any_case(character) for character in value)
    ends = {"starts_with": ("^", ""), "ends_with": ("", "$"), "contains": ("", ""), "equals": ("^", "$")}
    before, after = ends[operator]
    return compare(attribute, "matches", before + pattern + after, place)


def _in_any_case(character: str) -> str:
    if character.isalpha():
        return f"[{character.lower()}{character.upper()}]"
    return character if character.isalnum() or character in " _" else "\\" + character


def version(text: Any, place: str) -> str:
    """A version in three parts, as Semantic Versioning asks for; sources take `2` and `v2.1` for versions, too.

    Raises:
        CannotCarry: it is none.
    """
    if not isinstance(text, str):
        raise CannotCarry(place, f"compares a version with {text!r}", "give the version as text, such as 2.10.0")
    core, mark, rest = text.removeprefix("v").partition("-")
    parts = core.split(".")
    return ".".join(parts + ["0"] * (_PARTS_OF_A_VERSION - len(parts))) + mark + rest


def instant(value: Any, place: str) -> str:
    """An instant with its offset, of a text or of milliseconds since 1970.

    Raises:
        CannotCarry: it is none.
    """
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC).isoformat()
        read = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        raise CannotCarry(place, f"compares with {value!r}, which is no date", "write the date as ISO 8601") from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).isoformat()
