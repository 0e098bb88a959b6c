"""`wavegate events`."""

import json
import time
from typing import Final

import click

from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.remote import Document, RemoteUnreachable

_PAUSE_SECONDS: Final = 2.0


@click.command
@click.option("--after", type=click.IntRange(min=0), metavar="ID", help="Begin behind this event instead of now.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many.")
@speaks_to_controller
def events(session: Session, after: int | None, count: int | None) -> None:
    """Follow what happens, one line for each event, until Ctrl-C.

    With --json each line is a JSON object. When the controller goes away it is waited for, and nothing is missed.
    """
    told, is_connected = 0, False
    while count is None or told < count:
        try:
            for event in session.controller.events(after=after):
                is_connected = True
                if event is None:
                    continue
                after, told = event["id"], told + 1
                click.echo(json.dumps(event, ensure_ascii=False) if session.as_json else _line(event))
                if told == count:
                    return
        except KeyboardInterrupt:
            return
        except RemoteUnreachable as unreachable:
            if not is_connected:
                raise
            click.echo(f"{unreachable}; trying again", err=True)
            time.sleep(_PAUSE_SECONDS)


def _line(event: Document) -> str:
    reason = f": {event['reason']}" if event["reason"] else ""
    when = event["at"].replace("T", " ")[:19]
    return f"{when} {event['id']} {event['action']} {event['subject']} by {event['actor']}{reason}"
