"""One gate as a card: its rule, its verdict, its number beside its limit, its chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, assert_never

from wavegate_controller.documents.gate_rules import gate_rule
from wavegate_controller.domain.gates import (
    AlertGate,
    ErrorRateGate,
    FeedbackGate,
    Gate,
    LookingGate,
    ManualGate,
    ThresholdGate,
    ValueGate,
    WebhookGate,
)
from wavegate_controller.domain.guardrail import MetricAssessment
from wavegate_controller.domain.measurement import ArmCounts, Counts, Measurement
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.verdict import WARNINGS
from wavegate_controller.service.queries import FlagStory
from wavegate_controller.web import charts
from wavegate_controller.web.sentences import number, odds, span, tone


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A number, what it is, and what it is held against."""

    label: str
    value: str
    limit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class GateCard:
    """A gate as the page shows it.

    Attributes:
        verdict: the document of its newest verdict; None before the first look.
        judged_at: when that was.
        tone: what the verdict's badge looks like; a warning is louder than a mere lack of data.
        chart: None for a gate that gives words and no numbers.
        evidence: of a gate that compares, over time; None before the first look.
    """

    name: str
    rule: str
    verdict: Mapping[str, Any] | None
    judged_at: datetime | None
    tone: str
    figures: tuple[Figure, ...]
    chart: charts.Chart | None
    evidence: charts.Chart | None


def gate_cards(story: FlagStory, rollout: Rollout) -> list[GateCard]:
    """A card for each gate of the rollout's plan."""
    judged = next((each for each in story.decisions if each.verdicts), None)
    window = charts.window_of(since=story.since, until=story.until, started_at=rollout.started_at)
    marks = charts.marks(story.decisions, window)
    return [_card(gate, story, rollout, judged, window, marks) for gate in rollout.plan.gates]


def request_share(measurements: Sequence[Measurement]) -> tuple[float, int] | None:
    """Percent of the lately counted requests that the candidate served, and of how many; None without any."""
    total = ArmCounts()
    candidate = 0
    gate = next((each.gate for each in measurements if isinstance(each.answer, Counts)), None)
    for each in measurements:
        if each.gate == gate and isinstance(each.answer, Counts):
            total += each.answer.candidate + each.answer.stable
            candidate += each.answer.candidate.requests
    return (100 * candidate / total.requests, total.requests) if total.requests else None


def _card(
    gate: Gate,
    story: FlagStory,
    rollout: Rollout,
    judged: DecisionRecord | None,
    window: charts.Window,
    marks: Sequence[charts.Mark],
) -> GateCard:
    verdict = next((each for each in judged.verdicts if each["gate"] == gate.name), None) if judged else None
    mine = [each for each in story.measurements if each.gate == gate.name]
    guardrail = story.view.rollout.guardrail if story.view.rollout else None
    compared = next((each for each in guardrail.metrics if each.name == gate.name), None) if guardrail else None
    return GateCard(
        name=gate.name,
        rule=gate_rule(gate, rollout.plan, candidate=rollout.candidate, stable=rollout.stable),
        verdict=verdict,
        judged_at=judged.at if judged else None,
        tone="calm" if verdict is None else tone("warning" if verdict["reason"] in WARNINGS else verdict["kind"]),
        figures=()
        if verdict is None
        else (*_figures(gate, verdict, rollout), *_outlook(compared), *_silence(verdict["figures"])),
        chart=_chart(gate, mine, rollout, window, marks),
        evidence=charts.evidence_chart(
            gate, story.decisions, window=window, interval=rollout.plan.interval, marks=marks
        )
        if isinstance(gate, ErrorRateGate | ValueGate)
        else None,
    )


def _chart(
    gate: Gate, mine: Sequence[Measurement], rollout: Rollout, window: charts.Window, marks: Sequence[charts.Mark]
) -> charts.Chart | None:
    interval = rollout.plan.interval
    match gate:
        case ErrorRateGate():
            return charts.error_rate_chart(
                gate,
                mine,
                window=window,
                interval=interval,
                marks=marks,
                candidate=rollout.candidate,
                stable=rollout.stable,
            )
        case ThresholdGate():
            return charts.threshold_chart(gate, mine, window=window, interval=interval, marks=marks)
        case ValueGate() | AlertGate() | FeedbackGate() | WebhookGate() | ManualGate():
            return None
        case _:
            assert_never(gate)


def _figures(gate: Gate, verdict: Mapping[str, Any], rollout: Rollout) -> tuple[Figure, ...]:
    value, figures = verdict["value"], verdict["figures"]
    match gate:
        case ErrorRateGate():
            return (
                _arm(rollout.candidate, "candidate", figures),
                _arm(rollout.stable, "stable", figures),
                *_evidence(verdict, rollout),
            )
        case ValueGate():
            return (
                _mean(rollout.candidate, "candidate", gate, figures),
                _mean(rollout.stable, "stable", gate, figures),
                *_evidence(verdict, rollout),
            )
        case ThresholdGate():
            warn = () if gate.warn is None else (_looks_past_warning(gate, figures),)
            now = Figure(
                label="now",
                value="no value" if value is None else number(value),
                limit=f"must stay {gate.operator} {gate.limit:g}",
            )
            return (now, _bad_looks("looks over the limit", gate, figures), *warn)
        case AlertGate():
            return (_bad_looks("looks at which it fires", gate, figures),)
        case FeedbackGate():
            return _feedback(gate, figures)
        case WebhookGate():
            beside = "" if verdict["limit"] is None else f"beside {number(verdict['limit'])}"
            said = () if value is None else (Figure(label="it measured", value=number(value), limit=beside),)
            return (*said, _bad_looks("answers that say breach", gate, figures))
        case ManualGate():
            return ()
        case _:
            assert_never(gate)


