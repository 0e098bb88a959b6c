"""The editor of a plan, new or a draft's: beside it what its gates would say on the data there are, and would have."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.documents import PlanChange, PlanDocument, RolloutDocument, parse, plan_to_document
from wavegate_controller.documents.gate_rules import gate_rule
from wavegate_controller.domain.access import Permission
from wavegate_controller.domain.errors import Conflict, ControllerError, StaleVersion
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.measurement import Answer, Broken, NoData, Value
from wavegate_controller.domain.rollout import Rollout, State
from wavegate_controller.identity import here, principal
from wavegate_controller.service import flags, queries, rollouts, templates
from wavegate_controller.service.previewing import Preview, preview
from wavegate_controller.service.services import Services
from wavegate_controller.service.trying import LONGEST, Tried, try_plan
from wavegate_controller.web import plans
from wavegate_controller.web.merging import Merged, merge
from wavegate_controller.web.pages.editing.common import applied, as_file, curl, digest
from wavegate_controller.web.pages.editing.planned import Form, read_form
from wavegate_controller.web.pages.flag import flag_page
from wavegate_controller.web.plans import form_of, form_of_text
from wavegate_controller.web.plots import plot
from wavegate_controller.web.refusals import Refused, refused
from wavegate_controller.web.report import drawn
from wavegate_controller.web.sentences import number
from wavegate_controller.web.signing import signer

_REVIEW_FIRST: Final = "This is not what you checked last; look at it once more, then {}."
_CHART_HEIGHT: Final = 90
_TWO_TRUTHS: Final = (
    "both the fields and the YAML beside them were changed; take the YAML, which drops what the fields say, "
    "or put it back"
)
_DEFAULT: Final[Mapping[str, Any]] = {"waves": [{"percent": each} for each in (10, 25, 50, 100)], "interval": "15s"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """What stands beside the form."""

    refused: Refused = field(default_factory=Refused)
    found: Preview | None = None
    tried: Tried | None = None
    merged: Merged | None = None
    is_reviewed: bool = False


def add_plan_editor(web: Blueprint, services: Services) -> None:
    """The pages /flags/KEY/rollouts/new and /flags/KEY/plan."""

    @web.get("/flags/<key>/rollouts/new")
    def new_rollout(key: str) -> str:
        where = here(services)
        principal().require(Permission.EDIT, where.environment)
        flag = flags.get_flag(where, key, by=principal())
        candidate = next(name for name in flag.variants if name != flag.default_variant)
        return _page(where, flag, None, Form(candidate=candidate, plan=form_of(_DEFAULT)), _Shown())

    @web.post("/flags/<key>/rollouts/new")
    def create_rollout(key: str) -> ResponseReturnValue:
        where = here(services)
        principal().require(Permission.EDIT, where.environment)
        return _answer(where, flags.get_flag(where, key, by=principal()), None, read_form())

    @web.get("/flags/<key>/plan")
    def edit_plan(key: str) -> ResponseReturnValue:
        where = here(services)
        principal().require(Permission.EDIT, where.environment)
        rollout = queries.rollout_view(where, key, by=principal()).rollout
        if rollout.state is not State.DRAFT:
            return _fixed(where, key, rollout)
        base = plan_to_document(rollout.plan)
        form = Form(
            candidate=rollout.candidate,
            plan=form_of(base),
            template=rollout.template or "",
            version=rollout.version,
            base=base,
        )
        return _page(where, flags.get_flag(where, key, by=principal()), rollout, form, _Shown())

    @web.post("/flags/<key>/plan")
    def save_plan(key: str) -> ResponseReturnValue:
        where = here(services)
        principal().require(Permission.EDIT, where.environment)
        rollout = queries.rollout_view(where, key, by=principal()).rollout
        if rollout.state is not State.DRAFT:
            return _fixed(where, key, rollout)
        form = replace(read_form(), candidate=rollout.candidate)
        return _answer(where, flags.get_flag(where, key, by=principal()), rollout, form)


def _fixed(services: Services, key: str, rollout: Rollout) -> ResponseReturnValue:
    why = f"Not done: rollout {rollout.id} has begun, so its plan is fixed. Cancel it, and plan another."
    return flag_page(services, key, problem=why), HTTPStatus.CONFLICT


def _answer(services: Services, flag: Flag, rollout: Rollout | None, form: Form) -> ResponseReturnValue:
    asked = request.form.get("do", "review")
    act, _, place = asked.partition(":")
    try:
        if act not in ("review", "live", "save", "try"):
            return _page(services, flag, rollout, _rearranged(services, form, act, place), _Shown())
        form = _one_truth(form)
        if rollout is not None and form.version != rollout.version:
            return _both_sides(services, flag, rollout, form)
        document = form.document(flag.key)
        parsed = parse(RolloutDocument, document)
        if act == "save" and request.form.get("reviewed") == digest(document):
            _save(services, rollout, form, document)
            return redirect(url_for("web.flag", key=flag.key), HTTPStatus.SEE_OTHER)
        found = preview(services, parsed, by=principal())
        tried = _try(services, parsed, form) if act == "try" else None
    except StaleVersion:
        assert rollout is not None  # noqa: S101 - what is new has no version
        newer = queries.rollout_view(services, rollout.id, by=principal()).rollout
        return _both_sides(services, flag, newer, form)
    except ControllerError as refusal:
        problem = refused(refusal, "candidate", "days", *(f"plan.{each}" for each in plans.paths(form.plan)))
        # A preview that nobody asked for by pressing something is refused nothing.
        status = HTTPStatus.OK if act == "live" else problem.status
        return _page(services, flag, rollout, form, _Shown(refused=problem)), status
    verb = "create it" if rollout is None else "save it"
    problem = Refused(problem=_REVIEW_FIRST.format(verb)) if act == "save" else Refused()
    shown = _Shown(refused=problem, found=found, tried=tried, is_reviewed=True)
    return _page(services, flag, rollout, form, shown)


def _rearranged(services: Services, form: Form, act: str, place: str) -> Form:
    """Rows added, opened and removed, and whole plans taken; what makes no sense changes nothing.

    Raises:
        Invalid: the YAML is no plan, or the preset stands for no gates.
        NotFound: there is no such template.
    """
    index = int(place) if place.isascii() and place.isdigit() and len(place) < 4 else -1  # noqa: PLR2004
    plan = form.plan
    match act:
        case "wave":
            plan = plan.with_wave()
        case "window":
            plan = plan.with_window()
        case "add":
            plan = plan.with_gate(request.form.get("new", ""))
        case "remove" if 0 <= index < len(plan.gates):
            plan = plan.without_gate(index)
        case "open" if 0 <= index < len(plan.gates):
            plan = plan.with_gate_opened(index)
        case "yaml":
            return replace(form, plan=form_of_text(form.yaml), yaml="", yaml_of="", template="")
        case "back":
            return replace(form, yaml="", yaml_of="")
        case "template" if form.template:
            template = templates.get_template(services, form.template, by=principal())
            return replace(form, plan=form_of(plan_to_document(template.plan)), template=template.reference)
        case _:
            pass
    return replace(form, plan=plan)


def _one_truth(form: Form) -> Form:
    """The form with the YAML beside it taken over, where that is what was changed.

    Raises:
        Conflict: both were changed.
        Invalid: the YAML is no plan.
    """
    if not form.is_yaml_changed:
        return replace(form, yaml="")
    if form.are_fields_changed:
        raise Conflict(_TWO_TRUTHS)
    return replace(form, plan=form_of_text(form.yaml), yaml="")


def _save(services: Services, rollout: Rollout | None, form: Form, document: Mapping[str, Any]) -> None:
    wanted = _by_template(services, form, document)
    if rollout is None:
        rollouts.create_rollout(services, parse(RolloutDocument, wanted), by=signer())
        return
    change = parse(PlanChange, {name: wanted[name] for name in ("plan", "template") if name in wanted})
    rollouts.change_plan(services, rollout.id, change, by=signer(), comment=form.comment, expected_version=form.version)


def _by_template(services: Services, form: Form, document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the template in the place of the plan, as long as the plan is the template's."""
    if not form.template:
        return dict(document)
    template = templates.get_template(services, form.template, by=principal())
    if parse(PlanDocument, document["plan"]).to_domain() != template.plan:
        return dict(document)
    return {name: value for name, value in document.items() if name != "plan"} | {"template": template.reference}


