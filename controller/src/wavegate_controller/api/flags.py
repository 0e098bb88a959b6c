"""Flags over HTTP."""

import logging
from typing import Any, Final

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.api.reading import Act, Query, read_body, read_query
from wavegate_controller.api.rollouts import rollout_shown
from wavegate_controller.api.signing import actor
from wavegate_controller.documents import FlagDocument, flag_to_document
from wavegate_controller.service import flags, queries
from wavegate_controller.service.queries import FlagView
from wavegate_controller.service.services import Services

_log: Final = logging.getLogger(__name__)


def make_flags(services: Services) -> Blueprint:
    """The paths beneath /flags."""
    blueprint = Blueprint("flags", __name__, url_prefix="/flags")

    @blueprint.get("")
    def overview() -> ResponseReturnValue:
        read_query(Query)
        return {"items": [_shown(view) for view in queries.overview(services)]}

    @blueprint.post("")
    def create() -> ResponseReturnValue:
        flag = flags.create_flag(services, read_body(FlagDocument))
        location = url_for(".show", key=flag.key)
        return _shown(queries.flag_view(services, flag.key)), 201, {"Location": location}

    @blueprint.get("/<key>")
    def show(key: str) -> ResponseReturnValue:
        read_query(Query)
        return _shown(queries.flag_view(services, key))

    @blueprint.post("/<key>/disable")
    def disable(key: str) -> ResponseReturnValue:
        return switch(key, enabled=False)

    @blueprint.post("/<key>/enable")
    def enable(key: str) -> ResponseReturnValue:
        return switch(key, enabled=True)

    def switch(key: str, *, enabled: bool) -> ResponseReturnValue:
        act = read_body(Act)
        name = actor(act.actor)
        flags.set_enabled(services, key, enabled=enabled)
        action = "flag_enabled" if enabled else "flag_disabled"
        _log.info("action=%s flag=%s actor=%r comment=%r", action, key, name, act.comment)
        return _shown(queries.flag_view(services, key))

    return blueprint


def _shown(view: FlagView) -> dict[str, Any]:
    return flag_to_document(view.flag) | {"rollout": view.rollout and rollout_shown(view.rollout)}
