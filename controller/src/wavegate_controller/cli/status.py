"""`wavegate status`."""

import click
from rich.text import Text

from wavegate_controller.cli.session import Session, speaks_to_controller


@click.command
@speaks_to_controller
def status(session: Session) -> None:
    """What the controller serves."""
    document = session.controller.status()
    line = f"revision {document['revision']} of {document['environment']}, version {document['version']}"
    notice = f"\n{document['notice']}" if document["notice"] else ""
    session.show(document, Text(line + notice))
