"""`wavegate gate`."""

import click

from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.terminal import presets_table


@click.group
def gate() -> None:
    """Show the ready-made gates that a plan may name."""


@gate.command
@speaks_to_controller
def presets(session: Session) -> None:
    """The presets, their parameters, and what they watch."""
    documents = session.controller.presets()
    session.show(documents, presets_table(documents))
