"""`wavegate user`."""

import os
from pathlib import Path

import click
from rich.markup import escape

from wavegate_controller.cli.failure import Misused, Refused
from wavegate_controller.cli.giving import roles_option, said
from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.config import load
from wavegate_controller.domain.errors import ControllerError, Invalid
from wavegate_controller.remote import Document
from wavegate_controller.terminal import plain_table


@click.group
def user() -> None:
    """People: let them in, say what they are, let them go."""


@user.command("list")
@speaks_to_controller
def show_all(session: Session) -> None:
    """All that ever were, by name."""
    _show(session, session.controller.users())


@user.command
@click.argument("name")
@roles_option
@speaks_to_controller
def create(session: Session, *, name: str, roles: dict[str, str]) -> None:
    """Let somebody in.

    Prints the link by which they choose a password, once, within a day.
    """
    _show_link(session, session.controller.create_user(name, roles))


@user.command
@click.argument("name")
@roles_option
@speaks_to_controller
def roles(session: Session, *, name: str, roles: dict[str, str]) -> None:
    """Say anew what somebody is."""
    _show(session, [session.controller.set_roles(name, roles)])


@user.command
@click.argument("name")
@click.option(
    "--offline", is_flag=True, help="Ask the database that the settings name, for when nobody can sign in any more."
)
@click.option("--config", "file", envvar="WAVEGATE_CONFIG", type=click.Path(path_type=Path), help="With --offline.")
@speaks_to_controller
def link(session: Session, *, name: str, offline: bool, file: Path | None) -> None:
    """Make a new link for somebody who has lost it, or their password."""
    if not offline:
        _show_link(session, session.controller.change_user(name, "link"))
        return
    # Heavy, and seldom wanted.
    from wavegate_controller.bootstrap import invite_offline  # noqa: PLC0415

    try:
        path = invite_offline(load(os.environ, file), name)
    except Invalid as refusal:
        raise Misused(str(refusal)) from None
    except ControllerError as refusal:
        raise Refused(str(refusal)) from None
    session.show({"link": path}, f"{session.url.rstrip('/')}{path}")


@user.command
@click.argument("name")
@speaks_to_controller
def disable(session: Session, name: str) -> None:
    """Let somebody go, with their sessions and tokens, at once."""
    _show(session, [session.controller.change_user(name, "disable")])


@user.command
@click.argument("name")
@speaks_to_controller
def enable(session: Session, name: str) -> None:
    """Let somebody come back."""
    _show(session, [session.controller.change_user(name, "enable")])


def _show(session: Session, items: list[Document]) -> None:
    table = plain_table("name", "is", "signs in by", "since")
    for each in items:
        standing = said(each["roles"]) if each["enabled"] else "disabled"
        table.add_row(escape(each["name"]), escape(standing), each["signs_in_by"], each["created_at"][:10])
    session.show(items, table)


def _show_link(session: Session, invitation: Document) -> None:
    if session.as_json:
        session.show(invitation, "")
        return
    click.echo(f"for {invitation['user']['name']}, once, until {invitation['expires_at'][:16]} UTC:", err=True)
    click.echo(f"{session.url.rstrip('/')}{invitation['link']}")
