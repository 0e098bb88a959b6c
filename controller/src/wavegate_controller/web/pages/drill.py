"""The page of a flag's drill: what one does, the stopwatch while it runs, and how the last one went."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.domain.access import Permission
from wavegate_controller.domain.drill import PATIENCE, Drill
from wavegate_controller.domain.errors import Conflict, ControllerError, Invalid, NotFound, StaleVersion
from wavegate_controller.identity import here, principal
from wavegate_controller.service import drills as service
from wavegate_controller.service.services import Services
from wavegate_controller.web.refusals import refused
from wavegate_controller.web.signing import signer

#: Seconds between two looks while the stopwatch runs.
_RUNNING: Final = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One line of the stopwatch.

    Attributes:
        seconds: from the breach; None while it has not come, and nothing is waited for.
        is_awaited: whether it is the one that is waited for, with the time so far.
    """

    words: str
    seconds: float | None
    is_awaited: bool = False


def add_drill(web: Blueprint, services: Services) -> None:
    """The page /flags/KEY/drill."""

    @web.get("/flags/<key>/drill")
    def drill(key: str) -> str:
        return _page(here(services), key)

    @web.post("/flags/<key>/drill")
    def begin_drill(key: str) -> ResponseReturnValue:
        where, form = here(services), request.form
        try:
            comment = form.get("comment", "")
            service.begin_drill(where, key, by=signer(), real=_is_real(form), comment=comment)
        except (Invalid, Conflict, StaleVersion) as refusal:
            return _refuse(where, key, refusal)
        return redirect(url_for("web.drill", key=key), HTTPStatus.SEE_OTHER)

    @web.post("/flags/<key>/drill/abort")
    def abort_drill(key: str) -> ResponseReturnValue:
        where = here(services)
        try:
            # It may have ended by itself meanwhile, which the page says.
            with suppress(NotFound):
                service.abort_drill(where, key, by=signer())
        except Conflict as refusal:
            return _refuse(where, key, refusal)
        return redirect(url_for("web.drill", key=key), HTTPStatus.SEE_OTHER)


def _is_real(form: Mapping[str, str]) -> bool:
    """Whether the feature itself is meant; one click is not enough for that."""
    real = form.get("real") == "true"
    if real and form.get("agreed") != "true":
        raise Invalid("agreed", "is not ticked", "that you know that users lose the candidate meanwhile")
    return real


def steps(drill: Drill, *, now: datetime) -> Sequence[Step]:
    """The stopwatch: each step with its time, and the one that is waited for with the time so far."""
    told = [Step(words="breach reported", seconds=0.0)]
    for words, at in (
        ("decided and rolled back", drill.decided_at),
        ("offered to apps", drill.published_at),
        ("last client off", drill.last_off_at),
    ):
        awaited = at is None and not drill.is_over
        told.append(Step(words=words, seconds=drill.seconds(now if awaited else at), is_awaited=awaited))
        if at is None:
            break
    return told


def _page(services: Services, key: str, *, problem: str = "", comment: str = "") -> str:
    drill = service.show_drill(services, key, by=principal())
    now = services.clock.now()
    may = {name: principal().may(permission, services.environment) for name, permission in _MAY.items()}
    is_open = drill is not None and not drill.is_over
    return render_template(
        "web/drill.html",
        key=key,
        drill=drill,
        is_open=is_open,
        steps=steps(drill, now=now) if drill else (),
        follows=_RUNNING if is_open else "",
        why_not_real=service.real_refusal(services, key) if may["real"] and not is_open else None,
        patience=f"{PATIENCE.total_seconds():g}",
        may=may,
        problem=problem,
        comment=comment,
        now=now,
    )


_MAY: Final = {"begin": Permission.EDIT, "real": Permission.APPROVE}


def _refuse(services: Services, key: str, refusal: ControllerError) -> ResponseReturnValue:
    told = refused(refusal)
    return _page(services, key, problem=told.problem, comment=request.form.get("comment", "")), told.status
