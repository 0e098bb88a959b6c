"""Flags over HTTP."""

import logging
from typing import Any, Final

from flask import url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.paging import Page, PageQuery, page
from wavegate_controller.api.reading import Act
from wavegate_controller.api.rollouts import rollout_shown
from wavegate_controller.documents import FlagDocument, flag_to_document
from wavegate_controller.documents.shown import FlagShown
from wavegate_controller.domain.access import Principal
from wavegate_controller.domain.errors import Conflict
from wavegate_controller.service import flags as service
from wavegate_controller.service import queries
from wavegate_controller.service.queries import FlagView
from wavegate_controller.service.services import Services

_log: Final = logging.getLogger(__name__)

flags: Final = Operations("flags", "What apps ask for, and the variants that they may get.")


@flags.get("/flags", "List the flags, by key", answer=Page[FlagShown])
def list_flags(services: Services, by: Principal, query: PageQuery) -> ResponseReturnValue:
    """Each with its newest rollout."""
    seen = query.after(str)
    views = queries.overview(services, by=by, after=seen[0] if seen else None, limit=query.limit + 1)
    return page([_shown(view) for view in views], query, [(view.flag.key,) for view in views])


@flags.post("/flags", "Create a flag", answer=FlagShown, status=201, problems=[Conflict])
def create_flag(services: Services, by: Principal, body: FlagDocument) -> ResponseReturnValue:
    """Enabled, serving its default variant to everybody; without variants it is a boolean one, off by default."""
    flag = service.create_flag(services, body, by=by)
    location = url_for(".show_flag", key=flag.key)
    return _shown(queries.flag_view(services, flag.key, by=by)), 201, {"Location": location}


@flags.get("/flags/{key}", "Show a flag", answer=FlagShown)
def show_flag(services: Services, by: Principal, key: str) -> ResponseReturnValue:
    """With its newest rollout, or null."""
    return _shown(queries.flag_view(services, key, by=by))


@flags.post("/flags/{key}/disable", "Stop a flag at once", answer=FlagShown)
def disable_flag(services: Services, by: Principal, key: str, body: Act) -> ResponseReturnValue:
    """Emergency stop: everybody gets the default variant, whatever the rollout. May be repeated."""
    return _switch(services, by, key, body, enabled=False)


@flags.post("/flags/{key}/enable", "Undo the emergency stop", answer=FlagShown)
def enable_flag(services: Services, by: Principal, key: str, body: Act) -> ResponseReturnValue:
    """The rollout's weight holds again. May be repeated."""
    return _switch(services, by, key, body, enabled=True)


def _switch(services: Services, by: Principal, key: str, act: Act, *, enabled: bool) -> ResponseReturnValue:
    service.set_enabled(services, key, enabled=enabled, by=by, comment=act.comment)
    action = "flag_enabled" if enabled else "flag_disabled"
    _log.info("action=%s flag=%s actor=%r comment=%r", action, key, by.name, act.comment)
    return _shown(queries.flag_view(services, key, by=by))


def _shown(view: FlagView) -> dict[str, Any]:
    return flag_to_document(view.flag) | {"rollout": view.rollout and rollout_shown(view.rollout)}
