"""Flags over HTTP."""

import logging
from datetime import timedelta
from typing import Any, Final

from flask import url_for
from flask.typing import ResponseReturnValue
from pydantic import Field

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.paging import Page, PageQuery, page
from wavegate_controller.api.reading import Act, ChangedFlag, NewFlag, Query, Raise
from wavegate_controller.api.rollouts import rollout_shown
from wavegate_controller.documents import flag_to_document, stale_to_document
from wavegate_controller.documents.shown import FlagShown, StaleReportShown
from wavegate_controller.domain.access import Principal
from wavegate_controller.domain.errors import Conflict, StaleVersion
from wavegate_controller.service import flags as service
from wavegate_controller.service import queries
from wavegate_controller.service.queries import FlagView
from wavegate_controller.service.services import Services
from wavegate_controller.service.stale import stale_flags

_log: Final = logging.getLogger(__name__)

flags: Final = Operations("flags", "What apps ask for, and the variants that they may get.")


class FlagsQuery(PageQuery):
    """Which flags."""

    archived: bool = Field(default=False, description="Those that are archived, instead of those that are not.")


class StaleQuery(Query):
    """What counts as stale."""

    days: int = Field(default=30, ge=0, le=3650, description="How long something must have been so.")


@flags.get("/flags", "List the flags, by key", answer=Page[FlagShown])
def list_flags(services: Services, by: Principal, query: FlagsQuery) -> ResponseReturnValue:
    """Each with its newest rollout."""
    seen = query.after(str)
    views = queries.overview(
        services, by=by, after=seen[0] if seen else None, limit=query.limit + 1, archived=query.archived
    )
    return page([_shown(view) for view in views], query, [(view.flag.key,) for view in views])


@flags.get("/stale-flags", "List the flags that have done their work", answer=StaleReportShown)
def list_stale_flags(services: Services, by: Principal, query: StaleQuery) -> ResponseReturnValue:
    """At one variant for long, with a completed rollout, or evaluated by no app whose metrics are read."""
    report = stale_flags(services, by=by, after=timedelta(days=query.days))
    return {
        "items": [stale_to_document(each.flag, each.reasons) for each in report.flags],
        "notice": report.unasked or None,
    }


@flags.post("/flags", "Create a flag", answer=FlagShown, status=201, problems=[Conflict])
def create_flag(services: Services, by: Principal, body: NewFlag) -> ResponseReturnValue:
    """Enabled, serving its default variant to everybody; without variants it is a boolean one, off by default."""
    flag = service.create_flag(services, body, by=by, exempt=body.exempt)
    location = url_for(".show_flag", key=flag.key)
    return _shown(queries.flag_view(services, flag.key, by=by)), 201, {"Location": location}


@flags.get("/flags/{key}", "Show a flag", answer=FlagShown)
def show_flag(services: Services, by: Principal, key: str) -> ResponseReturnValue:
    """With its newest rollout, or null."""
    return _shown(queries.flag_view(services, key, by=by))


@flags.patch("/flags/{key}", "Change a flag", answer=FlagShown, problems=[Conflict, StaleVersion])
def change_flag(services: Services, by: Principal, key: str, body: ChangedFlag) -> ResponseReturnValue:
    """What is left out stays as it is. While a rollout is under way, its arms cannot be changed."""
    service.change_flag(
        services,
        key,
        body.change(),
        by=by,
        comment=body.comment,
        expected_version=body.version,
        override_freeze=body.override_freeze,
    )
    return _shown(queries.flag_view(services, key, by=by))


@flags.post("/flags/{key}/archive", "Take a flag out of the ruleset", answer=FlagShown, problems=[Conflict])
def archive_flag(services: Services, by: Principal, key: str, body: Act) -> ResponseReturnValue:
    """Refused while a rollout has not ended or another flag needs it. It stays restorable. May be repeated."""
    service.archive_flag(services, key, by=by, comment=body.comment)
    return _shown(queries.flag_view(services, key, by=by))


@flags.post("/flags/{key}/restore", "Bring an archived flag back", answer=FlagShown, problems=[Conflict])
def restore_flag(services: Services, by: Principal, key: str, body: Raise) -> ResponseReturnValue:
    """As it was. May be repeated."""
    override = body.override_freeze
    service.restore_flag(services, key, by=by, comment=body.comment, override_freeze=override)
    return _shown(queries.flag_view(services, key, by=by))


@flags.post("/flags/{key}/disable", "Stop a flag at once", answer=FlagShown, problems=[Conflict])
def disable_flag(services: Services, by: Principal, key: str, body: Act) -> ResponseReturnValue:
    """Emergency stop: everybody gets the default variant, whatever the rollout. May be repeated."""
    return _switch(services, by, key, body, enabled=False)


@flags.post("/flags/{key}/enable", "Undo the emergency stop", answer=FlagShown, problems=[Conflict])
def enable_flag(services: Services, by: Principal, key: str, body: Raise) -> ResponseReturnValue:
    """The rollout's weight holds again, and its wave bakes anew. May be repeated."""
    return _switch(services, by, key, body, enabled=True, override_freeze=body.override_freeze)


def _switch(
    services: Services, by: Principal, key: str, act: Act, *, enabled: bool, override_freeze: bool = False
) -> ResponseReturnValue:
    service.set_enabled(services, key, enabled=enabled, by=by, comment=act.comment, override_freeze=override_freeze)
    action = "flag_enabled" if enabled else "flag_disabled"
    _log.info("action=%s flag=%s actor=%r comment=%r", action, key, by.name, act.comment)
    return _shown(queries.flag_view(services, key, by=by))


def _shown(view: FlagView) -> dict[str, Any]:
    return flag_to_document(view.flag) | {"rollout": view.rollout and rollout_shown(view.rollout)}
