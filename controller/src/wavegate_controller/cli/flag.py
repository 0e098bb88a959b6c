"""`wavegate flag`."""

import json
from typing import Any, TextIO

import click

from wavegate_controller.cli.session import (
    Session,
    given,
    may_override,
    overriding,
    read_file,
    signed,
    speaks_to_controller,
)
from wavegate_controller.documents import FlagChange
from wavegate_controller.remote import Document
from wavegate_controller.terminal import flags_table, stale_table


@click.group
def flag() -> None:
    """Create flags, show and change them, and stop them at once."""


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
@click.option("--as", "name", metavar="NAME", help="Who signs; by default the token's owner, or you.")
@click.option("--exempt", metavar="WHY", help="Let it scale without its stages: an admin's, kept for ever.")
@speaks_to_controller
def create(
    session: Session,
    *,
    key: str,
    description: str | None,
    variants: tuple[str, ...],
    default_variant: str | None,
    name: str | None,
    exempt: str | None,
) -> None:
    """A new flag; without variants a boolean one, off for everybody."""
    given = {
        "description": description,
        "variants": dict(map(_variant, variants)) or None,
        "default_variant": default_variant,
        "exempt": exempt,
    }
    document = {"key": key} | {name: value for name, value in given.items() if value is not None}
    _show(session, session.controller.create_flag(document, actor=session.signature(name)))


@flag.command
@click.argument("key")
@signed
@speaks_to_controller
def disable(session: Session, key: str, name: str | None, comment: str) -> None:
    """Emergency stop: everybody gets the default variant at once."""
    actor = session.signature(name)
    _show(session, session.controller.set_enabled(key, enabled=False, actor=actor, comment=comment))


@flag.command
@click.argument("key")
@may_override
@signed
@speaks_to_controller
def enable(session: Session, key: str, name: str | None, comment: str, override_freeze: bool) -> None:
    """Undo the emergency stop.

    The rollout's weight holds again, and its wave bakes anew.
    """
    further = overriding(override_freeze)
    actor = session.signature(name)
    _show(session, session.controller.set_enabled(key, enabled=True, actor=actor, comment=comment, **further))


@flag.command
@click.argument("key")
@click.option("-f", "--file", type=click.File(encoding="utf-8"), required=True, help="YAML or JSON; - for stdin.")
@may_override
@signed
@speaks_to_controller
def change(session: Session, *, key: str, file: TextIO, name: str | None, comment: str, override_freeze: bool) -> None:
    """Change what the file says of a flag; what it leaves out stays. Refused if somebody else changes it meanwhile."""
    change = given(read_file(FlagChange, file))
    version = session.controller.flag(key)["version"]
    signed_change = change | {"comment": comment, "version": version} | overriding(override_freeze)
    _show(session, session.controller.change_flag(key, signed_change, actor=session.signature(name)))


@flag.command
@click.argument("key")
@signed
@speaks_to_controller
def archive(session: Session, key: str, name: str | None, comment: str) -> None:
    """Take a flag out of the ruleset.

    Refused while a rollout has not ended or another flag needs it.
    """
    _show(session, session.controller.archive_flag(key, actor=session.signature(name), comment=comment))


@flag.command
@click.argument("key")
@may_override
@signed
@speaks_to_controller
def restore(session: Session, key: str, name: str | None, comment: str, override_freeze: bool) -> None:
    """Bring an archived flag back as it was."""
    further = overriding(override_freeze)
    _show(session, session.controller.restore_flag(key, actor=session.signature(name), comment=comment, **further))


@flag.command
@click.option("--days", type=click.IntRange(0, 3650), default=30, show_default=True, help="How long it must be so.")
@speaks_to_controller
def stale(session: Session, days: int) -> None:
    """The flags that have done their work, and why."""
    report = session.controller.stale_flags(days=days)
    session.show(report, stale_table(report))


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
