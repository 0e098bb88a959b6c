"""Where a link in a message leads: a page that shows what would be done, and asks. Nothing is done by looking at it."""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.domain.access import Kind
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import REQUESTS, Event
from wavegate_controller.identity import here, principal
from wavegate_controller.service import queries
from wavegate_controller.service.offers import offers
from wavegate_controller.service.services import Services

_SIGNED: Final = (Event.APPROVE, Event.REJECT)


def add_confirm(web: Blueprint, services: Services) -> None:
    """The page /flags/KEY/confirm/EVENT."""

    @web.get("/flags/<key>/confirm/<event>")
    def confirm(key: str, event: str) -> ResponseReturnValue:
        if event not in REQUESTS:
            raise NotFound("act", event)
        view = queries.flag_view(here(services), key, by=principal())
        rollout = view.rollout.rollout if view.rollout else None
        if rollout is not None and rollout.state is State.AWAITING_APPROVAL and event in _SIGNED:
            # Nobody signs what they have not had before them.
            return redirect(url_for("web.review", key=key), HTTPStatus.SEE_OTHER)
        return render_template(
            "web/confirm.html",
            view=view,
            flag=view.flag,
            rollout=rollout,
            latest=view.rollout.latest if view.rollout else None,
            event=Event(event),
            offer=offers(rollout, by=principal(), stage=view.stage).get(Event(event)) if rollout else None,
            asks_name=principal().kind is Kind.UNPROVEN,
        )
