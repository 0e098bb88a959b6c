"""What happens, as server-sent events: who may follow, and from where on. The stream is served by `delivery.feed`."""

import json
import re
from typing import Final

from flask import Response, request
from flask.typing import ResponseReturnValue
from pydantic import Field

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.reading import Query
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.service.services import Services

_ID: Final = re.compile(r"[0-9]{1,18}")
_LARGEST: Final = 10**18 - 1

events: Final = Operations("events", "What happens, as it happens.")


class EventsQuery(Query):
    """From where on."""

    after: int | None = Field(
        default=None, ge=0, le=_LARGEST, description="Id of the last event already seen; `Last-Event-ID` wins over it."
    )


@events.get("/events", "Follow what happens", media="text/event-stream")
def follow_events(services: Services, by: Principal, query: EventsQuery) -> ResponseReturnValue:
    """Server-sent events of the environment, from now on or from behind the last one that you have.

    Each has as `id` the number of its entry in the audit, as `event` its action, such as `rollout.promote`, and as
    `data` a JSON object with `id`, `at`, `actor`, `action`, `subject`, `environment` and `reason`. Lines that begin
    with a colon are signs of life. `event: reset` says that the controller has less than you have seen: read anew. A
    stream ends after 15 minutes, and when somebody's rights change; clients of server-sent events come back by
    themselves and miss nothing.
    """
    by.require(Permission.READ, services.environment)
    ticket = {"environment": services.environment, "after": _last_seen(query)}
    # Latin-1 is what headers are; JSON is within ASCII.
    return Response(content_type="text/event-stream", headers={"Wavegate-Ticket": json.dumps(ticket)})


def _last_seen(query: EventsQuery) -> int | None:
    given = request.headers.get("Last-Event-ID")
    if given is None or given == "":
        return query.after
    if not _ID.fullmatch(given):
        raise Invalid("Last-Event-ID", f"{given!r} is no id of an event", "the `id` of the last event that you have")
    return int(given)
