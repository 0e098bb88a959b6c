"""The review of a wave, and the form by which an approver signs it: what is signed is what the page shows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.documents import review_texts
from wavegate_controller.documents.markup import to_html
from wavegate_controller.documents.rollout_reports import report_to_html, report_to_markdown
from wavegate_controller.domain.errors import Conflict, EventRefused, Invalid, NotFound
from wavegate_controller.domain.transitions import Event
from wavegate_controller.identity import here, principal
from wavegate_controller.service import queries, reports, reviews, rollouts
from wavegate_controller.service.explain import explain_decision, story_of
from wavegate_controller.service.offers import offers
from wavegate_controller.service.services import Services
from wavegate_controller.web import charts
from wavegate_controller.web.gates import GateCard, gate_cards
from wavegate_controller.web.plots import plot
from wavegate_controller.web.refusals import refused
from wavegate_controller.web.signing import signer

_SIGNED: Final = (Event.APPROVE, Event.REJECT)
_REFUSALS: Final = (Invalid, Conflict, EventRefused)


def add_review(web: Blueprint, services: Services) -> None:
    """The pages /flags/KEY/review and /flags/KEY/review/document, and the report of the whole rollout."""

    @web.get("/flags/<key>/review")
    def review(key: str) -> ResponseReturnValue:
        where = here(services)
        if not _has_begun(where, key):
            return redirect(url_for("web.flag", key=key), HTTPStatus.SEE_OTHER)
        return _page(where, key)

    @web.get("/flags/<key>/review/document")
    def review_document(key: str) -> ResponseReturnValue:
        where = here(services)
        if not _has_begun(where, key):
            return redirect(url_for("web.flag", key=key), HTTPStatus.SEE_OTHER)
        rollout = queries.rollout_view(where, key, by=principal()).rollout
        text = review_texts.review_to_markdown(_asked(where, rollout.id))
        return render_template("web/review_document.html", key=key, text=text, html=to_html(text))

    @web.get("/flags/<key>/report")
    def report(key: str) -> ResponseReturnValue:
        where = here(services)
        if not _has_begun(where, key):
            return redirect(url_for("web.flag", key=key), HTTPStatus.SEE_OTHER)
        rollout = queries.rollout_view(where, key, by=principal()).rollout
        found = reports.get_report(where, rollout.id, by=principal())
        text, html = report_to_markdown(found), report_to_html(found)
        return render_template("web/report.html", key=key, text=text, html=html)

    @web.post("/flags/<key>/review/<word>")
    def sign_review(key: str, word: str) -> ResponseReturnValue:
        if word not in _SIGNED:
            raise NotFound("act", word)
        where, form = here(services), request.form
        comment, digest = form.get("comment", ""), form.get("review") or None
        try:
            rollouts.act(where, form.get("rollout", ""), Event(word), by=signer(), comment=comment, review=digest)
        except _REFUSALS as refusal:
            told = refused(refusal, "comment")
            problem = told.problem or f"Not done: {told.errors['comment']}"
            return _page(where, key, problem=problem, said=comment), told.status
        return redirect(url_for("web.flag", key=key), HTTPStatus.SEE_OTHER)


def _has_begun(services: Services, key: str) -> bool:
    view = queries.flag_view(services, key, by=principal()).rollout
    return view is not None and view.rollout.wave is not None


def _page(services: Services, key: str, *, problem: str = "", said: str = "") -> str:
    view = queries.flag_view(services, key, by=principal())
    rollout = queries.rollout_view(services, key, by=principal()).rollout
    document = _asked(services, rollout.id)
    offered = offers(rollout, by=principal(), stage=view.stage) if document["is_open"] else {}
    return render_template(
        "web/review.html",
        flag=view.flag,
        review=document,
        reached=(rollout.wave or 0) + 1,
        gates=_cards(services, document),
        may={event.value: offer.is_open for event, offer in offered.items()},
        why_not=[offer.why_not for event, offer in offered.items() if event in _SIGNED and offer.why_not],
        texts=review_texts,
        moment=datetime.fromisoformat,
        now=services.clock.now(),
        plot=plot,
        chart_height=charts.HEIGHT,
        problem=problem,
        said=said,
    )


def _asked(services: Services, rollout_id: str) -> Mapping[str, Any]:
    """That of the wave, or of the decision, that the address names."""
    wave, decision = (request.args.get(name, type=int) for name in ("wave", "decision"))
    for name, number in (("wave", wave), ("decision", decision)):
        if number is not None and not 0 < number < 2**63:
            raise NotFound(name, str(number))
    return reviews.get_review(services, rollout_id, by=principal(), wave=wave, decision=decision)


def _cards(services: Services, document: Mapping[str, Any]) -> Sequence[GateCard]:
    """The gates as they stood, over time; none where nobody looked, or the decision is no longer kept."""
    if document["judged_by"] is None:
        return ()
    try:
        explained = explain_decision(services, document["judged_by"], by=principal())
    except NotFound:
        return ()
    rollout, story = story_of(services, explained, by=principal())
    return gate_cards(story, rollout)
