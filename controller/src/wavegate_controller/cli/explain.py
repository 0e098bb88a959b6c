"""`wavegate explain`."""

import click

from wavegate_controller.cli.failure import Refused
from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.terminal import explanation_panel


@click.command
@click.argument("decision", metavar="ID", type=click.IntRange(min=1))
@speaks_to_controller
def explain(session: Session, decision: int) -> None:
    """Make decision ID again from its evidence, with every number beside its limit.

    Ends with 1 when the record does not agree with its evidence.
    """
    document = session.controller.explanation(decision)
    session.show(document, explanation_panel(document))
    if document["agrees"] is False:
        raise Refused(f"decision {decision} does not follow from the evidence that is stored")
