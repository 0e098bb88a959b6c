"""`wavegate schema`."""

import json

import click

from wavegate_controller.documents.configuration import configuration_schema


@click.command
def schema() -> None:
    """Print the JSON Schema of the files that `wavegate apply` takes, for editors and checks."""
    click.echo(json.dumps(configuration_schema(), indent=2, ensure_ascii=False))
