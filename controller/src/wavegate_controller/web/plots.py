"""A chart as the document from which a script draws it: the same numbers, with their times instead of places."""

from typing import Any

from wavegate_controller.web.charts import Chart, Line


def plot(chart: Chart) -> dict[str, Any]:
    """Seconds since 1970 across, numbers in the chart's unit down; None is a gap."""
    return {
        "from": chart.window.start.timestamp(),
        "to": chart.window.end.timestamp(),
        "low": chart.low,
        "high": chart.high,
        "logarithmic": chart.is_logarithmic,
        "ticks": None
        if not chart.is_logarithmic
        else [chart.low, 0.0, chart.limit.value if chart.limit else chart.high],
        "lines": [_line(line) for line in chart.lines],
        "limit": None
        if chart.limit is None
        else {"value": chart.limit.value, "above": chart.limit.above, "label": chart.limit.label},
        "bands": [
            {"from": band.begin.timestamp(), "to": band.end.timestamp(), "label": band.label} for band in chart.bands
        ],
        "marks": [
            {"at": mark.at.timestamp(), "label": mark.label, "lane": mark.lane, "tone": mark.tone}
            for mark in chart.marks
        ],
    }


def _line(line: Line) -> dict[str, Any]:
    at: list[float] = []
    columns: dict[str, list[float | None]] = {"value": [], "low": [], "high": []}
    for number, stretch in enumerate(line.stretches):
        if number:
            at.append((at[-1] + stretch[0].at.timestamp()) / 2)
            for each in columns.values():
                each.append(None)
        for point in stretch:
            at.append(round(point.at.timestamp(), 3))
            for name, column in columns.items():
                found = getattr(point, name)
                column.append(None if found is None else round(found, 6))
    return {"role": line.role, "name": line.name, "at": at, **columns}
