"""Channels and deliveries over HTTP."""

import re
from typing import Any, Final, Literal

from flask import url_for
from flask.typing import ResponseReturnValue
from pydantic import Field

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.paging import Page, PageQuery, page
from wavegate_controller.api.reading import Act
from wavegate_controller.documents.notifications import ChannelDocument, channel_to_document, delivery_to_document
from wavegate_controller.documents.shown import ChannelShown, DeliveryShown
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.errors import Conflict, NotFound
from wavegate_controller.domain.notification import Delivery, DeliveryState
from wavegate_controller.service import notifications as service
from wavegate_controller.service.services import Services

_NUMBER: Final = re.compile(r"[0-9]{1,18}")

notifications: Final = Operations("notifications", "Where messages about rollouts go, and how far they are.")


class DeliveriesQuery(PageQuery):
    """Which deliveries."""

    channel: str | None = Field(default=None, description="To this channel.")
    state: Literal["pending", "delivered", "dead"] | None = Field(default=None, description="How far it is.")


@notifications.get("/channels", "List the channels, by name", answer=Page[ChannelShown])
def list_channels(services: Services, by: Principal, query: PageQuery) -> ResponseReturnValue:
    """Those that messages of the environment may go to. Addresses are shown without what is secret in them."""
    seen = query.after(str)
    behind = seen[0] if seen else ""
    found = [each for each in service.list_channels(services, by=by) if each.name > behind][: query.limit + 1]
    return page([channel_to_document(each) for each in found], query, [(each.name,) for each in found])


@notifications.post(
    "/channels", "Add a channel", answer=ChannelShown, status=201, problems=[Conflict], permission=Permission.ADMINISTER
)
def add_channel(services: Services, by: Principal, body: ChannelDocument) -> ResponseReturnValue:
    """What happens from now on goes there. To change one, remove it and add it anew."""
    channel = service.add_channel(services, body, by=by)
    return channel_to_document(channel), 201, {"Location": url_for(".show_channel", channel=channel.name)}


@notifications.get("/channels/{channel}", "Show a channel", answer=ChannelShown)
def show_channel(services: Services, by: Principal, channel: str) -> ResponseReturnValue:
    """Without what is secret in it."""
    return channel_to_document(service.get_channel(services, channel, by=by))


@notifications.delete("/channels/{channel}", "Remove a channel", permission=Permission.ADMINISTER)
def remove_channel(services: Services, by: Principal, channel: str) -> ResponseReturnValue:
    """Nothing more goes there; what is on its way is given up."""
    service.remove_channel(services, channel, by=by)
    return "", 204


@notifications.post(
    "/channels/{channel}/test", "Send a test to a channel", answer=DeliveryShown, permission=Permission.ADMINISTER
)
def test_channel(services: Services, by: Principal, channel: str, body: Act) -> ResponseReturnValue:  # noqa: ARG001 - its signature is `by`
    """On the way that all messages take; ask for the delivery to learn how it went."""
    return _shown(services, service.send_test(services, channel, by=by))


@notifications.get("/deliveries", "List the deliveries, newest first", answer=Page[DeliveryShown])
def list_deliveries(services: Services, by: Principal, query: DeliveriesQuery) -> ResponseReturnValue:
    """One for each message and channel. What was delivered is shown for 30 days."""
    seen = query.after(int)
    found = service.deliveries(
        services,
        limit=query.limit + 1,
        before=seen[0] if seen else None,
        channel=query.channel,
        state=DeliveryState(query.state) if query.state else None,
        by=by,
    )
    return page([_shown(services, each) for each in found], query, [(each.id,) for each in found])


@notifications.get("/deliveries/{delivery}", "Show a delivery", answer=DeliveryShown)
def show_delivery(services: Services, by: Principal, delivery: str) -> ResponseReturnValue:
    """With the message and what went wrong last."""
    return _shown(services, service.get_delivery(services, _number(delivery), by=by))


@notifications.post(
    "/deliveries/{delivery}/retry", "Try a dead delivery again", answer=DeliveryShown, problems=[Conflict]
)
def retry_delivery(services: Services, by: Principal, delivery: str, body: Act) -> ResponseReturnValue:  # noqa: ARG001 - its signature is `by`
    """From the first attempt on."""
    return _shown(services, service.retry_delivery(services, _number(delivery), by=by))


def _number(delivery: str) -> int:
    if not _NUMBER.fullmatch(delivery):
        raise NotFound("delivery", delivery)
    return int(delivery)


def _shown(services: Services, delivery: Delivery) -> dict[str, Any]:
    return delivery_to_document(delivery, pages=services.pages)
