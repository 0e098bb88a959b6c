"""Notifications: the channels, a test of each, and how far the latest messages are."""

from typing import Any, Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from wavegate_controller.documents.notifications import ChannelDocument
from wavegate_controller.documents.reading import parse
from wavegate_controller.domain.access import EVERYWHERE, Permission
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.identity import here, principal
from wavegate_controller.service import notifications
from wavegate_controller.service.services import Services
from wavegate_controller.web.pages.settings.frame import form, frame, places, tried
from wavegate_controller.web.refusals import Refused
from wavegate_controller.web.signing import signer

_CHANNELS: Final = "settings_channels"
_FIELDS: Final = ("name", "environment", "type", "url", "secret", "actions", "least")
_DELIVERIES: Final = 20
_LONGEST_ID: Final = 18


def add_channels(web: Blueprint, services: Services) -> None:
    """The page /settings/notifications."""

    def page(problem: Refused) -> str:
        where, who = here(services), principal()
        return frame(
            where,
            "web/settings/channels.html",
            _CHANNELS,
            found=notifications.list_channels(where, by=who),
            deliveries=notifications.deliveries(where, limit=_DELIVERIES, by=who),
            places=[each for each in places(where, who) if who.may(Permission.ADMINISTER, each[0])],
            may_retry=who.may(Permission.EDIT, where.environment),
            may=lambda channel: who.may(Permission.ADMINISTER, channel.environment),
            refused=problem,
        )

    @web.get("/settings/notifications")
    def settings_channels() -> str:
        return page(Refused())

    @web.post("/settings/notifications")
    def add_channel() -> ResponseReturnValue:
        return tried(
            page,
            lambda: notifications.add_channel(here(services), parse(ChannelDocument, _given()), by=signer()),
            _CHANNELS,
            _FIELDS,
        )

    @web.post("/settings/notifications/<name>/test")
    def check_channel(name: str) -> ResponseReturnValue:
        return tried(page, lambda: notifications.send_test(here(services), name, by=signer()), _CHANNELS)

    @web.post("/settings/notifications/<name>/remove")
    def remove_channel(name: str) -> ResponseReturnValue:
        return tried(page, lambda: notifications.remove_channel(here(services), name, by=signer()), _CHANNELS)

    @web.post("/settings/notifications/deliveries/<delivery>/retry")
    def retry_delivery(delivery: str) -> ResponseReturnValue:
        if not (delivery.isascii() and delivery.isdigit() and len(delivery) <= _LONGEST_ID):
            raise NotFound("delivery", delivery)
        return tried(page, lambda: notifications.retry_delivery(here(services), int(delivery), by=signer()), _CHANNELS)


def _given() -> dict[str, Any]:
    given: dict[str, Any] = dict(form(*_FIELDS))
    given["environment"] = given["environment"] or EVERYWHERE
    given["secret"] = given["secret"] or None
    given["actions"] = request.form.get("actions", "").replace(",", " ").split()
    return given
