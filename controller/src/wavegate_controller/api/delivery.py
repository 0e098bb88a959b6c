"""How far rulesets have come, over HTTP."""

from typing import Any, Final

from flask.typing import ResponseReturnValue

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.paging import Page, PageQuery, page
from wavegate_controller.documents.shown import ClientShown, DeliveredRevisionShown
from wavegate_controller.documents.views import delivered_to_document
from wavegate_controller.domain.access import Principal
from wavegate_controller.domain.delivery import ConnectedClient
from wavegate_controller.service import fleets as service
from wavegate_controller.service.services import Services

delivery: Final = Operations("delivery", "How far rulesets have come: which clients use which revision.")


@delivery.get("/delivery", "List the latest revisions and who has them", answer=Page[DeliveredRevisionShown])
def list_delivered_revisions(services: Services, query: PageQuery, by: Principal) -> ResponseReturnValue:
    """Newest first. Of all clients, whichever process they are connected to, directly or by relays."""
    seen = query.after(int)
    found = [each for each in service.delivered_revisions(services, by=by) if seen is None or (each.revision,) < seen]
    found = found[: query.limit + 1]
    return page([delivered_to_document(each) for each in found], query, [(each.revision,) for each in found])


@delivery.get("/delivery/clients", "List the connected clients", answer=Page[ClientShown])
def list_clients(services: Services, query: PageQuery, by: Principal) -> ResponseReturnValue:
    """Those furthest behind first. Each is one process of an app."""
    seen = query.after(int, str, str)
    found = [each for each in service.connected_clients(services, by=by) if seen is None or each.rank > seen]
    found = found[: query.limit + 1]
    return page([_client(each) for each in found], query, [each.rank for each in found])


def _client(client: ConnectedClient) -> dict[str, Any]:
    return {
        "instance": client.instance,
        "sdk": client.sdk,
        "app": client.app,
        "revision": client.revision,
        "held_seconds": round(client.held_seconds, 3),
        "streaming": client.streaming,
    }
