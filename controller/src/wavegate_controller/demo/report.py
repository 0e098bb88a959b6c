"""The headless story's summary for a person."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def report(summary: Mapping[str, Any]) -> RenderableType:
    """What happened to each feature, and whether that was right."""
    parts: list[RenderableType] = [Text()]
    for key, feature in summary["features"].items():
        where = f"{feature['state'].replace('_', ' ')} at {feature['percent']:g} %"
        parts.append(Text.assemble((key, "bold"), f"  {where}  ({feature['reason']})"))
        track = Table.grid(padding=(0, 2, 0, 0))
        for move in feature["moves"]:
            track.add_row(
                f"  {move['seconds']:6.1f} s", move["event"].replace("_", " "), f"{move['percent']:g} %", move["reason"]
            )
        parts.append(track)
        if (decision := feature["seconds_from_breach_to_decision"]) is not None:
            off = feature["seconds_from_breach_to_last_app_off"]
            parts.append(Text(f"  breach to decision {decision:.1f} s, to the last app off {off:.1f} s"))
    if outage := summary["outage"]:
        for key, seen in outage["features"].items():
            holds = ", ".join(f"{reason} {count} times" for reason, count in seen["holds"].items()) or "none"
            moved = "moved" if seen["moved"] else "did not move"
            parts.append(Text(f"Prometheus was away for {outage['seconds']:.0f} s: {key} {moved}; holds: {holds}"))
    parts += [Text(failure, "red") for failure in summary["failures"]]
    parts.append(Text("as it should be" if summary["ok"] else "NOT as it should be", "bold"))
    return Group(*parts)
