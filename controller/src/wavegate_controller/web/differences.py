"""What differs between two documents, one line for each path whose value is another one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: Longer values are cut short: they are read where they stand, not in a list.
_LONGEST: Final = 600
_MISSING: Final = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One path; a side is None where it has nothing there."""

    path: str
    before: str | None
    after: str | None


def changes(before: Any, after: Any) -> Sequence[Change]:
    """From the one to the other, in the order of the paths; None is nothing at all."""
    return list(_walk("", _MISSING if before is None else before, _MISSING if after is None else after))


def _walk(path: str, before: Any, after: Any) -> Iterator[Change]:
    if before is after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*before, *(each for each in after if each not in before)]:
            inner = f"{path}.{name}" if path else str(name)
            yield from _walk(inner, before.get(name, _MISSING), after.get(name, _MISSING))
        return
    if _is_list(before) and _is_list(after) and len(before) == len(after):
        for index, (was, now) in enumerate(zip(before, after, strict=True)):
            yield from _walk(f"{path}[{index}]", was, now)
        return
    if _MISSING in (before, after) or json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True):
        yield Change(path=path, before=_text(before), after=_text(after))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _text(value: Any) -> str | None:
    if value is _MISSING:
        return None
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
