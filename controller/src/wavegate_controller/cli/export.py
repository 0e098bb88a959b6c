"""`wavegate export`."""

from pathlib import Path

import click

from wavegate_controller.cli.failure import Misused
from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.documents.texts import write_text
from wavegate_controller.remote import Document


@click.command
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A directory to write a file for each object to.")
@speaks_to_controller
def export(session: Session, output: Path | None) -> None:
    """Print an environment as files for `wavegate apply`, all in one or each in its own."""
    documents = session.controller.export_configuration()
    if output is not None:
        _write(documents, output)
        click.echo(f"{len(documents)} files in {output}", err=True)
    elif session.as_json:
        session.show(documents, "")
    else:
        click.echo("---\n".join(write_text(document) for document in documents), nl=False)


def _write(documents: list[Document], directory: Path) -> None:
    for document in documents:
        spec = document["spec"]
        name = spec.get("key") or spec.get("name") or spec["flag"]
        # An environment is in none, and stands with what is in it.
        where = document.get("environment", name)
        file = directory / where / document["kind"].lower() / f"{name}.yaml"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(write_text(document), encoding="utf-8")
        except OSError as error:
            raise Misused(f"{file} cannot be written: {error.strerror}") from None
