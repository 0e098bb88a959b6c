"""The page of one flag: where its rollout stands and why, what its gates say, and what one may do about it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from flask import Blueprint, render_template

from wavegate_controller.domain.access import Permission
from wavegate_controller.domain.foresight.findings import Finding
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.rollout import WATCHED
from wavegate_controller.domain.transitions import Event
from wavegate_controller.identity import here, principal
from wavegate_controller.service import queries
from wavegate_controller.service.offers import Offer, offers
from wavegate_controller.service.queries import FlagStory
from wavegate_controller.service.reasons import lacks_reason
from wavegate_controller.service.services import Services
from wavegate_controller.web import charts
from wavegate_controller.web.expected import expected
from wavegate_controller.web.gates import gate_cards, request_share
from wavegate_controller.web.history import lines, wave_times
from wavegate_controller.web.plots import plot
from wavegate_controller.web.sentences import imperative

#: How much of a rollout's past the page of a flag reads, and how many lines of it are shown.
_LOOKS: Final = 200
_MOVES_BEYOND: Final = 50
_LINES: Final = 60
#: Height of the plots in pixels: of a few gates, and of more, which shall need no scrolling either.
_CHART_HEIGHT: Final = 72
_SMALL_CHART_HEIGHT: Final = 44
_EVIDENCE_HEIGHT: Final = 40
_FEW_GATES: Final = 2
#: Seconds between two looks of the page: while a change is on its way, while gates are watched, and else.
_ON_ITS_WAY: Final = 1
_WATCHING: Final = 2
_RESTING: Final = 10
#: After a move the page looks often, until those who connect late have come.
_FRESH: Final = timedelta(seconds=30)


def add_flag(web: Blueprint, services: Services) -> None:
    """The page /flags/KEY."""

    @web.get("/flags/<key>")
    def flag(key: str) -> str:
        return flag_page(here(services), key)


def flag_page(
    services: Services, key: str, *, problem: str = "", said: str = "", findings: Sequence[Finding] = ()
) -> str:
    """The page as it stands now.

    Args:
        services: of the flag's environment.
        key: of the flag.
        problem: why the form that was sent has done nothing.
        said: the reason that stood in it, so that nobody types it twice.
        findings: of the lint, that kept the rollout from being started.

    Raises:
        NotFound: there is no such flag.
    """
    story = queries.flag_story(
        services, key, looks=_LOOKS, moves=_MOVES_BEYOND, lookback=charts.LOOKBACK, by=principal()
    )
    rollout = story.view.rollout.rollout if story.view.rollout else None
    moved = story.view.rollout.moved if story.view.rollout else None
    offered = offers(rollout, by=principal(), stage=story.view.stage) if rollout else {}
    may_edit = principal().may(Permission.EDIT, services.environment)
    told = lines(story.decisions, looks=_LOOKS)
    gates = gate_cards(story, rollout) if rollout else []
    return render_template(
        "web/flag.html",
        story=story,
        view=story.view,
        flag=story.view.flag,
        rollout=rollout,
        gates=gates,
        few_gates=len(gates) <= _FEW_GATES,
        plot=plot,
        chart_height=_CHART_HEIGHT if len(gates) <= _FEW_GATES else _SMALL_CHART_HEIGHT,
        evidence_height=_EVIDENCE_HEIGHT,
        share=request_share(story.measurements),
        opened=wave_times(story.decisions),
        lines=told[:_LINES],
        older=len(told) > _LINES or len(story.decisions) >= _LOOKS,
        watched=rollout is not None and rollout.state in WATCHED,
        follows=_follows(story, moved),
        next=expected(story.view.rollout, now=story.now) if story.view.rollout else None,
        may={event.value: offer.is_open for event, offer in offered.items()},
        may_edit=may_edit,
        may_undo=story.can_undo and Event.UNDO in offered and offered[Event.UNDO].is_open,
        asks_why=may_edit and _asks_why(story, moved),
        refusals=_refusals(offered),
        problem=problem,
        findings=findings,
        said=said,
        now=story.now,
    )


def _follows(story: FlagStory, moved: DecisionRecord | None) -> int:
    """After how many seconds the page looks again, whatever it is told meanwhile."""
    is_fresh = moved is not None and story.now - moved.at < _FRESH
    if is_fresh or (story.delivered is not None and not story.delivered.is_complete):
        return _ON_ITS_WAY
    is_watched = story.view.rollout is not None and story.view.rollout.rollout.state in WATCHED
    return _WATCHING if is_watched else _RESTING


def _asks_why(story: FlagStory, moved: DecisionRecord | None) -> bool:
    """Whether a person has taken something away without a word: they were not asked then, so they are asked now."""
    return (
        moved is not None
        and moved.event in (Event.ROLL_BACK, Event.STEP_BACK, Event.PAUSE)
        and lacks_reason(moved)
        and moved.id not in story.reasons
    )


def _refusals(offered: Mapping[Event, Offer]) -> Sequence[str]:
    """What is not offered though the rollout would take it, and why: one sentence for each reason."""
    told: dict[str, list[str]] = {}
    for event, offer in offered.items():
        if offer.why_not:
            told.setdefault(offer.why_not, []).append(imperative(event))
    return [f"{', '.join(acts)}: {why}." for why, acts in told.items()]
