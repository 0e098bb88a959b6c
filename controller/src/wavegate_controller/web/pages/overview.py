"""The page of all flags: those that need a person first, then what moves, then the rest."""

from collections.abc import Sequence
from typing import Final

from flask import Blueprint, render_template

from wavegate_controller.identity import here, principal
from wavegate_controller.service import queries
from wavegate_controller.service.queries import FlagView
from wavegate_controller.service.services import Services
from wavegate_controller.web import sentences

#: Where a person must act, in the order of urgency; then what moves by itself; the rest follows.
_NEEDS_A_PERSON: Final = ("stopped", "cannot_measure", "rolled_back", "awaiting_approval", "paused")
_MOVES: Final = ("running",)


def add_overview(web: Blueprint, services: Services) -> None:
    """The page /."""

    @web.get("/")
    def overview() -> str:
        views = queries.overview(here(services), by=principal())
        return render_template("web/overview.html", groups=_groups(views), total=len(views))


def _groups(views: Sequence[FlagView]) -> list[tuple[str, str, list[FlagView]]]:
    """Flags by who must do something next; empty groups are left out."""
    standing = {view.flag.key: sentences.standing(view) for view in views}
    urgent = sorted(
        (view for view in views if standing[view.flag.key] in _NEEDS_A_PERSON),
        key=lambda view: _NEEDS_A_PERSON.index(standing[view.flag.key]),
    )
    moving = [view for view in views if standing[view.flag.key] in _MOVES]
    rest = [view for view in views if standing[view.flag.key] not in (*_NEEDS_A_PERSON, *_MOVES)]
    groups = [("urgent", "Needs a person", urgent), ("moving", "Running", moving), ("rest", "Everything else", rest)]
    return [group for group in groups if group[2]]
