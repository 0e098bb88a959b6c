"""Rollouts over HTTP."""

from datetime import UTC, datetime
from typing import Any, Final

from flask import url_for
from flask.typing import ResponseReturnValue
from pydantic import Field

from wavegate_controller.api.operations import Handler, Operations
from wavegate_controller.api.paging import Page, PageQuery, page
from wavegate_controller.api.reading import (
    Act,
    Approve,
    DryRunIt,
    Judged,
    PinIt,
    Query,
    Raise,
    SignedPlan,
    SignedRollout,
    StartIt,
)
from wavegate_controller.documents import decision_to_document, rollout_to_document
from wavegate_controller.documents.outlooks import (
    calibration_to_document,
    comparison_to_document,
    findings_to_documents,
    forecast_to_document,
)
from wavegate_controller.documents.plans import weight_of
from wavegate_controller.documents.rollout_reports import report_to_html, report_to_markdown
from wavegate_controller.documents.shown import (
    CalibrationShown,
    ComparisonShown,
    DecisionShown,
    LintShown,
    NextWaveShown,
    ReviewShown,
    RolloutShown,
    Shown,
    StartedShown,
)
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.errors import Conflict, EventRefused, Invalid, NotFound, StaleVersion
from wavegate_controller.domain.foresight.findings import LintRefused
from wavegate_controller.domain.transitions import REQUESTS, Event
from wavegate_controller.domain.verdict import VerdictKind
from wavegate_controller.service import calibration, dry_runs, linted, queries, reasons, reports, reviews
from wavegate_controller.service import rollouts as service
from wavegate_controller.service.linting import gates_without_findings
from wavegate_controller.service.queries import RolloutView
from wavegate_controller.service.services import Services

_LARGEST_ID: Final = 2**63 - 1
#: What each event does that a person may ask for.
_ACTS: Final = {
    Event.PROMOTE: "Open the next wave now, whatever the gates say",
    Event.APPROVE: "Sign that the next wave may open",
    Event.REJECT: "Decline the next wave: stay, paused",
    Event.PAUSE: "Stay at this percentage until resumed",
    Event.RESUME: "Go on; the wave bakes anew",
    Event.STEP_BACK: "Go one wave back, paused",
    Event.ROLL_BACK: "Bring everybody back to the stable variant, at once",
    Event.UNPIN: "Let the plan decide again; the wave bakes anew",
    Event.UNDO: "Take back a roll back that a person asked for, within ten minutes; paused where it was",
    Event.RESTART: "Begin a rolled-back rollout again at its first wave",
    Event.CANCEL: "Give up for good: everybody back to the stable variant",
}

#: Those that may raise exposure, and so may have to override a freeze window.
_RAISING: Final = frozenset({Event.PROMOTE, Event.APPROVE, Event.RESTART, Event.UNDO})

rollouts: Final = Operations("rollouts", "A flag's way from its stable to its candidate variant, wave by wave.")


class RolloutsQuery(PageQuery):
    """Which rollouts."""

    flag: str | None = Field(default=None, description="Of this flag only.")


class DecisionsQuery(PageQuery):
    """Which decisions."""

    before: int | None = Field(default=None, ge=1, le=_LARGEST_ID, description="Older than the decision of this id.")
    moves_only: bool = Field(default=False, description="Without the holds.")


class ReportShown(Shown):
    """A report of a rollout, for people outside of Wavegate."""

    rollout: str
    markdown: str
    html: str = Field(description="The same with a chart for each gate, as the body of a page.")


class ReviewQuery(Query):
    """Which review."""

    wave: int | None = Field(default=None, ge=1, le=1000, description="Number of the wave; by default the newest.")
    decision: int | None = Field(
        default=None, ge=1, le=_LARGEST_ID, description="Instead: as the person saw it who took this decision."
    )


@rollouts.get("/rollouts", "List rollouts, newest first", answer=Page[RolloutShown])
def list_rollouts(services: Services, by: Principal, query: RolloutsQuery) -> ResponseReturnValue:
    """Of all flags, or of one."""
    seen = query.after(str, str)
    behind = None if seen is None else (_time(seen[0]), seen[1])
    views = queries.rollouts(services, flag_key=query.flag, by=by, behind=behind, limit=query.limit + 1)
    marks = [(view.rollout.created_at.isoformat(), view.rollout.id) for view in views]
    return page([rollout_shown(view) for view in views], query, marks)


@rollouts.post(
    "/rollouts", "Create a rollout, as a draft", answer=RolloutShown, status=201, problems=[NotFound, Conflict]
)
def create_rollout(services: Services, by: Principal, body: SignedRollout) -> ResponseReturnValue:
    """Written down and checked, serving nobody."""
    rollout = service.create_rollout(services, body, by=by)
    location = url_for(".show_rollout", reference=rollout.id)
    return rollout_shown(queries.rollout_view(services, rollout.id, by=by)), 201, {"Location": location}


