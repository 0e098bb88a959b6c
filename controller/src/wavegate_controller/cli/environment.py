"""`wavegate environment`."""

import click
from rich.markup import escape

from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.remote import Document
from wavegate_controller.terminal import plain_table


@click.group
def environment() -> None:
    """Environments: make and list. Each has flags, rollouts and keys of its own."""


@environment.command("list")
@speaks_to_controller
def show_all(session: Session) -> None:
    """Those that you may see, by name."""
    _show(session, session.controller.environments())


@environment.command
@click.argument("name")
@click.option("--description", default="", help="What it is for.")
@speaks_to_controller
def create(session: Session, *, name: str, description: str) -> None:
    """Make one; apps may fetch its ruleset at once."""
    _show(session, [session.controller.create_environment(name, description)])


def _show(session: Session, items: list[Document]) -> None:
    table = plain_table("name", "description", "since")
    for each in items:
        table.add_row(escape(each["name"]), escape(each["description"]), each["created_at"][:10])
    session.show(items, table)
