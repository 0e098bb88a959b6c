"""The page of all flags: those that need a person first, then what moves, then the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, render_template, request

from wavegate_controller.domain.access import Permission
from wavegate_controller.domain.outline import Outline
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
        where = here(services)
        every = queries.outlines(where, by=principal())
        q, alone = request.args.get("q", "")[:200].strip(), request.args.get("show", "")
        stage = request.args.get("stage", "")
        named = [(each, its) for each, its in every if _has(each, q)]
        wanted = [each for each, its in named if stage in ("", its)]
        grouped = group(wanted)
        most = _SHOWN_ALONE if alone else _SHOWN
        keys = {each: [one.key for one in grouped[each][:most]] for each in _TITLES if alone in ("", each)}
        # Only what is shown is read as a whole.
        views = queries.flag_views(where, [key for each in keys.values() for key in each], by=principal())
        shown = [
            Group(
                id=each,
                title=_TITLES[each],
                views=[views[key] for key in some if key in views],
                total=len(grouped[each]),
            )
            for each, some in keys.items()
            if some
        ]
        return render_template(
            "web/overview.html",
            groups=shown,
            total=len(every),
            found=len(wanted),
            counts=[(each, title, len(grouped[each])) for each, title in _TITLES.items()],
            stages=[(each, sum(its is each for _, its in named)) for each in Stage]
            if any(its for _, its in every)
            else (),
            stage=stage if stage in list(Stage) else "",
            q=q,
            may_edit=principal().may(Permission.EDIT, here(services).environment),
            alone=alone if alone in _TITLES else "",
        )


def group(outlines: Sequence[Outline]) -> dict[str, list[Outline]]:
    """Flags by who must do something next; the most urgent ones first."""
    urgent = sorted(
        (each for each in outlines if each.standing in _NEEDS_A_PERSON),
        key=lambda each: _NEEDS_A_PERSON.index(each.standing),
    )
    moving = [each for each in outlines if each.standing in _MOVES]
    rest = [each for each in outlines if each.standing not in (*_NEEDS_A_PERSON, *_MOVES)]
    return {"urgent": urgent, "moving": moving, "rest": rest}


def _has(outline: Outline, text: str) -> bool:
    """Whether it is about what somebody looks for: its key, what it is, where it stands."""
    wanted = text.casefold()
    return any(
        wanted in each.casefold() for each in (outline.key, outline.description, sentences.words(outline.standing))
    )
