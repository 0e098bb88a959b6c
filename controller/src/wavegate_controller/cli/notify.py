"""`wavegate notify`: where messages go, and how far they are."""

import os
from time import monotonic, sleep

import click
from rich.markup import escape
from rich.table import Table

from wavegate_controller.cli.failure import Refused
from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.remote import Document

_POLL_SECONDS = 0.2


@click.group
def notify() -> None:
    """Tell people in chat, by mail or by webhook what happens to rollouts."""


@notify.command("list")
@speaks_to_controller
def show_all(session: Session) -> None:
    """All channels."""
    _show_channels(session, session.controller.channels())


@notify.command
@click.argument("name")
@click.option(
    "--channel-url",
    "address",
    envvar="WAVEGATE_CHANNEL_URL",
    metavar="URL",
    help="apprise's URL of a service, such as slack://…, or where to post. Better in $WAVEGATE_CHANNEL_URL.",
)
@click.option("--webhook", is_flag=True, help="A signed POST instead of a service.")
@click.option("--in", "in_environment", metavar="ENVIRONMENT", default="*", help="Only messages of this environment.")
@click.option("--on", "actions", metavar="ACTION", multiple=True, help="Such as rollout.roll_back; give it for each.")
@click.option(
    "--least", type=click.Choice(["info", "warning", "critical"]), default="info", show_default=True, help="How loud."
)
@speaks_to_controller
def add(
    session: Session, /, name: str, address: str | None, webhook: bool, in_environment: str, **wants: object
) -> None:
    """A new channel NAME. A webhook is signed with the secret in $WAVEGATE_CHANNEL_SECRET, if there is one.

    Every user of a machine can read the others' command lines, so a URL that holds a secret belongs into the variable.
    """
    if address is None:
        address = click.prompt("URL of the channel", hide_input=True)
    document: Document = {"name": name, "type": "webhook" if webhook else "service", "url": address}
    document["environment"] = in_environment
    document |= {name: list(value) if isinstance(value, tuple) else value for name, value in wants.items()}
    if secret := os.environ.get("WAVEGATE_CHANNEL_SECRET"):
        document["secret"] = secret
    _show_channels(session, [session.controller.add_channel(document)])


@notify.command
@click.argument("name")
@speaks_to_controller
def remove(session: Session, name: str) -> None:
    """Send nothing more to channel NAME.

    What is on its way is given up.
    """
    session.controller.remove_channel(name)


@notify.command
@click.argument("name")
@click.option("--as", "signer", metavar="NAME", help="Who signs; by default the token's owner, or you.")
@click.option("--wait", type=click.FloatRange(0), default=40.0, show_default=True, help="Seconds to wait for the end.")
@speaks_to_controller
def test(session: Session, name: str, signer: str | None, wait: float) -> None:
    """Send a message to channel NAME and wait until it is there.

    Ends with 1 when it is not.
    """
    delivery = session.controller.test_channel(name, actor=session.signature(signer))
    deadline = monotonic() + wait
    while delivery["state"] == "pending" and not delivery["error"] and monotonic() < deadline:
        sleep(_POLL_SECONDS)
        delivery = session.controller.delivery(delivery["id"])
    _show_deliveries(session, [delivery])
    if delivery["state"] != "delivered":
        raise Refused(delivery["error"] or f"not delivered within {wait:g} s; it is still tried")


@notify.command
@click.option("--channel", help="To this channel.")
@click.option("--state", type=click.Choice(["pending", "delivered", "dead"]), help="How far they are.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many at most.")
@speaks_to_controller
def deliveries(session: Session, /, limit: int, **wanted: str | None) -> None:
    """Messages on their way and delivered ones, newest first."""
    _show_deliveries(session, session.controller.deliveries(limit=limit, **wanted))


@notify.command
@click.argument("delivery", type=click.IntRange(1))
@click.option("--as", "signer", metavar="NAME", help="Who signs; by default the token's owner, or you.")
@speaks_to_controller
def retry(session: Session, delivery: int, signer: str | None) -> None:
    """Try dead delivery DELIVERY again."""
    _show_deliveries(session, [session.controller.retry_delivery(delivery, actor=session.signature(signer))])


def _show_channels(session: Session, channels: list[Document]) -> None:
    table = Table("name", "environment", "address", "signed", "actions", "least")
    for each in channels:
        actions = ", ".join(each["actions"]) or "all"
        row = (each["name"], each["environment"], each["address"], "yes" if each["signed"] else "", actions)
        table.add_row(*map(escape, row), each["least"])
    session.show(channels, table)


def _show_deliveries(session: Session, found: list[Document]) -> None:
    table = Table("#", "when", "channel", "state", "attempts", "message", "error")
    for each in found:
        row = (each["created_at"].replace("T", " ")[:19], each["channel"], each["state"], str(each["attempts"]))
        table.add_row(str(each["id"]), *map(escape, (*row, each["message"]["title"], each["error"])))
    session.show(found, table)