def _both_sides(services: Services, flag: Flag, rollout: Rollout, form: Form) -> ResponseReturnValue:
    """Somebody else was faster: theirs where only they changed something, mine where I did, and both are shown."""
    theirs = plan_to_document(rollout.plan)
    mine = plan_to_document(parse(PlanDocument, form.plan.document()).to_domain())
    merged = merge(form.base, theirs, mine)
    form = replace(form, plan=form_of(merged.document), version=rollout.version, base=theirs, yaml="")
    return _page(services, flag, rollout, form, _Shown(merged=merged)), HTTPStatus.CONFLICT


def _try(services: Services, parsed: RolloutDocument, form: Form) -> Tried:
    days = form.days_asked()
    return try_plan(services, parsed, over=timedelta(days=days), shadow=form.shadow, by=principal())


def _page(services: Services, flag: Flag, rollout: Rollout | None, form: Form, shown: _Shown) -> str:
    document = form.document_or_none(flag.key)
    yaml = form.yaml or (plans.as_text(document["plan"]) if document else "")
    return render_template(
        "web/editing/plan.html",
        flag=flag,
        rollout=rollout,
        form=form,
        base=json.dumps(form.base),
        plans=plans,
        offers=list(plans.offers()),
        templates=templates.list_templates(services, by=principal()),
        candidates=[(name, name) for name in flag.variants if name != flag.default_variant],
        errors=shown.refused.errors,
        problem=shown.refused.problem,
        merged=shown.merged,
        reviewed=digest(document) if document and shown.is_reviewed else "",
        found=shown.found,
        gates=_told(shown.found) if shown.found else (),
        tried=shown.tried,
        drawn=drawn(shown.tried.found) if shown.tried else (),
        plot=plot,
        chart_height=_CHART_HEIGHT,
        longest=LONGEST.days,
        yaml=yaml,
        yaml_of=form.yaml_of if form.yaml else digest(yaml),
        elsewhere=_elsewhere(services, rollout, document) if document else (),
    )


