"""`wavegate login`."""

import getpass
import socket
import sys

import click

from wavegate_controller.cli import keep
from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.remote import RemoteController


@click.command
@click.option("--as", "name", metavar="NAME", help="Your name there; by default your name here.")
@click.option("--token", is_flag=True, help="Read a token from standard input, instead of asking for a password.")
@speaks_to_controller
def login(session: Session, name: str | None, token: bool) -> None:
    """Sign in at a controller, and stay so on this machine.

    Asks for your password and keeps a token in its place, which is good for 30 days and readable only by you. Where you
    sign in at an identity provider, make a token on the pages of the controller, or have one made, and give it with
    --token.
    """
    if token:
        secret = (click.prompt("Token", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()).strip()
    else:
        name = name or click.prompt("Name", default=getpass.getuser(), err=True)
        password = _password()
        made = session.controller.log_in(name, password, token_name=_token_name())
        secret = made["secret"]
    me = RemoteController(session.url, secret).me()
    file = keep.put(session.url, secret)
    roles = ", ".join(f"{role} in {place}" for place, role in me["roles"].items()) or "without any role"
    session.show(me, f"signed in at {session.url} as {me['name']}: {roles}; kept in {file}")


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\n")


def _token_name() -> str:
    host = "".join(each for each in socket.gethostname() if each.isalnum() or each in ".-").strip(".-")
    return f"cli-{host or 'unknown'}"[:100].rstrip(".-")
