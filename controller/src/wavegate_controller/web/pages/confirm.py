"""Where a link in a message leads: a page that shows what would be done, and asks. Nothing is done by looking at it."""

from flask import Blueprint, render_template

from wavegate_controller.domain.access import Kind
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.domain.transitions import REQUESTS, Event
from wavegate_controller.identity import here, principal
from wavegate_controller.service import queries
from wavegate_controller.service.offers import offers
from wavegate_controller.service.services import Services


def add_confirm(web: Blueprint, services: Services) -> None:
    """The page /flags/KEY/confirm/EVENT."""

    @web.get("/flags/<key>/confirm/<event>")
    def confirm(key: str, event: str) -> str:
        if event not in REQUESTS:
            raise NotFound("act", event)
        view = queries.flag_view(here(services), key, by=principal())
        rollout = view.rollout.rollout if view.rollout else None
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
