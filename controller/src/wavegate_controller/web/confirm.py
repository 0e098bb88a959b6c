"""Where a link in a message leads: a page that shows what would be done, and asks. Nothing is done by looking at it."""

from urllib.parse import quote, urlencode

from flask import render_template

from wavegate_controller.domain.access import Kind
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.domain.transitions import REQUESTS, Event, possible
from wavegate_controller.identity import here, principal
from wavegate_controller.service import queries
from wavegate_controller.service.services import Services


def confirm(services: Services, key: str, event: str) -> str:
    """The page; its button asks the API, which requires who and what it always requires.

    Raises:
        NotFound: there is no such flag, or nobody can ask for that.
    """
    if event not in REQUESTS:
        raise NotFound("act", event)
    who, where = principal(), here(services)
    view = queries.flag_view(where, key, by=who)
    rollout = view.rollout.rollout if view.rollout else None
    act_url = ""
    if rollout is not None:
        place = urlencode({"environment": where.environment})
        act_url = f"/api/v1/rollouts/{quote(rollout.id, safe='')}/{event}?{place}"
    return render_template(
        "web/confirm.html",
        view=view,
        flag=view.flag,
        rollout=rollout,
        latest=view.rollout.latest if view.rollout else None,
        event=Event(event),
        is_possible=rollout is not None and event in possible(rollout),
        act_url=act_url,
        asks_name=who.kind is Kind.UNPROVEN,
        now=services.clock.now(),
    )
