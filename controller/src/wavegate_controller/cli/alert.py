"""`wavegate alert`: what Alertmanager reported, and what came of it."""

import click
from rich.markup import escape
from rich.table import Table

from wavegate_controller.cli.session import Session, speaks_to_controller


@click.group
def alert() -> None:
    """Show the alerts that were reported, and what came of them."""


@alert.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many at most.")
@speaks_to_controller
def show_all(session: Session, limit: int) -> None:
    """Newest first: firings and their ends."""
    items = session.controller.alerts(limit=limit)
    table = Table("when", "alert", "status", "flag", "outcome", "detail")
    for each in items:
        when = each["received_at"].replace("T", " ")[:19]
        table.add_row(*map(escape, (when, *(each[name] for name in ("alert", "status", "flag", "outcome", "detail")))))
    session.show(items, table)
