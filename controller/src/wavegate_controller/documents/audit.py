"""Entries of the audit as documents, and as the lines of an export, which are verified without a controller."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from wavegate_controller.domain.audit import Entry, Head, Note, Page, canonical, content
from wavegate_controller.domain.errors import Invalid

_LINE: Final = "a line of `wavegate audit export`"
_HEX: Final = frozenset("0123456789abcdef")


def entry_to_document(entry: Entry) -> dict[str, Any]:
    """One entry; all but its hash is what the hash is made of."""
    return {**content(entry.sequence, entry.note, entry.previous), "hash": entry.hash}


def entry_from_document(document: Mapping[str, Any]) -> Entry:
    """The entry, as it is said to be.

    Raises:
        Invalid: it is no entry at all.
    """
    fields = dict(document)
    try:
        sequence, previous, digest = fields.pop("sequence"), fields.pop("previous"), fields.pop("hash")
        note = Note(**fields)
    except (KeyError, TypeError):
        raise Invalid("entry", "has other fields than an entry of the audit", _LINE) from None
    if isinstance(sequence, bool) or not isinstance(sequence, int):
        raise Invalid("sequence", f"{sequence!r} is no number", _LINE)
    return Entry(sequence=sequence, note=note, previous=str(previous), hash=str(digest))


def head_to_document(head: Head) -> dict[str, Any]:
    """Where the chain ends."""
    return {"sequence": head.sequence, "hash": head.hash}


def head_from_text(text: str) -> Head:
    """`NUMBER:HASH`, as `wavegate audit verify` prints it.

    Raises:
        Invalid: it is something else.
    """
    number, _, digest = text.partition(":")
    if not number.isdecimal() or len(digest) != 64 or not _HEX.issuperset(digest):  # noqa: PLR2004 - SHA-256
        raise Invalid("expect", f"{text!r} is not NUMBER:HASH", "what `wavegate audit verify` printed earlier")
    return Head(sequence=int(number), hash=digest)


def entry_to_line(entry: Entry) -> str:
    """One line of an export: the hash first, so that what it is made of is the rest, byte by byte."""
    return f'{{"hash":"{entry.hash}","entry":{canonical(content(entry.sequence, entry.note, entry.previous))}}}'


def head_to_line(head: Head) -> str:
    """The last line of an export."""
    return canonical({"head": head_to_document(head)})


def pages_of_lines(lines: Iterable[str]) -> Iterator[Page]:
    """An export, entry by entry; the last page has its head.

    Raises:
        Invalid: naming the line that is none of an export's.
    """
    ended = False
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\n")
        if ended:
            raise Invalid(f"line {number}", "comes after the line that names the head", "the end of the file")
        try:
            page = _page(text)
        except Invalid as refused:
            raise Invalid(f"line {number}", f"{refused.field} {refused.problem}", refused.expected) from None
        ended = page.head is not None
        yield page


def _page(line: str) -> Page:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise Invalid("the line", "is not JSON", _LINE) from None
    try:
        match document:
            case {"head": {"sequence": int(sequence), "hash": str(digest)}}:
                head = Head(sequence=sequence, hash=digest)
                page, written = Page(entries=(), head=head), head_to_line(head)
            case {"entry": dict(entry), "hash": str(digest)}:
                read = entry_from_document(entry | {"hash": digest})
                page, written = Page(entries=(read,), head=None), entry_to_line(read)
            case _:
                raise Invalid("the line", "is neither an entry nor the head", _LINE)
    except ValueError:  # NaN
        written = ""
    if written != line:
        raise Invalid("the line", "is not written as an export writes it: it was edited", _LINE)
    return page