def _told(found: Preview) -> list[tuple[str, str, str, str]]:
    """Each gate: its name, its rule, its query, and what that gives now."""
    rollout = found.rollout
    return [
        (
            gate.name,
            gate_rule(gate, rollout.plan, candidate=rollout.candidate, stable=rollout.stable),
            found.queries.get(gate.name, ""),
            _now(found.values[gate.name]) if gate.name in found.values else "",
        )
        for gate in rollout.plan.gates
    ]


def _now(answer: Answer) -> str:
    match answer:
        case Value(value=value):
            return number(value)
        case NoData(reason=reason):
            return f"nothing yet ({reason.value.replace('_', ' ')})"
        case Broken(detail=detail):
            return f"cannot be measured: {detail}"


def _elsewhere(services: Services, rollout: Rollout | None, document: dict[str, Any]) -> list[tuple[str, str]]:
    replayed = [
        (
            "Replayed over the last week, with charts",
            as_file("wavegate backtest -f - --from 7d --html report.html", document),
        ),
        ("How long, and which regression it can see", as_file("wavegate estimate -f -", document)),
    ]
    if rollout is not None:
        change = {"plan": document["plan"], "version": rollout.version}
        return [
            ("From a terminal", as_file(f"wavegate rollout change {shlex.quote(rollout.id)} -f - -m 'why'", document)),
            ("Over HTTP", curl("PUT", f"rollouts/{rollout.id}/plan", change)),
            *replayed,
        ]
    return [
        ("From a terminal", as_file("wavegate rollout create -f -", document)),
        ("Over HTTP", curl("POST", "rollouts", document)),
        ("In Git, for wavegate apply -f", applied("Rollout", services.environment, document)),
        *replayed,
    ]
