"""What one does to a rollout from its page: each act is a posted form, answered by where the flag then stands."""

from dataclasses import replace
from http import HTTPStatus

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.domain.errors import (
    ControllerError,
    Invalid,
    NotFound,
)
from wavegate_controller.domain.foresight.findings import LintRefused
from wavegate_controller.domain.transitions import REQUESTS, Event
from wavegate_controller.identity import here
from wavegate_controller.service import dry_runs, flags, reasons, rollouts
from wavegate_controller.service.services import Services
from wavegate_controller.service.unchanged import Unchanged, lock_rollout
from wavegate_controller.web.pages.flag import flag_page
from wavegate_controller.web.refusals import status_of
from wavegate_controller.web.sentences import refused
from wavegate_controller.web.signing import signer

_NOT_STARTED = "Not started: lint found what keeps the gates from doing their work. It is listed below."


def add_acts(web: Blueprint, services: Services) -> None:
    """The forms beneath /flags/KEY."""

    @web.post("/flags/<key>/acts/<event>")
    def act(key: str, event: str) -> ResponseReturnValue:
        if event not in REQUESTS:
            raise NotFound("act", event)
        where, form = here(services), request.form
        rollout, comment = form.get("rollout", ""), form.get("comment", "")
        try:
            seen = _as_seen(where, rollout)
            if event == Event.START:
                rollouts.start(seen, rollout, by=signer(), comment=comment, despite_lint=form.get("despite_lint", ""))
            else:
                rollouts.act(seen, rollout, Event(event), by=signer(), comment=comment)
        except ControllerError as refusal:
            return _refuse(where, key, refusal)
        return redirect(url_for("web.flag", key=key), HTTPStatus.SEE_OTHER)

    @web.post("/flags/<key>/dry-run")
    def dry_run(key: str) -> ResponseReturnValue:
        where, form = here(services), request.form
        rollout, wanted = form.get("rollout", ""), form.get("dry_run") == "true"
        try:
            seen = _as_seen(where, rollout)
            dry_runs.set_dry_run(seen, rollout, dry_run=wanted, by=signer(), comment=form.get("comment", ""))
        except ControllerError as refusal:
            return _refuse(where, key, refusal)
        return redirect(url_for("web.flag", key=key), HTTPStatus.SEE_OTHER)

    @web.post("/flags/<key>/reason")
    def reason(key: str) -> ResponseReturnValue:
        where, form = here(services), request.form
        try:
            reasons.give_reason(where, form.get("rollout", ""), form.get("comment", ""), by=signer())
        except ControllerError as refusal:
            return _refuse(where, key, refusal)
        return redirect(url_for("web.flag", key=key), HTTPStatus.SEE_OTHER)

    @web.post("/flags/<key>/enabled")
    def switch(key: str) -> ResponseReturnValue:
        where, enabled = here(services), request.form.get("enabled") == "true"
        try:
            flags.set_enabled(where, key, enabled=enabled, by=signer(), comment=request.form.get("comment", ""))
        except ControllerError as refusal:
            return _refuse(where, key, refusal)
        return redirect(url_for("web.flag", key=key), HTTPStatus.SEE_OTHER)


def _as_seen(services: Services, rollout: str) -> Services:
    """Where the form says which version its page showed, nothing is done to another one."""
    version = request.form.get("version", "")
    if not version:
        return services
    if not (version.isascii() and version.isdigit() and len(version) < 10):  # noqa: PLR2004
        raise Invalid("version", f"{version!r} is none", "the number that the page has")
    lock = lock_rollout(services.environment, rollout)
    return replace(services, store=Unchanged(services.store, lock, int(version)))


def _refuse(services: Services, key: str, refusal: ControllerError) -> ResponseReturnValue:
    if isinstance(refusal, NotFound):
        raise refusal
    status = status_of(refusal)
    said = request.form.get("comment", "")
    if isinstance(refusal, LintRefused):
        found = [each for findings in refusal.found.values() for each in findings]
        return flag_page(services, key, problem=_NOT_STARTED, said=said, findings=found), status
    return flag_page(services, key, problem=refused(refusal), said=said), status