@rollouts.get("/rollouts/{reference}", "Show a rollout", answer=RolloutShown)
def show_rollout(services: Services, by: Principal, reference: str) -> ResponseReturnValue:
    """Where it stands, why, and what may be asked of it."""
    return rollout_shown(queries.rollout_view(services, reference, by=by))


@rollouts.put(
    "/rollouts/{reference}/plan",
    "Give a draft another plan",
    answer=RolloutShown,
    problems=[Conflict, StaleVersion],
)
def change_rollout(services: Services, by: Principal, reference: str, body: SignedPlan) -> ResponseReturnValue:
    """The whole plan is replaced. Refused once the rollout has begun: its plan is fixed then."""
    rollout = queries.rollout_view(services, reference, by=by).rollout
    service.change_plan(services, rollout.id, body, by=by, comment=body.comment, expected_version=body.version)
    return rollout_shown(queries.rollout_view(services, rollout.id, by=by))


@rollouts.get("/rollouts/{reference}/forecast", "Say what the next wave will cost", answer=NextWaveShown)
def forecast_rollout(services: Services, by: Principal, reference: str) -> ResponseReturnValue:
    """An hour of it beside stable, going by what this wave has counted at its latest look."""
    view = queries.rollout_view(services, reference, by=by)
    return forecast_to_document(view.rollout, queries.forecast_of(services, view))


@rollouts.get(
    "/rollouts/{reference}/calibration", "Say what an A/A rollout shows", answer=CalibrationShown, problems=[Conflict]
)
def calibrate_rollout(services: Services, by: Principal, reference: str) -> ResponseReturnValue:
    """Shares, sample ratio, independence, design effect and false alarms; of a rollout between equal values."""
    return calibration_to_document(calibration.calibrate(services, reference, by=by))


@rollouts.get("/rollouts/{reference}/review", "Show the review of a wave", answer=ReviewShown, problems=[Conflict])
def review_rollout(services: Services, by: Principal, reference: str, query: ReviewQuery) -> ResponseReturnValue:
    """What whoever decides about the next wave has to have seen, and what an approval signs by its digest."""
    rollout = queries.rollout_view(services, reference, by=by).rollout
    return dict(reviews.get_review(services, rollout.id, by=by, wave=query.wave, decision=query.decision))


@rollouts.get("/rollouts/{reference}/report", "Report how a rollout went", answer=ReportShown)
def report_rollout(services: Services, by: Principal, reference: str) -> ResponseReturnValue:
    """Its waves, the values of its gates beside their limits, what was decided, and who signed."""
    rollout = queries.rollout_view(services, reference, by=by).rollout
    report = reports.get_report(services, rollout.id, by=by)
    return {"rollout": rollout.id, "markdown": report_to_markdown(report), "html": report_to_html(report)}


@rollouts.get(
    "/rollouts/{reference}/findings",
    "Look at the gates of a rollout with the metrics server",
    answer=LintShown,
    permission=Permission.EDIT,
)
def lint_rollout(services: Services, by: Principal, reference: str) -> ResponseReturnValue:
    """As they would be in the first wave: what is wrong with them now, and would keep a draft from being started."""
    rollout = queries.rollout_view(services, reference, by=by).rollout
    found = linted.look_at(services, rollout, by=by)
    return {
        "rollout": rollout.id,
        "findings": findings_to_documents(rollout.id, found),
        "clean": gates_without_findings(found, rollout.plan.gates),
    }


@rollouts.get(
    "/rollouts/{reference}/comparison",
    "Compare what a dry run would have done with what was done",
    answer=ComparisonShown,
)
def compare_rollout(services: Services, by: Principal, reference: str) -> ResponseReturnValue:
    """Where people agreed with it, acted later or earlier, saw more than it did, or went on in spite of it."""
    rollout = queries.rollout_view(services, reference, by=by).rollout
    return comparison_to_document(rollout.id, dry_runs.compare_rollout(services, rollout.id, by=by))


@rollouts.post(
    "/rollouts/{reference}/dry_run",
    "Begin or end the dry run of a rollout, under way, too",
    answer=RolloutShown,
    problems=[Conflict, StaleVersion],
)
def dry_run_rollout(services: Services, by: Principal, reference: str, body: DryRunIt) -> ResponseReturnValue:
    """While it lasts, everything is judged and recorded, and only people move it."""
    rollout = queries.rollout_view(services, reference, by=by).rollout
    dry_runs.set_dry_run(services, rollout.id, dry_run=body.dry_run, by=by, comment=body.comment)
    return rollout_shown(queries.rollout_view(services, rollout.id, by=by))


@rollouts.post(
    "/rollouts/{reference}/judgements",
    "Say of the present wave what a manual gate waits for",
    answer=RolloutShown,
    problems=[Conflict],
    permission=Permission.APPROVE,
)
def judge_rollout(services: Services, by: Principal, reference: str, body: Judged) -> ResponseReturnValue:
    """The rollout acts on it at its next look."""
    rollout = queries.rollout_view(services, reference, by=by).rollout
    service.judge_wave(
        services, rollout.id, body.gate, VerdictKind(body.verdict), by=by, comment=body.comment, wave=body.wave
    )
    return rollout_shown(queries.rollout_view(services, rollout.id, by=by))


