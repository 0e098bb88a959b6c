"""What the commands about people, tokens and keys have in common."""

from collections.abc import Callable, Sequence
from typing import Final

import click
from rich.console import RenderableType
from rich.markup import escape

from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.domain.access import EVERYWHERE, Role
from wavegate_controller.remote import Document
from wavegate_controller.terminal import plain_table

_ROLES: Final = [role.value for role in Role]


def roles_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add --role, as often as there are environments to name."""
    return click.option(
        "--role",
        "roles",
        metavar="ROLE[@ENVIRONMENT]",
        multiple=True,
        required=True,
        callback=lambda _context, _option, given: _roles(given),
        help=f"One of {', '.join(_ROLES)}, such as engineer@staging; everywhere, if no environment is named.",
    )(command)


def _roles(given: Sequence[str]) -> dict[str, str]:
    roles = {}
    for text in given:
        role, _, environment = text.partition("@")
        if role not in _ROLES:
            raise click.BadParameter(f"{role!r} is no role; one of {', '.join(_ROLES)}")
        roles[environment or EVERYWHERE] = role
    return roles


def said(roles: Document) -> str:
    """Roles in words."""
    return ", ".join(role if place == EVERYWHERE else f"{role}@{place}" for place, role in roles.items())


def show_made(session: Session, made: Document) -> None:
    """The secret, this once; alone on standard output, so that a program can take it."""
    if session.as_json:
        session.show(made, "")
        return
    credential = made["credential"]
    click.echo(f"{credential['name']} ({credential['id']}); its secret is shown this once:", err=True)
    click.echo(made["secret"])


def credentials_table(items: Sequence[Document]) -> RenderableType:
    """Tokens or keys."""
    table = plain_table("id", "name", "begins", "may", "owner", "last used", "ends")
    # Cut short, an id could not be given to the other commands; in a narrow terminal the rest takes more lines instead.
    for column in table.columns[1:]:
        column.no_wrap, column.overflow = False, "fold"
    for each in items:
        ends = "revoked" if each["revoked_at"] else _minute(each["expires_at"]) or "never"
        may = said(each["roles"]) or f"read {each['environment']}"
        row = (each["name"], f"{each['hint']}…", may, each["owner"] or "", _minute(each["last_used_at"]) or "never")
        table.add_row(each["id"], *map(escape, row), ends, style=None if each["is_good"] else "dim")
    return table


def add_common(group: click.Group, kind: str, called: str) -> None:
    """Add list, rotate and revoke."""

    @group.command("list")
    @speaks_to_controller
    def show_all(session: Session) -> None:
        items = session.controller.credentials(kind)
        session.show(items, credentials_table(items))

    show_all.help = f"All {called}s that are yours to see, by name."

    @group.command
    @click.argument("id")
    @click.option("--overlap", default="1h", show_default=True, help="How long the old secret stays good, too.")
    @speaks_to_controller
    def rotate(session: Session, /, overlap: str, **given: str) -> None:
        show_made(session, session.controller.rotate(kind, given["id"], overlap=overlap))

    rotate.help = f"Make the successor of {called} ID, and show its secret."

    @group.command
    @click.argument("id")
    @speaks_to_controller
    def revoke(session: Session, /, **given: str) -> None:
        document = session.controller.revoke(kind, given["id"])
        session.show(document, credentials_table([document]))

    revoke.help = f"End {called} ID, at once."


def _minute(time: str | None) -> str:
    return "" if time is None else time.replace("T", " ")[:16]
