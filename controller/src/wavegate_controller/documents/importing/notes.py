"""What came of an import: the documents, and what people should know before they apply them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """One thing that is not here as it was there.

    Attributes:
        flag: whose, by its key at the source; a segment's as `segment NAME`.
        construct: what, by its place in the source's document.
        why: why it is not the same.
        instead: what to do by hand.
        is_lost: it was left out; else it was carried over and there is something to mind.
    """

    flag: str
    construct: str
    why: str
    instead: str
    is_lost: bool = True

    def __str__(self) -> str:
        return f"{self.flag}: {self.construct}: {self.why}; {self.instead}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """Documents for `wavegate apply`, segments first, and what could not be carried over."""

    objects: Sequence[Mapping[str, Any]]
    notes: Sequence[Note]

    @property
    def lost(self) -> Sequence[Note]:
        """What was left out."""
        return [note for note in self.notes if note.is_lost]


class CannotCarry(Exception):
    """There is no way to say this here, or none that means the same."""

    def __init__(self, construct: str, why: str, instead: str) -> None:
        super().__init__(construct, why, instead)
        self.construct = construct
        self.why = why
        self.instead = instead

    def note(self, flag: str) -> Note:
        """As a note about this flag."""
        return Note(flag=flag, construct=self.construct, why=self.why, instead=self.instead)
