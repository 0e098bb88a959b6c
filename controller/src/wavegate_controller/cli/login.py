"""`wavegate login`."""

import getpass
import socket
import sys

import click

from wavegate_controller.cli import keep
from wavegate_controller.cli.failure import Refused
from wavegate_controller.cli.logout import end
from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.remote import Document, RemoteController, RemoteProblem


@click.command
@click.option("--as", "name", metavar="NAME", help="Your name there; by default your name here.")
@click.option("--token", is_flag=True, help="Read a token from standard input, instead of asking for a password.")
@speaks_to_controller
def login(session: Session, name: str | None, token: bool) -> None:
    """Sign in at a controller, and stay so on this machine.

    Asks for your password and keeps a token in its place, which is good for 30 days and readable only by you; the one
    that this machine had before is revoked. Where you sign in at an identity provider, make a token on the pages of the
    controller, or have one made, and give it with --token.
    """
    if token:
        secret = (click.prompt("Token", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()).strip()
    else:
        name = name or click.prompt("Name", default=getpass.getuser(), err=True)
        password = _password()
        made = session.controller.log_in(name, password, token_name=_token_name())
        secret = made["secret"]
    me = _whose(session.url, secret)
    before = keep.token(session.url)
    file = keep.put(session.url, secret)
    if before is not None and before != secret:
        # Only what a login made: a token that was given by hand may be in use elsewhere.
        end(session.url, before, name=_token_name())
    roles = ", ".join(f"{role} in {place}" for place, role in me["roles"].items()) or "without any role"
    session.show(me, f"signed in at {session.url} as {me['name']}: {roles}; kept in {file}")


def _whose(url: str, secret: str) -> Document:
    try:
        return RemoteController(url, secret).me()
    except RemoteProblem as problem:
        if problem.is_nobody:
            raise Refused(f"this token is not good at {url}: it has ended, was revoked, or never was one") from None
        raise


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\n")


def _token_name() -> str:
    host = "".join(each for each in socket.gethostname() if each.isalnum() or each in ".-").strip(".-")
    return f"cli-{host or 'unknown'}"[:100].rstrip(".-")
