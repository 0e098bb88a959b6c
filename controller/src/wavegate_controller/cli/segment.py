"""`wavegate segment`."""

from typing import TextIO

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
from wavegate_controller.documents import SegmentDocument
from wavegate_controller.terminal import segments_table


@click.group
def segment() -> None:
    """Conditions with names, for the rules of any flag."""


@segment.command("list")
@speaks_to_controller
def show_all(session: Session) -> None:
    """All segments."""
    segments = session.controller.segments()
    session.show(segments, segments_table(segments))


@segment.command
@click.argument("key")
@speaks_to_controller
def show(session: Session, key: str) -> None:
    """One segment."""
    document = session.controller.segment(key)
    session.show(document, segments_table([document]))


@segment.command
@click.argument("key")
@click.option("-f", "--file", type=click.File(encoding="utf-8"), required=True, help="YAML or JSON; - for stdin.")
@may_override
@signed
@speaks_to_controller
def save(session: Session, *, key: str, file: TextIO, name: str | None, comment: str, override_freeze: bool) -> None:
    """Make or replace a segment: `condition`, and if wanted `description`."""
    document = given(read_file(SegmentDocument, file)) | {"comment": comment} | overriding(override_freeze)
    saved = session.controller.save_segment(key, document, actor=session.signature(name))
    session.show(saved, segments_table([saved]))


@segment.command
@click.argument("key")
@signed
@speaks_to_controller
def remove(session: Session, key: str, name: str | None, comment: str) -> None:
    """Remove a segment that nothing names."""
    removed = session.controller.remove_segment(key, actor=session.signature(name), comment=comment)
    session.show(removed, segments_table([removed]))
