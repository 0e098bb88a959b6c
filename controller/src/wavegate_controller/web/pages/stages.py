"""The pages of the stages: where one feature stands and how it goes on, all features side by side, and documents."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.documents.markup import to_html
from wavegate_controller.documents.passports import PARTS, part_to_document
from wavegate_controller.documents.reading import parse
from wavegate_controller.domain.access import Permission
from wavegate_controller.domain.errors import Conflict, ControllerError, Invalid, NotFound, StaleVersion
from wavegate_controller.domain.passport import Assessment, Item, Outcome, ReadinessItem, Stage, Unmet
from wavegate_controller.identity import here, principal
from wavegate_controller.service import passports as service
from wavegate_controller.service.flags import get_flag
from wavegate_controller.service.passports import PassportView
from wavegate_controller.service.pilots import Usage
from wavegate_controller.service.services import Services
from wavegate_controller.web.refusals import refused
from wavegate_controller.web.signing import signer

#: Parts whose fields are lists: one line each.
_LISTS: Final = frozenset({"people", "must_change", "apps", "evidence"})
_HINTS: Final[Mapping[str, str]] = {
    "people": "5 to 20 targeting keys, one a line",
    "must_change": "one a line; each becomes a requirement of production readiness",
    "department": "one, as apps give it in the attribute",
    "region": "one, as apps give it in the attribute",
    "ceiling": "share of bad outcomes beyond which the flag is stopped; empty for no such watch",
    "half": "the others are counted, too, to compare with",
    "variant": "what they get; by default the flag's other variant",
    "assessment": f"{', '.join(Assessment)}",
    "budget": "for the whole path, not only for the pilot",
}
_REFUSALS: Final = (Invalid, Conflict, StaleVersion, Unmet)


def add_stages(web: Blueprint, services: Services) -> None:
    """The pages /portfolio and /flags/KEY/stages."""

    @web.get("/portfolio")
    def portfolio() -> str:
        found = service.portfolio(here(services), by=principal())
        columns = [(stage, [each for each in found.views if each.passport.stage is stage]) for stage in Stage]
        return render_template("web/portfolio.html", found=found, columns=columns)

    @web.get("/flags/<key>/stages")
    def passport(key: str) -> str:
        return _page(here(services), key)

    @web.post("/flags/<key>/stages/write/<name>")
    def write_stage(key: str, name: str) -> ResponseReturnValue:
        where, stage = here(services), _stage(name)
        try:
            document = parse(PARTS[stage], _given(where, key, stage))
            service.write_part(where, key, stage, document, by=signer(), expected_version=_version())
        except _REFUSALS as refusal:
            return _refuse(where, key, refusal)
        return redirect(url_for("web.passport", key=key), HTTPStatus.SEE_OTHER)

    @web.post("/flags/<key>/stages/decide")
    def decide_stage(key: str) -> ResponseReturnValue:
        where, form = here(services), request.form
        try:
            outcome = _one_of(Outcome, "outcome", form.get("outcome", ""))
            to = _one_of(Stage, "to", form["to"]) if form.get("to") else None
            reason = form.get("reason", "")
            service.decide(where, key, outcome, by=signer(), reason=reason, to=to, expected_version=_version())
        except _REFUSALS as refusal:
            return _refuse(where, key, refusal)
        return redirect(url_for("web.passport", key=key), HTTPStatus.SEE_OTHER)

    @web.post("/flags/<key>/stages/leave")
    def leave_pilot(key: str) -> ResponseReturnValue:
        where, form = here(services), request.form
        try:
            service.leave_pilot(where, key, form.get("person", ""), by=signer(), comment=form.get("comment", ""))
        except (*_REFUSALS, NotFound) as refusal:
            return _refuse(where, key, refusal)
        return redirect(url_for("web.passport", key=key), HTTPStatus.SEE_OTHER)

    @web.post("/flags/<key>/stages/acknowledge")
    def acknowledge_item(key: str) -> ResponseReturnValue:
        where = here(services)
        try:
            item = _one_of(ReadinessItem, "item", request.form.get("item", ""))
            service.acknowledge(where, key, item, by=signer())
        except _REFUSALS as refusal:
            return _refuse(where, key, refusal)
        return redirect(url_for("web.passport", key=key), HTTPStatus.SEE_OTHER)

    @web.get("/flags/<key>/stages/document/<name>")
    def stage_document(key: str, name: str) -> str:
        stage = _stage(name, of=Stage)
        text = service.stage_document(here(services), key, stage, by=principal())
        return render_template("web/stage_document.html", key=key, stage=stage, text=text, html=to_html(text))


def _page(services: Services, key: str, *, problem: str = "", reason: str = "") -> str:
    view = service.get_passport(services, key, by=principal())
    stage = view.passport.stage
    later = [each for each in Stage if each.place > stage.place]
    earlier = [each for each in Stage if each.place < stage.place + view.passport.has_ended]
    may = {name: principal().may(permission, services.environment) for name, permission in _MAY.items()}
    return render_template(
        "web/stages.html",
        view=view,
        passport=view.passport,
        stages=list(Stage),
        parts=_parts(view),
        checklist=_checklist(view),
        pilot=_pilot(services, view),
        later=later,
        earlier=earlier,
        may=may,
        problem=problem,
        reason=reason,
        hints=_HINTS,
    )


_MAY: Final = {"write": Permission.EDIT, "go": Permission.APPROVE, "override": Permission.ADMINISTER}


def _parts(view: PassportView) -> Sequence[tuple[Stage, Mapping[str, str], bool]]:
    """Each part with its fields as text, and whether it can be written now; the checklist has a table of its own."""
    told = []
    for stage in PARTS:
        if stage is Stage.PRODUCTION_READY or stage.place > view.passport.stage.place + 1:
            continue
        part = part_to_document(view.passport, stage)
        shown = {name: _text(value) for name, value in part.items()}
        is_open = stage.place >= view.passport.stage.place and not view.passport.has_ended
        told.append((stage, shown, is_open))
    return told


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case list():
            return "\n".join(value)
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _pilot(services: Services, view: PassportView) -> tuple[Usage, Sequence[str], Sequence[str]] | None:
    """While a pilot is under way: how it goes, who takes part, and who has left."""
    passport = view.passport
    if passport.stage is not Stage.PILOT or passport.has_ended:
        return None
    served = get_flag(services, passport.flag_key, by=principal()).pilot
    if served is None:
        return None
    left = served.people.opted_out
    staying = [each for each in served.people.keys if each not in left]
    return service.pilot_usage(services, passport, by=principal()), staying, left


def _checklist(view: PassportView) -> Sequence[tuple[ReadinessItem, Item, Any]]:
    if view.passport.stage.place < Stage.PRODUCTION_READY.place:
        return []
    readiness = view.passport.production_ready
    return [(each, readiness.item(each), view.findings.get(each)) for each in ReadinessItem]


def _given(services: Services, key: str, stage: Stage) -> dict[str, Any]:
    """The part as the form has it: text, one line each where there are several."""
    form = request.form
    stored = service.get_passport(services, key, by=principal()).passport
    part = part_to_document(stored, stage)
    if stage is not Stage.PRODUCTION_READY:
        return part | {name: _read(name, form[name]) for name in part if name in form}
    if "item" not in form:
        wishes = enumerate(stored.pilot.must_change)
        met = {wish: form[f"met-{number}"].strip() for number, wish in wishes if f"met-{number}" in form}
        return part | {"apps": _read("apps", form.get("apps", "")), "met": part["met"] | met}
    item = _one_of(ReadinessItem, "item", form["item"])
    names = [each.name for each in fields(Item) if not each.name.startswith("acknowledged")]
    line = part["items"].get(item, {}) | {name: _read(name, form[name]) for name in names if name in form}
    part["items"][item.value] = line | {"is_done": form.get("is_done") == "true"}
    return part


def _read(name: str, text: str) -> Any:
    if name in _LISTS:
        return [line.strip() for line in text.splitlines() if line.strip()]
    if name in ("assessment", "variant", "due"):
        return text.strip() or None
    if name == "ceiling":
        return _number(text.strip())
    if name == "half":
        return text == "true"
    return text.strip()


def _number(text: str) -> float | str | None:
    """What is none is refused where the field is named."""
    try:
        return float(text) if text else None
    except ValueError:
        return text


def _version() -> int | None:
    text = request.form.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004 - a column's


def _stage(name: str, *, of: Any = PARTS) -> Stage:
    if name not in [each.value for each in of]:
        raise NotFound("stage", name)
    return Stage(name)


def _one_of(kind: Any, field: str, value: str) -> Any:
    if value not in list(kind):
        raise Invalid(field, f"{value!r} is none", ", ".join(kind))
    return kind(value)


def _refuse(services: Services, key: str, refusal: ControllerError) -> ResponseReturnValue:
    told = refused(refusal)
    return _page(services, key, problem=told.problem, reason=request.form.get("reason", "")), told.status
