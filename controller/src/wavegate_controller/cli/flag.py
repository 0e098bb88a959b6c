"""`wavegate flag`."""

import json
from typing import Any

import click

from wavegate_controller.cli.session import Session, signed, speaks_to_controller
from wavegate_controller.remote import Document
from wavegate_controller.terminal import flags_table


@click.group
def flag() -> None:
    """Create flags, show them, and stop them at once."""


@flag.command("list")
@speaks_to_controller
def show_all(session: Session) -> None:
    """All flags."""
    flags = session.controller.flags()
    session.show(flags, flags_table(flags))


@flag.command
@click.argument("key")
@speaks_to_controller
def show(session: Session, key: str) -> None:
    """One flag."""
    _show(session, session.controller.flag(key))


@flag.command
@click.argument("key")
@click.option("--description", help="What it is for.")
@click.option(
    "--variant",
    "variants",
    metavar="NAME=JSON",
    multiple=True,
    help="A variant and what apps receive; give it once for each.  [default: on=true, off=false]",
)
@click.option("--default", "default_variant", metavar="NAME", help="What is served without a rollout.  [default: off]")
@speaks_to_controller
def create(
    session: Session, key: str, description: str | None, variants: tuple[str, ...], default_variant: str | None
) -> None:
    """A new flag; without variants a boolean one, off for everybody."""
    given = {
        "description": description,
        "variants": dict(map(_variant, variants)) or None,
        "default_variant": default_variant,
    }
    document = {"key": key} | {name: value for name, value in given.items() if value is not None}
    _show(session, session.controller.create_flag(document))


@flag.command
@click.argument("key")
@signed
@speaks_to_controller
def disable(session: Session, key: str, name: str | None, comment: str) -> None:
    """Emergency stop: everybody gets the default variant at once, whatever the rollout."""
    actor = session.signature(name)
    _show(session, session.controller.set_enabled(key, enabled=False, actor=actor, comment=comment))


@flag.command
@click.argument("key")
@signed
@speaks_to_controller
def enable(session: Session, key: str, name: str | None, comment: str) -> None:
    """Undo the emergency stop: the rollout's weight holds again."""
    actor = session.signature(name)
    _show(session, session.controller.set_enabled(key, enabled=True, actor=actor, comment=comment))


def _show(session: Session, document: Document) -> None:
    session.show(document, flags_table([document]))


def _variant(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    try:
        if equals:
            return name, json.loads(value)
    except json.JSONDecodeError:
        pass
    raise click.BadParameter(
        f"{text!r} is not NAME=JSON, such as on=true or small='\"gpt-small\"'", param_hint="--variant"
    )
