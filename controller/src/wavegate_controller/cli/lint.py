"""`wavegate lint`."""

import json
from datetime import timedelta
from time import sleep
from typing import Final, TextIO

import click
from rich.console import Console

from wavegate_controller.cli.findings import findings_text
from wavegate_controller.cli.history import Source, asks_prometheus, parse_rollout, read_text
from wavegate_controller.clock import SystemClock
from wavegate_controller.documents.outlooks import findings_to_documents
from wavegate_controller.domain.foresight.findings import Severity, suppress
from wavegate_controller.domain.foresight.supposed import supposed
from wavegate_controller.service.linting import gates_without_findings
from wavegate_controller.service.linting import lint as look

_FAILED: Final = 5
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

    A finding may stand where the plan says why, in its `allowances`. Ends with 5 on errors that nobody allowed.
    """
    from wavegate_controller.bootstrap import make_webhooks  # noqa: PLC0415 # heavy, and help needs none of it

    (document, plan), now = parse_rollout(read_text(file)), SystemClock().now()
    rollout = supposed(
        document.flag, plan, stable=stable or document.stable or "off", candidate=document.candidate, at=now
    )
    webhooks = make_webhooks(source.settings())
    history = source.history()
    elsewhere = source.elsewhere(history, at=now, over=_RECENT)
    looked = look(history, webhooks, rollout, now=now, pause=lambda: sleep(_BETWEEN_LOOKS), elsewhere=elsewhere)
    found = suppress(looked, plan.allowances)
    documents = findings_to_documents(document.flag, found)
    if as_json:
        click.echo(json.dumps(documents, indent=2, ensure_ascii=False))
    else:
        Console(highlight=False).print(findings_text(documents, gates_without_findings(found, plan.gates)))
    bad = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    if any(each.severity in bad and each.suppressed is None for each in found):
        raise click.exceptions.Exit(_FAILED)
