"""The page of all flags: those that need a person first, then what moves, then the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, render_template, request

from wavegate_controller.domain.access import Permission
from wavegate_controller.domain.passport import Stage
from wavegate_controller.identity import here, principal
from wavegate_controller.service import queries
from wavegate_controller.service.queries import FlagView
from wavegate_controller.service.services import Services
from wavegate_controller.web import sentences

#: Where a person must act, in the order of urgency; then what moves by itself; the rest follows.
_NEEDS_A_PERSON: Final = ("stopped", "cannot_measure", "rolled_back", "awaiting_approval", "paused")
_MOVES: Final = ("running",)
_TITLES: Final = {"urgent": "Needs a person", "moving": "Running", "rest": "Everything else"}
#: Of each group, unless one asks for one of them alone; and then.
_SHOWN: Final = 25
_SHOWN_ALONE: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Flags that are shown together.

    Attributes:
        views: those that are shown.
        total: how many there are.
    """

    id: str
    title: str
    views: Sequence[FlagView]
    total: int


def add_overview(web: Blueprint, services: Services) -> None:
    """The page /."""

    @web.get("/")
    def overview() -> str:
        views = queries.overview(here(services), by=principal())
        q, alone = request.args.get("q", "")[:200].strip(), request.args.get("show", "")
        stage = request.args.get("stage", "")
        named = [view for view in views if _has(view, q)]
        wanted = [view for view in named if stage in ("", view.stage)]
        grouped = group(wanted)
        shown = [
            Group(
                id=each, title=title, views=grouped[each][: _SHOWN_ALONE if alone else _SHOWN], total=len(grouped[each])
            )
            for each, title in _TITLES.items()
            if grouped[each] and alone in ("", each)
        ]
        return render_template(
            "web/overview.html",
            groups=shown,
            total=len(views),
            found=len(wanted),
            counts=[(each, title, len(grouped[each])) for each, title in _TITLES.items()],
            stages=[(each, sum(view.stage is each for view in named)) for each in Stage]
            if any(view.stage for view in views)
            else (),
            stage=stage if stage in list(Stage) else "",
            q=q,
            may_edit=principal().may(Permission.EDIT, here(services).environment),
            alone=alone if alone in _TITLES else "",
        )


def group(views: Sequence[FlagView]) -> dict[str, list[FlagView]]:
    """Flags by who must do something next; the most urgent ones first."""
    standing = {view.flag.key: sentences.standing(view) for view in views}
    urgent = sorted(
        (view for view in views if standing[view.flag.key] in _NEEDS_A_PERSON),
        key=lambda view: _NEEDS_A_PERSON.index(standing[view.flag.key]),
    )
    moving = [view for view in views if standing[view.flag.key] in _MOVES]
    rest = [view for view in views if standing[view.flag.key] not in (*_NEEDS_A_PERSON, *_MOVES)]
    return {"urgent": urgent, "moving": moving, "rest": rest}


def _has(view: FlagView, text: str) -> bool:
    """Whether it is about what somebody looks for: its key, what it is, where it stands."""
    wanted = text.casefold()
    said = (view.flag.key, view.flag.description, sentences.words(sentences.standing(view)))
    return any(wanted in each.casefold() for each in said)
