"""What every command that speaks to a controller has: its options, its way to print, its exit codes."""

import getpass
import json
import os
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TextIO

import click
from rich.console import Console, RenderableType

from wavegate_controller.cli import keep
from wavegate_controller.cli.failure import Misused, Refused, Unreachable
from wavegate_controller.cli.findings import refused_by_lint
from wavegate_controller.documents import parse_text
from wavegate_controller.documents.reading import Document, Model
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.remote import RemoteController, RemoteProblem, RemoteUnreachable

_DEFAULT_URL: Final = "http://127.0.0.1:8080"
Arguments = ParamSpec("Arguments")


class Session:
    """One command's controller and its output."""

    def __init__(self, url: str, *, as_json: bool, environment: str | None = None) -> None:
        self._token = token_for(url)
        self._environment = environment
        self.url = url
        self.controller = self.connect()
        self.as_json = as_json
        self.console = Console(highlight=False)

    def connect(self) -> RemoteController:
        """The controller once more, for another thread."""
        return RemoteController(self.url, self._token, environment=self._environment)

    def show(self, document: object, renderable: RenderableType) -> None:
        """For a program the document, for a person the picture."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        else:
            # A sentence keeps its line: wrapped, a path or a link in it could not be copied.
            self.console.print(renderable, soft_wrap=isinstance(renderable, str))

    def signature(self, name: str | None) -> str | None:
        """Who signs: the name given, else whoever the token says, else $WAVEGATE_USER or the user of this machine."""
        if name or self._token:
            return name
        if user := os.environ.get("WAVEGATE_USER", "").strip():
            return user
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            raise Misused("this user has no name on this machine; sign with --as NAME") from None


def speaks_to_controller(command: Callable[Concatenate[Session, Arguments], None]) -> Callable[..., None]:
    """Add --url, --environment and --json, hand in a session, and end what goes wrong with an exit code."""

    @click.option("--url", envvar="WAVEGATE_URL", default=_DEFAULT_URL, show_default=True, help="The controller.")
    @click.option("--environment", metavar="NAME", help="Where; by default the controller's own environment.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API gives it.")
    @wraps(command)
    def wrapped(
        url: str, environment: str | None, as_json: bool, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> None:
        try:
            command(Session(url, as_json=as_json, environment=environment), *args, **kwargs)
        except RemoteProblem as problem:
            if problem.findings:
                raise refused_by_lint(problem) from None
            raise Refused(_how_to_sign_in(url) if problem.is_nobody else str(problem)) from None
        except RemoteUnreachable as unreachable:
            raise Unreachable(str(unreachable)) from None
        except Invalid as refusal:
            raise Misused(str(refusal)) from None

    return wrapped


def token_for(url: str) -> str | None:
    """The token to show there."""
    return os.environ.get("WAVEGATE_TOKEN") or keep.token(url)


def _how_to_sign_in(url: str) -> str:
    if os.environ.get("WAVEGATE_TOKEN"):
        return (
            f"the token in $WAVEGATE_TOKEN is not good at {url}: it has ended, was revoked, or is another controller's"
        )
    if keep.token(url):
        return f"you are not signed in at {url} any more: your token has ended or was revoked; run `wavegate login`"
    return f"you are not signed in at {url}; run `wavegate login`, or put a token in $WAVEGATE_TOKEN"


def signed(command: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Add --as and -m: the signature under an act."""
    comment = click.option("-m", "--comment", default="", help="Why; kept with the decision.")
    name = click.option("--as", "name", metavar="NAME", help="Who signs; by default the token's owner, or you.")
    return comment(name(command))


def may_override(command: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Add --override-freeze."""
    text = "Raise exposure in a freeze window all the same: an admin's, needs -m."
    return click.option("--override-freeze", is_flag=True, help=text)(command)


def overriding(override_freeze: bool) -> dict[str, Any]:
    """What to send of it."""
    return {"override_freeze": True} if override_freeze else {}


def read_file(model: type[Model], file: TextIO) -> Model:
    """A document from a file, read here, so that a mistake is named before anything is sent."""
    try:
        text = file.read()
    except UnicodeDecodeError as error:
        raise Misused(f"{file.name} is not UTF-8 text: {error}") from None
    return parse_text(model, text)


def given(document: Document) -> dict[str, Any]:
    """What a file said, without what it left out."""
    return document.model_dump(by_alias=True, exclude_unset=True)
