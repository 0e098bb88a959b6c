"""`wavegate lint`."""

import json
from datetime import timedelta
from time import sleep
from typing import Final, TextIO

import click
from rich.console import Console, Group, RenderableType
from rich.text import Text

from wavegate_controller.cli.history import Source, asks_prometheus, parse_rollout, read_text
from wavegate_controller.clock import SystemClock
from wavegate_controller.domain.foresight.findings import Finding, Severity, allowances, suppress
from wavegate_controller.domain.foresight.supposed import supposed
from wavegate_controller.service.linting import gates_without_findings
from wavegate_controller.service.linting import lint as look

_FAILED: Final = 5
_STYLES: Final = {
    Severity.ERROR: ("✗", "bold red"),
    Severity.WARNING: ("!", "bold yellow"),
    Severity.NOTE: ("·", "cyan"),
}
_BETWEEN_LOOKS: Final = 0.05
#: How far back a controller's environments are looked for.
_RECENT: Final = timedelta(minutes=15)


@click.command
@click.option("-f", "--file", type=click.File(encoding="utf-8"), required=True, help="A rollout document; - for stdin.")
@click.option("--stable", metavar="VARIANT", help="The variant that is replaced.  [default: the document's, or off]")
@click.option("--strict", is_flag=True, help="Fail on warnings, too.")
@asks_prometheus
def lint(*, source: Source, file: TextIO, stable: str | None, strict: bool, as_json: bool) -> None:
    """Look at the gates of a plan with the metrics server at hand, before they judge anybody.

    A finding may stand where the document says why, in a comment: # lint: allow RULE for GATE: REASON. Ends with 5 on
    errors that nobody allowed.
    """
    from wavegate_controller.bootstrap import make_webhooks  # noqa: PLC0415 # heavy, and help needs none of it

    text = read_text(file)
    (document, plan), allowed, now = parse_rollout(text), allowances(text), SystemClock().now()
    rollout = supposed(
        document.flag, plan, stable=stable or document.stable or "off", candidate=document.candidate, at=now
    )
    webhooks = make_webhooks(source.settings())
    history = source.history()
    elsewhere = source.elsewhere(history, at=now, over=_RECENT)
    looked = look(history, webhooks, rollout, now=now, pause=lambda: sleep(_BETWEEN_LOOKS), elsewhere=elsewhere)
    found = suppress(looked, allowed)
    clean = gates_without_findings(found, plan.gates)
    if as_json:
        click.echo(json.dumps([_document(each) for each in found], indent=2, ensure_ascii=False))
    else:
        Console(highlight=False).print(_shown(found, clean))
    bad = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    if any(each.severity in bad and each.suppressed is None for each in found):
        raise click.exceptions.Exit(_FAILED)


def _shown(findings: tuple[Finding, ...], clean: list[str]) -> RenderableType:
    lines: list[RenderableType] = []
    for each in findings:
        sign, style = _STYLES[each.severity]
        if each.suppressed is not None:
            lines.append(Text(f"- {each.gate}: {each.rule}, allowed: {each.suppressed}", "dim"))
            continue
        lines.append(Text.assemble((f"{sign} {each.severity} ", style), (f"{each.gate}: ", "bold"), f"{each.rule}"))
        lines.append(Text(f"    {each.found}"))
        lines.append(Text(f"    {each.why}", "dim"))
        lines.append(Text(f"    → {each.mend}"))
    if clean:
        lines.append(Text(f"✓ nothing found about {', '.join(clean)}", "green"))
    return Group(*lines)


def _document(finding: Finding) -> dict[str, str | None]:
    return {
        "rule": finding.rule.value,
        "severity": finding.severity.value,
        "gate": finding.gate,
        "found": finding.found,
        "why": finding.why,
        "mend": finding.mend,
        "suppressed": finding.suppressed,
    }
