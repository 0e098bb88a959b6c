"""`wavegate freeze`."""

from typing import TextIO

import click

from wavegate_controller.cli.session import Session, given, read_file, signed, speaks_to_controller
from wavegate_controller.documents import CalendarDocument
from wavegate_controller.terminal import freeze_table


@click.group
def freeze() -> None:
    """When nothing raises exposure in an environment."""


@freeze.command
@speaks_to_controller
def show(session: Session) -> None:
    """The freeze windows."""
    calendar = session.controller.freeze_windows()
    session.show(calendar, freeze_table(calendar))


@freeze.command("set")
@click.option("-f", "--file", type=click.File(encoding="utf-8"), required=True, help="YAML or JSON; - for stdin.")
@signed
@speaks_to_controller
def replace(session: Session, *, file: TextIO, name: str | None, comment: str) -> None:
    """Replace all of them by the file's `freeze_windows`; an admin's. Refused if somebody else does so meanwhile."""
    document = given(read_file(CalendarDocument, file))
    version = session.controller.freeze_windows()["version"]
    saved = session.controller.save_freeze_windows(
        document | {"comment": comment, "version": version}, actor=session.signature(name)
    )
    session.show(saved, freeze_table(saved))
