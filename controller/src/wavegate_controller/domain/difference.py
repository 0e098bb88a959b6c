"""A document three times: as it was applied last, as it is, as it is wanted. What differs, and who changed it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Cause(StrEnum):
    """Why a field differs from what is wanted."""

    #: The wanted document says something else than what was applied last.
    WANTED = "wanted"
    #: Somebody changed it since it was applied last, by another way than this one.
    DRIFT = "drift"
    #: Both.
    BOTH = "both"


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldChange:
    """One field that would change.

    Attributes:
        field: its path, such as `plan.waves`.
        applied: what was applied last; None for nothing.
        live: what it is now.
        wanted: what it would become.
    """

    field: str
    applied: Any
    live: Any
    wanted: Any
    cause: Cause


def differences(
    applied: Mapping[str, Any] | None,
    live: Mapping[str, Any],
    wanted: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> Iterator[FieldChange]:
    """The fields that would change.

    A field that the wanted document leaves out stays as it is, whoever set it; but when it was applied from here and
    has been taken out since, it goes back to its default. So people may look after some fields by hand and keep others
    in Git.

    Args:
        applied: the document that was applied last; None if none was.
        live: all fields as they are.
        wanted: the document, with the fields that it says.
        defaults: what each field is that nobody says anything about.
    """
    before = applied or {}
    for field, now in live.items():
        if field in wanted:
            goal = wanted[field]
        elif field in before:
            goal = defaults.get(field)
        else:
            continue
        if goal == now:
            continue
        drifted = field in before and before[field] != now
        restated = applied is None or field not in before or before[field] != goal
        cause = Cause.BOTH if drifted and restated else Cause.DRIFT if drifted else Cause.WANTED
        yield FieldChange(field=field, applied=before.get(field), live=now, wanted=goal, cause=cause)
