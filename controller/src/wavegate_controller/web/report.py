"""A backtest as one file: charts, moves and sentences, with the pages' own drawing and style, and nothing to fetch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from flask import Flask, render_template

from wavegate_controller.documents.duration import format_duration
from wavegate_controller.domain.foresight.replayed import EVIDENCE, Backtested, Run, Track
from wavegate_controller.domain.gates import Operator, ThresholdGate
from wavegate_controller.domain.measurement import Measurement, NoData, NoDataReason, Reading, Value
from wavegate_controller.domain.plan import Plan
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.web import charts, sentences
from wavegate_controller.web.assets import STYLES

_HERE: Final = Path(__file__).parent
#: Evidence is drawn up to so many times its limit: beyond it, higher says no more.
_HIGHEST: Final = 2.0
_EVIDENCE_UNIT: Final = "evidence against 'no worse', of all gates that compare together, as odds to 1"
_LANES: Final = 3
_LABEL_WIDTH: Final = 17.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """One chart with its heading."""

    name: str
    chart: charts.Chart


def backtest_page(found: Sequence[Backtested], said: Sequence[str]) -> str:
    """The report as HTML."""
    app = Flask("wavegate_report", root_path=str(_HERE))
    for words in sentences.FILTERS:
        app.add_template_filter(words)
    style = "".join((_HERE / "static" / each).read_text(encoding="utf-8") for each in STYLES)
    with app.app_context():
        return render_template(
            "web/backtest.html",
            found=[(each, drawn(each)) for each in found],
            said=said,
            holds=[_holds(each) for each in found],
            first_done=[_first_done(each) for each in found],
            style=style,
            height=charts.HEIGHT,
        )


def _holds(each: Backtested) -> str:
    looks = sum(run.looks for run in each.runs)
    told = [f"{reason.replace('_', ' ')} {number / looks:.0%}" for reason, number in sorted(each.holds.items())]
    return f"held for {', '.join(told)}" if told else "never held"


def _first_done(each: Backtested) -> str:
    done = next((run.end - run.begin for run in each.runs if run.state is State.COMPLETED), None)
    return "-" if done is None else format_duration(done)


def drawn(each: Backtested) -> list[Drawn]:
    """A chart for each gate with a limit, and one for all that compare."""
    window = charts.Window(start=each.begin, end=max(each.until, each.begin + timedelta(minutes=1)))
    marks = _marks(each.runs, window)
    return [
        Drawn(name=name, chart=_chart(name, track, each.plan, window, marks))
        for name, track in each.tracks.items()
        if track.points
    ]


def _chart(name: str, track: Track, plan: Plan, window: charts.Window, marks: tuple[charts.Mark, ...]) -> charts.Chart:
    gate = next((each for each in plan.gates if each.name == name and isinstance(each, ThresholdGate)), None)
    if gate is None:
        limit = 1 / plan.guardrail.alpha
        gate = ThresholdGate(
            name=EVIDENCE,
            query=EVIDENCE,
            operator=Operator.LESS,
            limit=limit,
        )
        points = [(at, None if value is None else min(value, _HIGHEST * limit)) for at, value in track.points]
    else:
        points = track.points
    measurements = [Measurement(gate=name, at=at, query="", answer=_answer(value)) for at, value in points]
    apart = max((later.at - earlier.at for earlier, later in pairwise(measurements)), default=plan.interval)
    chart = charts.threshold_chart(gate, measurements, window=window, interval=apart, marks=marks)
    return replace(chart, unit=_EVIDENCE_UNIT) if name == EVIDENCE else chart


def _answer(value: float | None) -> Reading:
    return NoData(reason=NoDataReason.EMPTY_RESULT) if value is None else Value(value=value)


def _marks(runs: Sequence[Run], window: charts.Window) -> tuple[charts.Mark, ...]:
    """Moves as vertical lines, each label in a row of its own where they are close."""
    placed: list[charts.Mark] = []
    for run in runs:
        for move in run.moves:
            tone = "bad" if move.reason == "breach" else "good"
            label = "rolled back" if move.event is Event.ROLL_BACK else f"to {move.percent:g} %"
            label = "completed" if move.event is Event.COMPLETE else label
            x = window.x(move.at)
            near = {each.lane for each in placed if x - each.x < _LABEL_WIDTH}
            lane = next((lane for lane in range(_LANES) if lane not in near), None)
            # Where there is no room, only what is bad is worth a label.
            if lane is None and tone == "good":
                label = ""
            placed.append(charts.Mark(at=move.at, x=x, label=label, lane=lane or 0, tone=tone))
    return tuple(placed)
