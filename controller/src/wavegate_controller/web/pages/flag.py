"""The page of one flag: where its rollout stands and why, what its gates say, and what one may do about it."""

from typing import Final

from flask import Blueprint, render_template

from wavegate_controller.domain.rollout import WATCHED
from wavegate_controller.identity import here, principal
from wavegate_controller.service import queries
from wavegate_controller.service.offers import offers
from wavegate_controller.service.services import Services
from wavegate_controller.web import charts
from wavegate_controller.web.gates import gate_cards, request_share
from wavegate_controller.web.history import lines, wave_times

#: How much of a rollout's past the page of a flag reads, and how many lines of it are shown.
_LOOKS: Final = 200
_MOVES_BEYOND: Final = 50
_LINES: Final = 60


def add_flag(web: Blueprint, services: Services) -> None:
    """The page /flags/KEY."""

    @web.get("/flags/<key>")
    def flag(key: str) -> str:
        return flag_page(here(services), key)


def flag_page(services: Services, key: str, *, problem: str = "", said: str = "") -> str:
    """The page as it stands now.

    Args:
        services: of the flag's environment.
        key: of the flag.
        problem: why the form that was sent has done nothing.
        said: the reason that stood in it, so that nobody types it twice.

    Raises:
        NotFound: there is no such flag.
    """
    story = queries.flag_story(
        services, key, looks=_LOOKS, moves=_MOVES_BEYOND, lookback=charts.LOOKBACK, by=principal()
    )
    rollout = story.view.rollout.rollout if story.view.rollout else None
    told = lines(story.decisions, looks=_LOOKS)
    return render_template(
        "web/flag.html",
        story=story,
        view=story.view,
        flag=story.view.flag,
        rollout=rollout,
        gates=gate_cards(story, rollout) if rollout else (),
        chart_height=charts.HEIGHT,
        share=request_share(story.measurements),
        opened=wave_times(story.decisions),
        lines=told[:_LINES],
        older=len(told) > _LINES or len(story.decisions) >= _LOOKS,
        watched=rollout is not None and rollout.state in WATCHED,
        offers=offers(rollout, by=principal()) if rollout else {},
        problem=problem,
        said=said,
        now=story.now,
    )
