"""`wavegate logout`."""

from contextlib import suppress

import click

from wavegate_controller.cli import keep
from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.remote import RemoteController, RemoteProblem, RemoteUnreachable


@click.command
@speaks_to_controller
def logout(session: Session) -> None:
    """Sign out again: the token is revoked and kept no longer."""
    secret = keep.token(session.url)
    if secret is None:
        session.show({}, f"not signed in at {session.url}")
        return
    end(session.url, secret)
    keep.drop(session.url)
    session.show({}, f"signed out at {session.url}")


def end(url: str, secret: str, *, name: str | None = None) -> None:
    """Revoke a personal token by itself; with a name, only if it is called so."""
    controller = RemoteController(url, secret)
    # One that is not good any more cannot revoke itself, and need not.
    with suppress(RemoteProblem, RemoteUnreachable):
        mine = [each for each in controller.credentials("tokens") if secret.startswith(each["hint"])]
        for each in mine:
            if each["owner"] and each["is_good"] and name in (None, each["name"]):
                controller.revoke("tokens", each["id"])
