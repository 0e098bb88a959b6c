"""The editor of a plan: waves as rows, gates with presets, beside it what they would say on the data there are now."""

from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.documents import RolloutDocument, parse
from wavegate_controller.documents.gate_rules import gate_rule
from wavegate_controller.documents.presets import presets_to_documents
from wavegate_controller.documents.texts import read_texts, write_text
from wavegate_controller.domain.access import Permission
from wavegate_controller.domain.errors import ControllerError, Invalid
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.measurement import Answer, Broken, NoData, Value
from wavegate_controller.identity import here, principal
from wavegate_controller.service import flags, rollouts
from wavegate_controller.service.previewing import Preview, preview
from wavegate_controller.service.services import Services
from wavegate_controller.web.pages.editing.common import applied, as_file, curl, digest
from wavegate_controller.web.refusals import Refused, refused
from wavegate_controller.web.sentences import number
from wavegate_controller.web.signing import signer

_MOST_WAVES: Final = 30
_GATES: Final = "- preset: error-rate\n- preset: latency\n"
_REVIEW_FIRST: Final = "This is not what you checked last; look at it once more, then create it."


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wave:
    """One row."""

    percent: str = ""
    bake: str = "15m"
    approvers: str = "0"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Form:
    """What stands in the form."""

    candidate: str
    waves: tuple[_Wave, ...] = field(
        default_factory=lambda: tuple(_Wave(percent=each) for each in ("10", "25", "50", "100"))
    )
    gates: str = _GATES
    interval: str = "15s"
    on_breach: str = "roll_back"

    def document(self, flag: str) -> dict[str, Any]:
        """The rollout's document.

        Raises:
            Invalid: naming the field.
        """
        waves = [_wave(index, each) for index, each in enumerate(self.waves) if each.percent]
        found = list(_gates(self.gates))
        plan = {"waves": waves, "interval": self.interval, "on_breach": self.on_breach, "gates": found}
        return {"flag": flag, "candidate": self.candidate, "plan": plan}


def add_plan_editor(web: Blueprint, services: Services) -> None:
    """The page /flags/KEY/rollouts/new."""

    @web.get("/flags/<key>/rollouts/new")
    def new_rollout(key: str) -> str:
        where = here(services)
        principal().require(Permission.EDIT, where.environment)
        flag = flags.get_flag(where, key, by=principal())
        candidate = next(name for name in flag.variants if name != flag.default_variant)
        return _page(where, flag, _Form(candidate=candidate))

    @web.post("/flags/<key>/rollouts/new")
    def create_rollout(key: str) -> ResponseReturnValue:
        where = here(services)
        principal().require(Permission.EDIT, where.environment)
        flag = flags.get_flag(where, key, by=principal())
        return _answer(where, flag, _read())


def _answer(services: Services, flag: Flag, form: _Form) -> ResponseReturnValue:
    asked = request.form.get("do", "review")
    if asked == "more":
        return _page(services, flag, replace(form, waves=(*form.waves, _Wave())))
    if asked == "keep":
        return _page(services, flag, form)
    try:
        if asked == "preset":
            return _page(services, flag, replace(form, gates=_with_preset(form.gates)))
        document = form.document(flag.key)
        parsed = parse(RolloutDocument, document)
        if asked == "save" and request.form.get("reviewed") == digest(document):
            rollouts.create_rollout(services, parsed, by=signer())
            return redirect(url_for("web.flag", key=flag.key), HTTPStatus.SEE_OTHER)
        found = preview(services, parsed, by=principal())
    except ControllerError as refusal:
        problem = refused(refusal, "candidate", "plan.waves", "plan.gates", "plan.interval", "plan.on_breach")
        return _page(services, flag, form, refused=problem), problem.status
    problem = Refused(problem=_REVIEW_FIRST) if asked == "save" else Refused()
    return _page(services, flag, form, refused=problem, found=found, document=document)


def _page(
    services: Services,
    flag: Flag,
    form: _Form,
    *,
    refused: Refused | None = None,
    found: Preview | None = None,
    document: dict[str, Any] | None = None,
) -> str:
    problem = refused or Refused()
    return render_template(
        "web/editing/plan.html",
        flag=flag,
        form=form,
        candidates=[(name, name) for name in flag.variants if name != flag.default_variant],
        presets=presets_to_documents(),
        errors=problem.errors,
        problem=problem.problem,
        reviewed=digest(document) if document else "",
        found=found,
        gates=_told(found) if found else (),
        elsewhere=_elsewhere(services, document) if document else (),
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


def _elsewhere(services: Services, document: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("From a terminal", as_file("wavegate rollout create -f -", document)),
        ("Over HTTP", curl("POST", "rollouts", document)),
        ("In Git, for wavegate apply -f", applied("Rollout", services.environment, document)),
        (
            "Replayed over the last week, with charts",
            as_file("wavegate backtest -f - --from 7d --html report.html", document),
        ),
        ("How long, and which regression it can see", as_file("wavegate estimate -f -", document)),
    ]


def _wave(index: int, row: _Wave) -> dict[str, Any]:
    try:
        share, approvers = float(row.percent.rstrip("% ")), int(row.approvers or "0")
    except ValueError:
        raise Invalid(
            f"plan.waves[{index}]", f"{row.percent!r}, {row.approvers!r} is no number", "a percentage, such as 25"
        ) from None
    approval = {"approval": "manual", "approvers": approvers} if approvers > 0 else {}
    return {"percent": share, "bake": row.bake} | approval


def _gates(text: str) -> list[Any]:
    try:
        documents = list(read_texts(text))
    except Invalid as refusal:
        raise Invalid("plan.gates", refusal.problem, "a list of gates in YAML") from None
    if len(documents) != 1 or not isinstance(documents[0], list):
        raise Invalid("plan.gates", "is no list", "a list of gates in YAML, each beginning with a dash")
    return documents[0]


def _with_preset(text: str) -> str:
    """The gates with one more, as its example has it."""
    name, _, source = request.form.get("preset", "").partition(":")
    for each in presets_to_documents():
        if (each["preset"], each["source"]) == (name, source):
            return f"{text.rstrip()}\n{write_text([each['example']])}".lstrip()
    raise Invalid("plan.gates", f"there is no preset {name!r}", "one of the list")


def _read() -> _Form:
    given = request.form
    rows = zip(*(given.getlist(name)[:_MOST_WAVES] for name in ("percent", "bake", "approvers")), strict=False)
    return _Form(
        candidate=given.get("candidate", "").strip(),
        waves=tuple(
            _Wave(percent=share.strip(), bake=bake.strip(), approvers=who.strip()) for share, bake, who in rows
        ),
        gates=given.get("gates", ""),
        interval=given.get("interval", "").strip(),
        on_breach=given.get("on_breach", ""),
    )
