"""`wavegate key`."""

import click

from wavegate_controller.cli.giving import add_common, show_made
from wavegate_controller.cli.session import Session, speaks_to_controller


@click.group
def key() -> None:
    """SDK keys: make, list, rotate, revoke. Each reads one environment, that of --environment."""


@key.command
@click.argument("name")
@click.option("--expires-in", metavar="DURATION", help="Such as 365d.  [default: never]")
@speaks_to_controller
def create(session: Session, *, name: str, expires_in: str | None) -> None:
    """Make a key, and show it."""
    show_made(session, session.controller.create_credential("keys", {"name": name, "expires_in": expires_in}))


add_common(key, "keys", "key")
