"""Instants: ISO 8601 dates with a time and an offset, so that they mean the same everywhere."""

import re
from datetime import datetime
from typing import Any, Final

# The profile of RFC 3339, seconds optional. Python reads more forms, and more with each release;
# what a ruleset means must not depend on that.
_FORM: Final = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)


def read_instant(value: Any) -> datetime | None:
    """The instant that a text or an aware datetime names; None if it names none."""
    if issubclass(type(value), datetime):
        return value if value.utcoffset() is not None else None
    if not issubclass(type(value), str) or _FORM.fullmatch(value) is None:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:  # the 31st of February
        return None
