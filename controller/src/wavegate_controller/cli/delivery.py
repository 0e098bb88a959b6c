"""`wavegate delivery`."""

import json
import time
from typing import Final

import click
from rich.live import Live

from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.terminal import clients_table, revisions_table

_PAUSE_SECONDS: Final = 0.5
_SHOWN: Final = 10


@click.group
def delivery() -> None:
    """Show which apps have which revision, and how long it took to reach them."""


@delivery.command("list")
@click.option("--limit", type=click.IntRange(1, 100), default=_SHOWN, show_default=True, help="How many revisions.")
@speaks_to_controller
def show_all(session: Session, limit: int) -> None:
    """The latest revisions and how far each came."""
    revisions = session.controller.delivered_revisions(limit=limit)
    session.show(revisions, revisions_table(revisions))


@delivery.command
@speaks_to_controller
def clients(session: Session) -> None:
    """The connected apps, those furthest behind first."""
    connected = session.controller.clients()
    session.show(connected, clients_table(connected))


@delivery.command
@speaks_to_controller
def watch(session: Session) -> None:
    """Watch revisions come and be delivered, until Ctrl-C.

    A live picture on a terminal; elsewhere one line for each change.
    """
    try:
        if session.as_json or not session.console.is_terminal:
            _print_changes(session)
        with Live(console=session.console, auto_refresh=False) as live:
            while True:
                live.update(revisions_table(session.controller.delivered_revisions(limit=_SHOWN)), refresh=True)
                time.sleep(_PAUSE_SECONDS)
    except KeyboardInterrupt:
        return


def _print_changes(session: Session) -> None:
    printed = None
    while True:
        newest = next(iter(session.controller.delivered_revisions(limit=1)), None)
        if newest is not None and newest != printed:
            printed = newest
            text = f"revision {newest['revision']}: {newest['sentence']}"
            click.echo(json.dumps(newest, ensure_ascii=False) if session.as_json else text)
        time.sleep(_PAUSE_SECONDS)