def _evidence(verdict: Mapping[str, Any], rollout: Rollout) -> tuple[Figure, ...]:
    """For and against; the comparison is one for all gates that compare."""
    figures, several = verdict["figures"], len(rollout.plan.compared) > 1
    together = f", all gates together {odds(verdict['value'])}" if several else ""
    against = Figure(
        label="evidence of harm",
        value=odds(figures.get("regression", verdict["value"])),
        limit=f"breach at {verdict['limit']:g} : 1{together}",
    )
    last = "final" in figures
    shown, margin = ("final", "final_margin") if last else ("early", "early_margin")
    if shown not in figures:
        return (against,)
    return (
        against,
        Figure(
            label=f"evidence for at most {100 * figures[margin]:.3g} % worse",
            value=odds(figures[shown]),
            limit=f"opens {'the last gate' if last else 'the wave early'} at {figures['gate_limit']:g} : 1",
        ),
    )


def _outlook(metric: MetricAssessment | None) -> tuple[Figure, ...]:
    """Where the ratio of both rates lies, and how long it takes to know enough."""
    figures: list[Figure] = []
    if metric is not None and metric.interval is not None:
        interval = metric.interval
        high = "any" if interval.high is None else f"{interval.high:.3g}"
        figures.append(
            Figure(
                label="times stable's rate",
                value=f"{interval.low:.3g} to {high}",
                limit=f"{100 * interval.level:g} % sure, at any look",
            )
        )
    if metric is not None and metric.forecast is not None:
        forecast = metric.forecast
        needed = "" if forecast.bad_outcomes is None else f"; takes {number(forecast.bad_outcomes)} bad"
        figures.append(
            Figure(
                label="may pass in",
                value="no end in sight" if forecast.remaining is None else span(forecast.remaining),
                limit=f"if no worse than stable{needed}",
            )
        )
    return tuple(figures)


def _bad_looks(label: str, gate: LookingGate, figures: Mapping[str, float]) -> Figure:
    over = f"{figures.get('over_limit', 0):g} of {figures.get('measured', 0):g}"
    return Figure(label=label, value=over, limit=f"breach at {gate.failures} of {gate.of}")


def _looks_past_warning(gate: ThresholdGate, figures: Mapping[str, float]) -> Figure:
    past = figures.get("past_warning", 0) + figures.get("over_limit", 0)
    return Figure(label=f"looks past the warning at {gate.warn:g}", value=f"{past:g}", limit=f"held at {gate.failures}")


def _feedback(gate: FeedbackGate, figures: Mapping[str, float]) -> tuple[Figure, ...]:
    requests, down, up = (figures.get(each, 0) for each in ("requests", "thumbs_down", "thumbs_up"))
    return (
        Figure(
            label="requests with a thumbs down",
            value=f"{100 * down / requests:.3g} %" if requests else "no requests",
            limit=f"{number(down)} of {number(requests)}; true share {100 * figures.get('low', 0):.3g} to "
            f"{100 * figures.get('high', 1):.3g} %; breach when all of it is above {100 * gate.max_thumbs_down:g} %",
        ),
        Figure(
            label="thumbs up among the answers",
            value=f"{100 * up / (up + down):.3g} %" if up + down else "no answers",
            limit=f"{number(up)} of {number(up + down)}; at least {100 * gate.min_share:g} % of at least "
            f"{gate.min_answers} answers wanted",
        ),
    )


def _silence(figures: Mapping[str, float]) -> tuple[Figure, ...]:
    if not figures.get("silent_seconds"):
        return ()
    limit = figures.get("silent_limit_seconds")
    return (
        Figure(
            label="silent for",
            value=span(timedelta(seconds=figures["silent_seconds"])),
            limit="the plan only holds" if limit is None else f"the plan acts after {span(timedelta(seconds=limit))}",
        ),
    )


def _arm(variant: str, arm: str, figures: Mapping[str, float]) -> Figure:
    requests, bad = figures.get(f"{arm}_requests", 0), figures.get(f"{arm}_bad", 0)
    return Figure(
        label=f"{arm}: {variant}",
        value=f"{100 * bad / requests:.2f} %" if requests else "no requests",
        limit=f"{number(bad)} of {number(requests)} bad in this wave" if requests else "in this wave",
    )


def _mean(variant: str, arm: str, gate: ValueGate, figures: Mapping[str, float]) -> Figure:
    requests, total = figures.get(f"{arm}_requests", 0), figures.get(f"{arm}_sum", 0)
    return Figure(
        label=f"{arm}: {variant}",
        value=number(total / requests) if requests else "no requests",
        limit=f"{gate.value} a request, {number(requests)} in this wave" if requests else "in this wave",
    )
