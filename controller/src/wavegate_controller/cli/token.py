"""`wavegate token`."""

import click

from wavegate_controller.cli.giving import add_common, roles_option, show_made
from wavegate_controller.cli.session import Session, speaks_to_controller


@click.group
def token() -> None:
    """API tokens: make, list, rotate, revoke."""


@token.command
@click.argument("name")
@roles_option
@click.option("--mine", is_flag=True, help="Your own: it signs with your name and ends with your account.")
@click.option("--expires-in", metavar="DURATION", help="Such as 90d.  [default: never]")
@speaks_to_controller
def create(session: Session, *, name: str, roles: dict[str, str], mine: bool, expires_in: str | None) -> None:
    """Make a token, and show its secret. It may do at most what you may."""
    document = {"name": name, "roles": roles, "personal": mine, "expires_in": expires_in}
    show_made(session, session.controller.create_credential("tokens", document))


add_common(token, "tokens", "token")
