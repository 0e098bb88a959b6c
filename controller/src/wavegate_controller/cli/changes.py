"""What applying a configuration would do, as people read it."""

import json
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from wavegate_controller.cli.findings import findings_text
from wavegate_controller.domain.access import EVERYWHERE
from wavegate_controller.remote import Document

_MARKS: Final = {"create": "+", "update": "~", "start": ">", "archive": "-", "none": " "}
_STYLES: Final = {"create": "green", "update": "yellow", "start": "green", "archive": "red", "none": "dim"}
_CAUSES: Final = {
    "drift": "changed by hand",
    "both": "changed by hand and in the file",
    "wanted": "",
}
_LONGEST: Final = 60


def changes_text(outcome: Document) -> Group:
    """Each object that changes, field by field, and one line with the sum."""
    lines: list[RenderableType] = []
    for change in outcome["changes"]:
        if change["action"] == "none" and not change["remark"] and not change["blocked"]:
            continue
        lines.append(_headline(change))
        lines.extend(_field(each) for each in change["fields"])
        if change["blocked"]:
            lines.append(Text(f"    not possible now: {change['blocked']}", "red"))
        if change["remark"]:
            lines.append(Text(f"    {change['remark']}", "dim"))
        if change["findings"]:
            lines.append(Padding(findings_text(change["findings"]), (0, 0, 0, 4)))
    return Group(*lines, Text(_sum(outcome)))


def _headline(change: Document) -> Text:
    action = change["action"]
    where = "" if change["environment"] == EVERYWHERE else f"{change['environment']}/"
    name = f"{_MARKS[action]} {change['kind']} {where}{change['name']}"
    return Text(name if action == "none" else f"{name}: {action}", _STYLES[action])


def _field(each: Document) -> Text:
    line = f"    {each['field']}: {_short(each['live'])} -> {_short(each['wanted'])}"
    cause = _CAUSES[each["cause"]]
    return Text(f"{line}  ({cause}; applied last: {_short(each['applied'])})" if cause else line)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _sum(outcome: Document) -> str:
    actions = [change["action"] for change in outcome["changes"]]
    blocked = sum(change["blocked"] is not None for change in outcome["changes"])
    counted = [f"{actions.count(action)} to {action}" for action in _MARKS if action != "none" and action in actions]
    if not counted and not blocked:
        return "everything is as it is wanted"
    if outcome["applied"]:
        return "applied: " + ", ".join(counted)
    return ", ".join(counted + ([f"{blocked} not possible now"] if blocked else []))
