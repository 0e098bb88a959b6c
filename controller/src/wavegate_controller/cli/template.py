"""`wavegate template`."""

from typing import TextIO

import click

from wavegate_controller.cli.session import Session, read_file, signed, speaks_to_controller
from wavegate_controller.documents import TemplateDocument, plan_to_document
from wavegate_controller.terminal import templates_table


@click.group
def template() -> None:
    """Plans with names: `wavegate rollout create --template NAME` copies one."""


@template.command("list")
@speaks_to_controller
def show_all(session: Session) -> None:
    """The newest version of each."""
    templates = session.controller.templates()
    session.show(templates, templates_table(templates))


@template.command
@click.argument("reference")
@speaks_to_controller
def show(session: Session, reference: str) -> None:
    """One template, or one version of it such as careful@3.

    With --json, its plan, too.
    """
    document = session.controller.template(reference)
    session.show(document, templates_table([document]))


@template.command
@click.argument("key", metavar="NAME")
@click.option("-f", "--file", type=click.File(encoding="utf-8"), required=True, help="YAML or JSON; - for stdin.")
@signed
@speaks_to_controller
def save(session: Session, *, key: str, file: TextIO, name: str | None, comment: str) -> None:
    """The next version: `plan`, and if wanted `description`. Rollouts made before keep their own copy."""
    document = read_file(TemplateDocument, file)
    # With every default spelled out, as a rollout's plan is sent.
    plan = plan_to_document(document.plan_to_domain())
    sent = {"description": document.description, "plan": plan, "comment": comment}
    saved = session.controller.save_template(key, sent, actor=session.signature(name))
    session.show(saved, templates_table([saved]))
