"""Rules of a source that are asked in order: what cannot be carried over ends them."""

from collections.abc import Iterator
from contextlib import contextmanager

from wavegate_controller.documents.importing.draft import Draft
from wavegate_controller.documents.importing.notes import CannotCarry


class Sequence:
    """Goes through rules until one cannot be carried over.

    Whom that one would have caught must not fall through to a later one, so nothing behind it is carried over either:
    they all get the default variant.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._ended_at: str | None = None

    @contextmanager
    def step(self, place: str) -> Iterator[bool]:
        """A block for one rule; it is told whether the rules have not ended yet."""
        if self._ended_at is not None:
            self._draft.lose(
                place, f"it comes after {self._ended_at}, which cannot be carried over", "write both by hand"
            )
            yield False
            return
        try:
            yield True
        except CannotCarry as lost:
            self._draft.notes.append(lost.note(self._draft.key))
            self._ended_at = place
