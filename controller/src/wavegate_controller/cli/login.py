"""`wavegate login`."""

import getpass
import socket
import sys
import time
import webbrowser
from http import HTTPStatus
from typing import Final

import click

from wavegate_controller.cli import keep
from wavegate_controller.cli.failure import Refused
from wavegate_controller.cli.logout import end
from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.remote import Document, RemoteController, RemoteProblem

#: Between two questions whether somebody has let us in.
_PAUSE_SECONDS: Final = 2.0


@click.command
@click.option("--as", "name", metavar="NAME", help="Your name there; by default your name here.")
@click.option("--token", is_flag=True, help="Read a token from standard input, instead of asking for a password.")
@click.option("--web", is_flag=True, help="Sign in with a browser, on this machine or another.")
@speaks_to_controller
def login(session: Session, name: str | None, token: bool, web: bool) -> None:
    """Sign in at a controller, and stay so on this machine.

    Asks for your password and keeps a token in its place, which is good for 30 days and readable only by you; the one
    that this machine had before is revoked. Where you sign in at an identity provider, use --web: it shows an address
    and a code, and waits until you have said in a browser that it is yours.
    """
    if token and web:
        raise click.UsageError("either --token or --web")
    if web:
        secret = _with_browser(session)
    elif token:
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


def _with_browser(session: Session) -> str:
    begun = session.controller.begin_device_login(token_name=_token_name())
    address = f"{session.url.rstrip('/')}{begun['page']}"
    click.echo(f"Open {address}\nand let this command line in if the page shows {begun['code']}.", err=True)
    if sys.stderr.isatty():
        webbrowser.open(address)
    while True:
        try:
            state = session.controller.finish_device_login(begun["secret"])
        except RemoteProblem as problem:
            if problem.status == HTTPStatus.NOT_FOUND:
                raise Refused("nobody let this command line in within ten minutes; try again") from None
            raise
        if state["secret"] is not None:
            return str(state["secret"])
        time.sleep(_PAUSE_SECONDS)


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
