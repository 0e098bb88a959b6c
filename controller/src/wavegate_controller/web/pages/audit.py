"""The audit: who did what, one line each, what it changed, and the way to set it back."""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.domain.access import EVERYWHERE, Permission
from wavegate_controller.domain.audit import AuditFilter, Entry, Note
from wavegate_controller.domain.errors import ControllerError, Invalid, NotFound
from wavegate_controller.identity import here, principal
from wavegate_controller.service import audits
from wavegate_controller.service.environments import list_environments
from wavegate_controller.service.restoring import earlier, refusal_of, restore
from wavegate_controller.service.services import Services
from wavegate_controller.web.differences import Change, changes
from wavegate_controller.web.refusals import Refused, errors_of, refused
from wavegate_controller.web.signing import signer

_PAGE: Final = 50
_LARGEST: Final = 2**63 - 1
#: Values that say nothing of what has just been made.
_EMPTY: Final = frozenset({"null", "[]", "{}", '""'})
#: Kinds of things that there are entries of, as a filter offers them.
THINGS: Final = (
    "flag", "rollout", "segment", "template", "calendar", "user", "token", "key", "session", "channel", "delivery",
    "environment", "alert",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One entry.

    Attributes:
        differs: from before to after, path by path.
        refusal: why it cannot be set back; empty where it can.
    """

    entry: Entry
    at: datetime
    differs: Sequence[Change]
    refusal: str


def add_audit(web: Blueprint, services: Services) -> None:
    """The pages /audit and /audit/NUMBER/restore."""

    @web.get("/audit")
    def audit() -> ResponseReturnValue:
        where, who = here(services), principal()
        everywhere = who.may(Permission.AUDIT, EVERYWHERE)
        given = {name: value.strip() for name, value in request.args.items() if name in _FILTERS and value.strip()}
        errors: Mapping[str, str] = {}
        found: Sequence[Entry] = []
        place = given.get("in", EVERYWHERE if everywhere else where.environment)
        try:
            wanted = _filter(given, None if place == EVERYWHERE else place)
            found = audits.find(where, wanted, limit=_PAGE + 1, before=_number(request.args.get("before")), by=who)
        except Invalid as refusal:
            errors = errors_of(refusal)
        shown = [_line(each) for each in found[:_PAGE]]
        page = render_template(
            "web/audit.html",
            lines=shown,
            given=given,
            place=place,
            places=_places(where, everywhere=everywhere),
            errors=errors,
            things=THINGS,
            is_filtered=bool(set(given) - {"in"}),
            before=shown[-1].entry.sequence if len(found) > _PAGE else None,
            paged="before" in request.args,
            command=_command(given, place),
        )
        return page, HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK

    @web.get("/audit/<int:number>/restore")
    def restore_page(number: int) -> ResponseReturnValue:
        return _restore_page(here(services), number, Refused())

    @web.post("/audit/<int:number>/restore")
    def restore_entry(number: int) -> ResponseReturnValue:
        where = here(services)
        seen = earlier(where, _checked(number), by=principal())
        if request.form.get("seen") != _digest(seen.now):
            problem = "Not done: it has changed since you opened this page. Below is what it would change now."
            return _restore_page(where, number, Refused(problem=problem, status=HTTPStatus.CONFLICT))
        try:
            restore(where, number, by=signer(), comment=request.form.get("comment", ""))
        except ControllerError as refusal:
            return _restore_page(where, number, refused(refusal))
        return redirect(url_for("web.audit", subject=seen.entry.note.subject), HTTPStatus.SEE_OTHER)


def _places(services: Services, *, everywhere: bool) -> list[tuple[str, str]]:
    """Where one may look, as options."""
    mine = [(each.name, each.name) for each in list_environments(services, by=principal())]
    return [(EVERYWHERE, "everywhere"), *mine] if everywhere else mine


def _restore_page(services: Services, number: int, problem: Refused) -> ResponseReturnValue:
    found = earlier(services, _checked(number), by=principal())
    page = render_template(
        "web/restore.html",
        found=found,
        note=found.entry.note,
        at=_time(found.entry),
        differs=changes(found.now, found.then),
        seen=_digest(found.now),
        problem=problem.problem,
        said=request.form.get("comment", ""),
    )
    return page, problem.status


_FILTERS: Final = ("actor", "action", "subject", "in", "since", "until")


def _filter(given: Mapping[str, str], environment: str | None) -> AuditFilter:
    return AuditFilter(
        actor=given.get("actor"),
        action=given.get("action"),
        subject=given.get("subject"),
        environment=environment,
        since=_moment("since", given),
        until=_moment("until", given),
    )


def _moment(name: str, given: Mapping[str, str]) -> datetime | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(name, f"{text!r} is no time", "a time in UTC such as 2026-03-01T12:00") from None


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004 - what a column holds
        raise NotFound("audit entry", text)
    return int(text)


def _checked(number: int) -> int:
    if number > _LARGEST:
        raise NotFound("audit entry", str(number))
    return number


def _line(entry: Entry) -> Line:
    return Line(entry=entry, at=_time(entry), differs=_differs(entry.note), refusal=refusal_of(entry.note))


def _differs(note: Note) -> Sequence[Change]:
    """What it changed; of what began or ended with it, what was not empty."""
    found = changes(_plain(note.before), _plain(note.after))
    return [each for each in found if None not in (each.before, each.after) or not {each.before, each.after} & _EMPTY]


def _plain(side: Any) -> Any:
    """A side of an entry without its version, which always differs and tells nobody anything."""
    if side is None:
        return {}
    return {name: value for name, value in side.items() if name != "version"} if isinstance(side, Mapping) else side


def _time(entry: Entry) -> datetime:
    return datetime.fromisoformat(entry.note.at)


def _digest(state: Any) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _command(given: Mapping[str, str], place: str) -> str:
    options = [f"--{name} {shlex.quote(given[name])}" for name in _FILTERS if name in given and name != "in"]
    within = [] if place == EVERYWHERE else [f"--in {shlex.quote(place)}"]
    return " ".join(["wavegate audit list", *options, *within])
