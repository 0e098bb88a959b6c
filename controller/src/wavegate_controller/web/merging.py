"""Two people change one document: what each changed since they began, put together, and where both touched the same."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Clash:
    """A field that both have changed, each to something else."""

    field: str
    base: Any
    theirs: Any
    mine: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Merged:
    """Mine on top of theirs.

    Attributes:
        document: their changes where I made none, else mine.
        taken: fields that only they have changed.
        clashes: fields where mine stands against theirs.
    """

    document: Mapping[str, Any]
    taken: Sequence[str]
    clashes: Sequence[Clash]


def merge(base: Mapping[str, Any], theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> Merged:
    """Field by field; a field is taken as a whole."""
    taken = [name for name in mine if _same(mine[name], base.get(name)) and not _same(theirs.get(name), base.get(name))]
    clashes = [
        Clash(field=name, base=base.get(name), theirs=theirs.get(name), mine=mine[name])
        for name in mine
        if name not in taken and not _same(theirs.get(name), base.get(name)) and not _same(theirs.get(name), mine[name])
    ]
    return Merged(
        document={name: theirs.get(name) if name in taken else value for name, value in mine.items()},
        taken=taken,
        clashes=clashes,
    )


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
