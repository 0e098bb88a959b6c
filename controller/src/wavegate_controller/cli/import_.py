"""`wavegate import`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import click

from wavegate.evaluation import Generation
from wavegate_controller.cli.failure import Misused, Refused
from wavegate_controller.documents.importing import SOURCES, Imported, Options, import_flags
from wavegate_controller.documents.texts import write_text
from wavegate_controller.domain.errors import Invalid


@click.command("import")
@click.argument("source", type=click.Choice(list(SOURCES)))
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file to write to instead of standard output.")
@click.option("--environment", help="The environment to name in the files; else `wavegate apply` says which.")
@click.option(
    "--source-environment", metavar="NAME", help="Which of the source's environments, where there are several."
)
@click.option(
    "--targeting-key",
    metavar="ATTRIBUTE",
    help="The source's attribute that apps give as targeting key. [default: userId for Unleash, id for GrowthBook]",
)
@click.option(
    "--generation",
    type=click.Choice([each.value for each in Generation]),
    default=Generation.V3.value,
    show_default=True,
    help="The bucketing of the flagd evaluators in use.",
)
@click.option(
    "--exempt", metavar="WHY", help="Let flags that serve people do so without their stages: an admin's to apply."
)
@click.option("--report", type=click.Path(path_type=Path), help="A file to write the report to, as JSON.")
@click.option("--strict", is_flag=True, help="Write nothing and end with 1 if something cannot be carried over.")
def import_(  # noqa: PLR0913 - one for each option
    *,
    source: str,
    file: TextIO,
    output: Path | None,
    environment: str | None,
    source_environment: str | None,
    targeting_key: str | None,
    generation: str,
    exempt: str | None,
    report: Path | None,
    strict: bool,
) -> None:
    """Print flags of Unleash, LaunchDarkly, flagd or GrowthBook as files for `wavegate apply`.

    FILE is what the source exports, - for standard input. What cannot be carried over, and what to do about it, is said
    on standard error. Nothing is changed anywhere.
    """
    options = Options(
        source_environment=source_environment,
        targeting_key=targeting_key,
        generation=Generation(generation),
        exempt=exempt,
    )
    try:
        imported = import_flags(source, file.read(), options)
    except (Invalid, UnicodeDecodeError) as refusal:
        raise Misused(f"{file.name}: {refusal}") from None
    if report is not None:
        _write(report, json.dumps([asdict(note) for note in imported.notes], indent=2, ensure_ascii=False) + "\n")
    _tell(imported)
    if strict and imported.lost:
        raise Refused(f"{len(imported.lost)} things cannot be carried over, and nothing was written")
    where = {"environment": environment} if environment else {}
    text = "---\n".join(write_text({**each, **where}) for each in imported.objects)
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text)


def _tell(imported: Imported) -> None:
    flags = sum(each["kind"] == "Flag" for each in imported.objects)
    segments = len(imported.objects) - flags
    click.echo(f"{flags} flags and {segments} segments are carried over.", err=True)
    minded = [note for note in imported.notes if not note.is_lost]
    for heading, notes in (("Left out:", imported.lost), ("Carried over, to be minded:", minded)):
        if notes:
            click.echo(f"\n{heading}", err=True)
        for note in notes:
            click.echo(f"  {note.flag}: {note.construct}\n    {note.why}\n    → {note.instead}", err=True)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Misused(f"{path} cannot be written: {error.strerror}") from None
