"""`wavegate environment`."""

import click
from rich.markup import escape

from wavegate_controller.cli.session import Session, signed, speaks_to_controller
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
@click.option("--as", "signer", metavar="NAME", help="Who signs; by default the token's owner, or you.")
@speaks_to_controller
def create(session: Session, *, name: str, description: str, signer: str | None) -> None:
    """Make one; apps may fetch its ruleset at once."""
    actor = session.signature(signer)
    _show(session, [session.controller.create_environment(name, description, actor=actor)])


@environment.command("set")
@click.argument("environment_name", metavar="NAME")
@click.option("--description", help="What it is for.")
@click.option("--dry-run/--no-dry-run", default=None, help="Whether its rollouts are only judged; people move them.")
@signed
@speaks_to_controller
def change(
    session: Session,
    *,
    environment_name: str,
    description: str | None,
    dry_run: bool | None,
    name: str | None,
    comment: str,
) -> None:
    """Describe it anew, or begin or end its dry run."""
    wanted = {"description": description, "dry_run": dry_run}
    changed = {field: value for field, value in wanted.items() if value is not None}
    if not changed:
        raise click.UsageError("say what to change: --description, --dry-run or --no-dry-run")
    actor = session.signature(name)
    _show(session, [session.controller.change_environment(environment_name, changed, actor=actor, comment=comment)])


def _show(session: Session, items: list[Document]) -> None:
    table = plain_table("name", "description", "since", "acts")
    for each in items:
        table.add_row(
            escape(each["name"]),
            escape(each["description"]),
            each["created_at"][:10],
            "no, dry run" if each["dry_run"] else "yes",
        )
    session.show(items, table)
