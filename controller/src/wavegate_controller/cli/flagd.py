"""`wavegate flagd`."""

import json
from typing import TextIO

import click

from wavegate.evaluation import Generation, InvalidRuleset, ruleset_from_json
from wavegate_controller.cli.failure import Refused, Unreachable
from wavegate_controller.documents.flagd import FlagdExport, export
from wavegate_controller.remote import RemoteController, RemoteProblem, RemoteUnreachable


@click.group
def flagd() -> None:
    """Export flags for flagd's evaluators."""


@flagd.command("export")
@click.option(
    "--url", envvar="WAVEGATE_URL", default="http://127.0.0.1:8080", show_default=True, help="A controller or relay."
)
@click.option(
    "--sdk-key",
    envvar="WAVEGATE_SDK_KEY",
    show_envvar=True,
    help="The key that says of which environment, if keys are needed.",
)
@click.option(
    "--ruleset",
    type=click.File(encoding="utf-8"),
    help="A file with a ruleset to export instead, or - for standard input.",
)
@click.option(
    "--generation",
    type=click.Choice([each.value for each in Generation]),
    help="The bucketing of the evaluators that will read it; without it, flags of both are exported.",
)
@click.option("--strict", is_flag=True, help="Refuse to export anything if there is a flag that flagd cannot evaluate.")
def export_flags(url: str, sdk_key: str | None, ruleset: TextIO | None, generation: str | None, strict: bool) -> None:
    """Print the flags as flagd's flag definitions.

    Flags that flagd cannot evaluate as the SDK does are left out and named on standard error.
    """
    try:
        if ruleset is None:
            document = RemoteController(url, sdk_key).flagd_definitions(generation=generation, strict=strict)
            refused = document["metadata"].get("refused")
        else:
            made = _converted(ruleset, generation)
            document, refused = made.document, made.document["metadata"].get("refused")
            if strict and made.refused:
                raise Refused(f"flagd cannot evaluate as the SDK does {refused}")
    except RemoteProblem as problem:
        raise Refused(str(problem)) from None
    except RemoteUnreachable as unreachable:
        raise Unreachable(str(unreachable)) from None
    if refused:
        click.echo(f"Left out: {refused}", err=True)
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _converted(file: TextIO, generation: str | None) -> FlagdExport:
    try:
        return export(ruleset_from_json(file.read()), Generation(generation) if generation else None)
    except (InvalidRuleset, UnicodeDecodeError) as refusal:
        raise Refused(f"{file.name} holds no ruleset: {refusal}") from None
