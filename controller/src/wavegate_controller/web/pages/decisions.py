"""Decisions: the list of a flag's, and one of them made again from its evidence, with that evidence over time."""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.domain.errors import NotFound
from wavegate_controller.domain.record import RECONCILER
from wavegate_controller.identity import here, principal
from wavegate_controller.service import queries
from wavegate_controller.service.explain import Explanation, explain_decision, story_of
from wavegate_controller.service.services import Services
from wavegate_controller.web import charts
from wavegate_controller.web.gates import gate_cards
from wavegate_controller.web.history import lines
from wavegate_controller.web.plots import plot

_PAGE: Final = 300
_LARGEST: Final = 2**63 - 1


def add_decisions(web: Blueprint, services: Services) -> None:
    """The pages /flags/KEY/decisions and /decisions/NUMBER."""

    @web.get("/flags/<key>/decisions")
    def decisions(key: str) -> ResponseReturnValue:
        where, who = here(services), principal()
        view = queries.flag_view(where, key, by=who)
        if view.rollout is None:
            return redirect(url_for("web.flag", key=key), HTTPStatus.SEE_OTHER)
        moves_only = request.args.get("moves") == "1"
        before = request.args.get("before", type=int)
        if before is not None:
            before = _checked(before)
        found = queries.history(
            where, view.rollout.rollout.id, limit=_PAGE + 1, before=before, moves_only=moves_only, by=who
        )
        return render_template(
            "web/decisions.html",
            flag=view.flag,
            rollout=view.rollout.rollout,
            lines=lines(found[:_PAGE], looks=_PAGE),
            before=found[_PAGE - 1].id if len(found) > _PAGE else None,
            moves_only=moves_only,
            paged="before" in request.args,
        )

    @web.get("/decisions/<int:number>")
    def decision(number: int) -> str:
        where, who = here(services), principal()
        explained = explain_decision(where, _checked(number), by=who)
        rollout, story = story_of(where, explained, by=who)
        return render_template(
            "web/decision.html",
            explained=explained,
            record=explained.record,
            made_again=_made_again(explained),
            rollout=rollout,
            flag=story.view.flag,
            gates=gate_cards(story, rollout),
            has_verdicts=bool(explained.record.verdicts),
            plot=plot,
            chart_height=charts.HEIGHT,
        )


def _made_again(explained: Explanation) -> tuple[str, str]:
    """Tone and sentence: what came out when it was made again."""
    if explained.agrees is None:
        if explained.record.actor != RECONCILER:
            return "calm", "A person decided this; there is nothing to make it again from."
        return "calm", "Nothing was kept to make this decision again from."
    if explained.agrees:
        return "good", "Made again from the evidence that is stored: the same, bit by bit."
    return (
        "bad",
        "Made again from the evidence that is stored, it comes out otherwise: the record or the evidence changed.",
    )


def _checked(number: int) -> int:
    if not 0 < number <= _LARGEST:
        raise NotFound("decision", str(number))
    return number
