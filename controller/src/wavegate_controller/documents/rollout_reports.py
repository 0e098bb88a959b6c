"""The report of a rollout: as Markdown, and as HTML with a chart for each gate."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from wavegate_controller.documents.markup import as_text, to_html
from wavegate_controller.documents.sketches import sketch
from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.record import RECONCILER, DecisionRecord
from wavegate_controller.domain.report import GateHistory, RolloutReport
from wavegate_controller.domain.review import Stay

_MOST_COMMENTS: Final = 10
#: Of what names a review, as much as a table has room for; the decision has all of it.
_DIGEST: Final = 12
#: A piece of the report: its Markdown, and the chart that follows it.
Piece = tuple[str, str]


def report_to_markdown(report: RolloutReport) -> str:
    """All of it in words and tables."""
    return "\n".join(text for text, _ in _pieces(report))


def report_to_html(report: RolloutReport) -> str:
    """The same with charts, as the body of a page."""
    return "".join(to_html(text) + chart for text, chart in _pieces(report))


def _pieces(report: RolloutReport) -> Iterator[Piece]:
    yield _lines(_head(report)), ""
    yield _lines(_waves(report)), ""
    for gate in report.gates:
        yield _lines(_gate(report, gate)), _chart(report, gate)
    yield _lines(_said(report)), ""
    yield _lines(_decisions(report.moves)), ""
    yield _lines(_signatures(report)), ""


def _lines(lines: Iterator[str]) -> str:
    return "\n".join(lines) + "\n"


def _head(report: RolloutReport) -> Iterator[str]:
    rollout = report.rollout
    yield f"# Rollout report: {rollout.flag_key}"
    yield ""
    yield f"Rollout {rollout.id} in {rollout.environment}: **{rollout.candidate}** instead of {rollout.stable}."
    begun = f", started {_time(rollout.started_at)}" if rollout.started_at else ", not started"
    yield f"Planned by {as_text(rollout.created_by)}{begun}."
    state = rollout.state.value.replace("_", " ")
    yield f"Now {state} at {percent(rollout.weight):g} % of users. Made on {_time(report.at)}."
    yield ""


def _waves(report: RolloutReport) -> Iterator[str]:
    yield "## Waves"
    yield ""
    if not report.stays:
        yield "None yet."
        yield ""
        return
    yield "| wave | users | from | until | left by |"
    yield "|---|---|---|---|---|"
    for stay in report.stays:
        yield _wave(report, stay)
    yield ""


def _wave(report: RolloutReport, stay: Stay) -> str:
    wave = report.rollout.plan.waves[stay.wave]
    left = f"{_did(stay.left_by)} ({stay.left_by.reason}) by {_who(stay.left_by)}" if stay.left_by else "goes on"
    until = _time(stay.until) if stay.until else ""
    return f"| {stay.wave + 1} | {percent(wave.weight):g} % | {_time(stay.since)} | {until} | {_cell(left)} |"


def _gate(report: RolloutReport, gate: GateHistory) -> Iterator[str]:
    yield f"## Gate {as_text(gate.name)}"
    yield ""
    yield as_text(gate.rule)
    yield ""
    if gate.verdicts:
        said = ", ".join(f"{kind.replace('_', ' ')} {times}" for kind, times in gate.verdicts.items())
        since = f" since {_time(report.seen_since)}" if report.seen_since else ""
        yield f"- looks{since}: {said}"
    if gate.readings:
        values = [each.candidate for each in gate.readings]
        unit = f" ({gate.unit})" if gate.unit else ""
        yield f"- candidate{unit}: last {values[-1]:.3g}, lowest {min(values):.3g}, highest {max(values):.3g}"
        stable = [each.stable for each in gate.readings if each.stable is not None]
        if stable:
            yield f"- stable: last {stable[-1]:.3g}"
    if gate.limit is not None:
        yield f"- limit: {gate.limit:g}"
    if not gate.verdicts:
        yield "- not looked at"
    yield ""


def _chart(report: RolloutReport, gate: GateHistory) -> str:
    candidate = [(each.at, each.candidate) for each in gate.readings]
    stable = [(each.at, each.stable) for each in gate.readings if each.stable is not None]
    lines = [(report.rollout.candidate, candidate), (report.rollout.stable, stable)]
    marks = [(move.at, f"{percent(move.weight):g} %") for move in report.moves]
    seen = [each for each in marks if report.seen_since is None or each[0] >= report.seen_since]
    title = f"{gate.name}: {gate.unit or 'its value'} over the rollout, {report.rollout.candidate} solid"
    title += f", {report.rollout.stable} dotted" if stable else ""
    chart = sketch(title, lines if stable else lines[:1], limit=gate.limit, marks=seen)
    return f"<figure>{chart}<figcaption>{as_text(title)}</figcaption></figure>\n" if chart else ""


def _said(report: RolloutReport) -> Iterator[str]:
    yield "## What people said"
    yield ""
    up, down = report.thumbs
    yield f"{up} thumbs up, {down} thumbs down." if up or down else "Nothing that was kept."
    yield ""
    for said in report.comments[:_MOST_COMMENTS]:
        words = " ".join(said.comment.split())
        yield f"- {said.at:%Y-%m-%d}, {said.variant}, thumbs {'up' if said.thumbs_up else 'down'}: {as_text(words)}"
    yield ""


def _decisions(moves: Sequence[DecisionRecord]) -> Iterator[str]:
    yield "## Decisions"
    yield ""
    for move in moves:
        yield f"- {_time(move.at)} **{_did(move)}** ({move.reason}): {as_text(move.sentence)}"
    if not moves:
        yield "None yet."
    yield ""


def _signatures(report: RolloutReport) -> Iterator[str]:
    yield "## Signatures"
    yield ""
    yield "| when | who | what | why |"
    yield "|---|---|---|---|"
    for stage in report.signed:
        what = f"{stage.outcome.value.replace('_', '-')}: {stage.stage} to {stage.to}"
        yield f"| {_time(stage.at)} | {_cell(stage.by)} | {_cell(what)} | {_cell(stage.reason)} |"
    for move in report.moves:
        if move.actor != RECONCILER:
            digest = (move.review or {}).get("digest", "")
            what = f"{_did(move)} {percent(move.weight):g} %" + (f", review {digest[:_DIGEST]}…" if digest else "")
            yield f"| {_time(move.at)} | {_cell(move.actor)} | {_cell(what)} | {_cell(move.comment)} |"
    yield ""


def _did(move: DecisionRecord) -> str:
    return move.event.value.replace("_", " ")


def _who(move: DecisionRecord) -> str:
    return "its gates" if move.actor == RECONCILER else move.actor


def _cell(text: str) -> str:
    return as_text(" ".join(text.split())).replace("|", "\\|")


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
