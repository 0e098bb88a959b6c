"""`wavegate audit`: what was done, and whether the record of it still holds."""

import json
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO

import click
from rich.markup import escape
from rich.table import Table

from wavegate_controller.cli.failure import Broken, Misused
from wavegate_controller.cli.session import Session, signed, speaks_to_controller
from wavegate_controller.config import load
from wavegate_controller.documents.audit import (
    entry_from_document,
    entry_to_line,
    head_from_text,
    head_to_line,
    pages_of_lines,
)
from wavegate_controller.domain.audit import Head, Page, Verified, verify
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.remote import Document, RemoteController
from wavegate_controller.service.audits import verify_store
from wavegate_controller.store import SqlStore, open_engine


@click.group
def audit() -> None:
    """Show what was done, by whom and why, and verify that nobody changed the record."""


@audit.command("list")
@click.option("--actor", help="Who did it.")
@click.option("--action", help="What, such as rollout.promote, or rollout for all that was done to rollouts.")
@click.option("--subject", help="To what: a flag's key, a rollout's id.")
@click.option("--in", "in_environment", metavar="ENVIRONMENT", help="Where.")
@click.option("--since", metavar="TIME", help="Not before, such as 2026-03-01T12:00:00Z.")
@click.option("--until", metavar="TIME", help="Before that time.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many at most.")
@speaks_to_controller
def show_all(session: Session, /, limit: int, **wanted: str | None) -> None:
    """Newest first."""
    items = session.controller.audit(limit=limit, **wanted)
    table = Table("#", "when", "who", "what", "to what", "where", "why")
    for each in items:
        when = each["at"].replace("T", " ")[:19]
        row = (when, each["actor"], each["action"], each["subject"], each["environment"], each["reason"])
        table.add_row(str(each["sequence"]), *map(escape, row))
    session.show(items, table)


@audit.command
@click.argument("entry", type=click.IntRange(1))
@speaks_to_controller
def show(session: Session, entry: int) -> None:
    """All of entry ENTRY: what was before and after, the evidence."""
    document = session.controller.audit_entry(entry)
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


@audit.command
@click.argument("entry", type=click.IntRange(1))
@signed
@speaks_to_controller
def restore(session: Session, entry: int, name: str | None, comment: str) -> None:
    """Set back what ENTRY tells of, to what it was before.

    That is one more change, by whoever may make it.
    """
    document = session.controller.restore(entry, actor=session.signature(name), comment=comment)
    restored = f"{document['subject']} is as it was before entry {entry} ({document['action']} by {document['actor']})"
    session.show(document, escape(restored))


@audit.command
@click.option("-o", "--output", type=click.File("w", encoding="ascii"), default="-", help="File; else standard output.")
@click.option("--after", type=click.IntRange(0), default=0, metavar="NUMBER", help="Only what came after this entry.")
@speaks_to_controller
def export(session: Session, output: IO[str], after: int) -> None:
    """The whole chain as lines of JSON.

    `verify -f` verifies them without a controller.
    """
    head: Head | None = None
    for page in _pages(session.controller, after=after):
        output.writelines(f"{entry_to_line(entry)}\n" for entry in page.entries)
        head = page.head
    if head is not None:
        output.write(f"{head_to_line(head)}\n")


@audit.command("verify")
@click.option("-f", "--file", type=click.File(encoding="ascii", errors="replace"), help="An export, instead.")
@click.option("--database", is_flag=True, help="Read the database of the settings itself, past any controller.")
@click.option("--config", envvar="WAVEGATE_CONFIG", type=click.Path(path_type=Path), help="Settings for --database.")
@click.option(
    "--expect", metavar="NUMBER:HASH", help="An entry noted earlier, elsewhere; it must still be in the chain."
)
@speaks_to_controller
def check(session: Session, file: IO[str] | None, database: bool, config: Path | None, expect: str | None) -> None:
    """Follow the chain from its first entry to its head.

    Ends with 4 and the first bad entry where it does not hold.

    Note the NUMBER:HASH that it prints where nobody who could change the database can change it, and give it to the
    next verification: only that finds an end that was cut off together with its head.
    """
    noted = None if expect is None else head_from_text(expect)
    if file is not None and database:
        raise Misused("-f and --database are two sources: name one")
    if file is not None:
        verified = _verify_lines(file, noted)
    elif database:
        verified = verify_store(SqlStore(open_engine(load(os.environ, config).database_url)), expect=noted)
    else:
        verified = verify(_pages(session.controller, after=0), expect=noted)
    _conclude(session, verified)


def _verify_lines(file: IO[str], noted: Head | None) -> Verified:
    try:
        pages = pages_of_lines(file)
        first = next(pages, None)
        if first is None:
            raise Misused(f"{file.name} is empty")
        begin = Head()
        if first.entries and (entry := first.entries[0]).sequence > 1:
            begin = Head(sequence=entry.sequence - 1, hash=entry.previous)
        return verify(chain([first], pages), begin=begin, expect=noted)
    except Invalid as refused:
        raise Broken(f"the audit does not hold: {refused}") from None


def _conclude(session: Session, verified: Verified) -> None:
    document = {
        "holds": verified.fault is None,
        "entries": verified.end.sequence - verified.begin.sequence,
        "after": verified.begin.sequence,
        "head": f"{verified.end.sequence}:{verified.end.hash}",
        "fault": verified.fault,
        "entry": verified.sequence,
    }
    behind = f" after entry {verified.begin.sequence}, which is not here to be verified" if document["after"] else ""
    if verified.fault is None:
        session.show(document, f"the audit holds: {document['entries']} entries{behind}, up to\n{document['head']}")
        return
    if session.as_json:
        click.echo(json.dumps(document, indent=2))
    raise Broken(f"the audit does not hold: {verified.fault}; it holds up to entry {verified.end.sequence}{behind}")


def _pages(controller: RemoteController, *, after: int) -> Iterator[Page]:
    while True:
        stretch = controller.audit_chain(after=after)
        items: list[Document] = stretch["items"]
        head = stretch["head"]
        yield Page(
            entries=[entry_from_document(each) for each in items],
            head=None if head is None else Head(sequence=head["sequence"], hash=head["hash"]),
        )
        if not items or (head is not None and items[-1]["sequence"] >= head["sequence"]):
            return
        after = items[-1]["sequence"]