@rollouts.post(
    "/rollouts/{reference}/reason",
    "Say afterwards why you moved it",
    answer=RolloutShown,
    problems=[Conflict],
    permission=Permission.EDIT,
)
def reason_rollout(services: Services, by: Principal, reference: str, body: Act) -> ResponseReturnValue:
    """For the newest move, where a person asked for it and gave no reason; it is kept in the audit."""
    rollout = queries.rollout_view(services, reference, by=by).rollout
    reasons.give_reason(services, rollout.id, body.comment, by=by)
    return rollout_shown(queries.rollout_view(services, rollout.id, by=by))


@rollouts.post(
    "/rollouts/{reference}/start",
    "Open the first wave",
    answer=StartedShown,
    problems=[Conflict, EventRefused, LintRefused, StaleVersion],
)
def start_rollout(services: Services, by: Principal, reference: str, body: StartIt) -> ResponseReturnValue:
    """Its gates are looked at before; what lint finds is in the answer, and an error that nobody allowed refuses it."""
    rollout = queries.rollout_view(services, reference, by=by).rollout
    _, found = service.start(
        services,
        rollout.id,
        by=by,
        comment=body.comment,
        override_freeze=body.override_freeze,
        despite_lint=body.despite_lint,
    )
    shown = rollout_shown(queries.rollout_view(services, rollout.id, by=by))
    return shown | {"findings": findings_to_documents(rollout.id, found)}


@rollouts.post(
    "/rollouts/{reference}/pin",
    "Hold it in this or a lower wave, whatever the gates say",
    answer=RolloutShown,
    problems=[Conflict, EventRefused, StaleVersion],
)
def pin_rollout(services: Services, by: Principal, reference: str, body: PinIt) -> ResponseReturnValue:
    """Nothing automatic moves it until it is unpinned; a breach is flagged."""
    weight = None if body.percent is None else weight_of("percent", body.percent)
    return _act(services, reference, Event.PIN, by=by, comment=body.comment, weight=weight)


def _act(services: Services, reference: str, event: Event, *, by: Principal, **signed: Any) -> ResponseReturnValue:
    rollout = queries.rollout_view(services, reference, by=by).rollout
    service.act(services, rollout.id, event, by=by, **signed)
    return rollout_shown(queries.rollout_view(services, rollout.id, by=by))


def _declare(event: Event, summary: str) -> None:
    def act(services: Services, by: Principal, reference: str, body: Act) -> ResponseReturnValue:
        return _act(services, reference, event, by=by, comment=body.comment)

    def act_raising(services: Services, by: Principal, reference: str, body: Raise) -> ResponseReturnValue:
        override = body.override_freeze
        return _act(services, reference, event, by=by, comment=body.comment, override_freeze=override)

    def approve(services: Services, by: Principal, reference: str, body: Approve) -> ResponseReturnValue:
        signed = {"comment": body.comment, "override_freeze": body.override_freeze, "review": body.review}
        return _act(services, reference, event, by=by, **signed)

    handler: Handler = approve if event is Event.APPROVE else act_raising if event in _RAISING else act
    handler.__name__ = f"{event}_rollout"
    handler.__doc__ = "Refused with the state unchanged where the state does not take it."
    path = f"/rollouts/{{reference}}/{event}"
    declared = rollouts.post(
        path,
        summary,
        answer=RolloutShown,
        problems=[Conflict, EventRefused, StaleVersion],
        permission=service.permission_for(event),
    )
    declared(handler)


for _event, _summary in _ACTS.items():
    _declare(_event, _summary)


@rollouts.post("/rollouts/{reference}/{event}", "Refuse what is no event", is_listed=False)
def refuse_event(reference: str, event: str) -> ResponseReturnValue:  # noqa: ARG001 - a part of the path
    """A typing error is answered by the words that there are."""
    raise Invalid("event", f"{event!r} cannot be asked for", "one of " + ", ".join(sorted(REQUESTS)))


@rollouts.get("/rollouts/{reference}/decisions", "List what was decided, newest first", answer=Page[DecisionShown])
def list_decisions(services: Services, by: Principal, reference: str, query: DecisionsQuery) -> ResponseReturnValue:
    """Holds are decisions, too: one for each look."""
    rollout = queries.rollout_view(services, reference, by=by).rollout
    seen = query.after(int)
    before = seen[0] if seen else query.before
    records = queries.history(
        services, rollout.id, limit=query.limit + 1, before=before, moves_only=query.moves_only, by=by
    )
    return page([decision_to_document(record) for record in records], query, [(record.id,) for record in records])


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("cursor", "is none of this list", "`next` of the page before") from None


def rollout_shown(view: RolloutView) -> dict[str, Any]:
    """The document of a rollout as it was read."""
    return rollout_to_document(
        view.rollout,
        latest=view.latest,
        moved=view.moved,
        flag_enabled=view.flag_enabled,
        is_aa=view.is_aa,
        guardrail=view.guardrail,
        delivered=view.delivered,
        dry_run=view.dry_run,
    )
