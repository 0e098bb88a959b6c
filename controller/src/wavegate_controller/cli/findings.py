"""What lint found, as people read it; and the refusal of what it keeps from starting."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import click
from rich.console import Console, Group, RenderableType
from rich.text import Text

from wavegate_controller.cli.failure import Refused
from wavegate_controller.remote import Document, RemoteProblem

_STYLES: Final = {
    "error": ("✗", "bold red"),
    "warning": ("!", "bold yellow"),
    "note": ("·", "cyan"),
}


def findings_text(findings: Sequence[Document], clean: Sequence[str] = ()) -> RenderableType:
    """Each finding with what, why and how to mend it; then the gates without one."""
    lines = [line for each in findings for line in _lines(each)]
    if clean:
        lines.append(Text(f"✓ nothing found about {', '.join(clean)}", "green"))
    return Group(*lines)


def despite(command: Any) -> Any:
    """Add --despite-lint."""
    text = "Start although lint finds errors in its gates: why; kept with the decision."
    return click.option("--despite-lint", default="", metavar="WHY", help=text)(command)


def in_spite(why: str) -> dict[str, Any]:
    """What to send of it."""
    return {"despite_lint": why} if why else {}


def refused_by_lint(problem: RemoteProblem) -> Refused:
    """Shows the findings, and gives what the command ends with."""
    Console(stderr=True, highlight=False).print(findings_text(problem.findings))
    stopping = [each for each in problem.findings if each["severity"] == "error" and each["suppressed"] is None]
    what = problem.detail.partition(", as lint found")[0]
    return Refused(
        f"{what}: {len(stopping)} error{'' if len(stopping) == 1 else 's'} in the gates. Mend the plan; or allow it "
        "there with a reason, by `allowances`; or go on with --despite-lint WHY"
    )


def _lines(each: Document) -> Iterator[Text]:
    if each["suppressed"] is not None:
        yield Text(f"- {each['gate']}: {each['rule']}, allowed: {each['suppressed']}", "dim")
        return
    sign, style = _STYLES[each["severity"]]
    yield Text.assemble((f"{sign} {each['severity']} ", style), (f"{each['gate']}: ", "bold"), each["rule"])
    yield Text(f"    {each['found']}")
    yield Text(f"    {each['why']}", "dim")
    yield Text(f"    → {each['mend']}")
