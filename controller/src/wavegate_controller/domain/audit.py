"""The audit's chain: who did what, each entry bound to all before it, so that no past entry can change unnoticed.

The hash of an entry is the SHA-256 of its canonical JSON, and that JSON names the hash of the entry before it. What
this finds, and what it cannot find, is told in docs/audit.md.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

#: What the first entry names as the hash before it.
GENESIS: Final = "0" * 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What happened, not yet in its place in the chain.

    Attributes:
        at: UTC, of fixed width, so that text order is time order.
        actor: who: a person's name, or `wavegate` for the controller itself.
        actor_kind: how they showed who they are, a `Kind` of `access`.
        action: dotted words such as `rollout.promote`.
        subject: what it was done to, such as a rollout's id.
        environment: where; empty for what belongs to no environment.
        reason: why, in the actor's words.
        before: the subject as it was, as plain JSON; None where there was nothing, or nothing of it changed.
        after: the subject as it became.
        evidence: what the decision was made on.
    """

    at: str
    actor: str
    actor_kind: str
    action: str
    subject: str
    environment: str
    reason: str
    before: Any = None
    after: Any = None
    evidence: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """Where a chain ends: how many entries it has, and the hash of the last one."""

    sequence: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One link of the chain.

    Attributes:
        sequence: from 1 on, without gaps.
        previous: hash of the entry before.
    """

    sequence: int
    note: Note
    previous: str
    hash: str

    @property
    def head(self) -> Head:
        """The chain that ends here."""
        return Head(sequence=self.sequence, hash=self.hash)


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditFilter:
    """Which entries; what is None is not asked for.

    Attributes:
        action: a whole action, or its beginning up to a dot: `rollout` has `rollout.promote`.
        since: this time and later.
        until: before this time.
    """

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    environment: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def chain(head: Head, notes: Sequence[Note]) -> tuple[Entry, ...]:
    """The entries that take a chain on from its head."""
    entries = []
    for note in notes:
        sequence = head.sequence + 1
        entry = Entry(
            sequence=sequence, note=note, previous=head.hash, hash=hash_of(content(sequence, note, head.hash))
        )
        entries.append(entry)
        head = entry.head
    return tuple(entries)


def fault(entry: Entry, *, after: Head) -> str | None:
    """What is wrong with an entry that ought to be the one after this head; None when it is."""
    expected = after.sequence + 1
    if entry.sequence > expected:
        gone = (
            f"entry {expected} is"
            if entry.sequence == expected + 1
            else f"entries {expected} to {entry.sequence - 1} are"
        )
        return f"{gone} missing"
    if entry.sequence < expected:
        return f"entry {entry.sequence} stands where entry {expected} belongs"
    if entry.hash != hash_of(content(entry.sequence, entry.note, entry.previous)):
        return f"entry {entry.sequence} is not what its hash was made of: it was edited"
    if entry.previous != after.hash:
        return f"entry {entry.sequence} does not follow entry {after.sequence}: one of the two was replaced or moved"
    return None


def fault_at_end(end: Head, *, head: Head) -> str | None:
    """What is wrong with the end of a chain whose head is kept elsewhere; None when they agree."""
    if end == head:
        return None
    if end.sequence < head.sequence:
        return f"entries {end.sequence + 1} to {head.sequence} are missing: the end was cut off"
    if end.sequence > head.sequence:
        return f"entry {head.sequence + 1} and what follows were added behind the head of the chain"
    return f"entry {end.sequence} is not the one that the head of the chain names"


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A stretch of the chain, oldest first, and where the chain ended in the same moment.

    Attributes:
        head: None where nothing says it.
    """

    entries: Sequence[Entry]
    head: Head | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """How far a chain holds.

    Attributes:
        begin: what the first entry was expected to follow.
        end: the last good entry.
        fault: the first thing that is wrong; None when all of it holds.
        sequence: the first entry that is bad or missing.
    """

    begin: Head
    end: Head
    fault: str | None = None
    sequence: int | None = None


def verify(pages: Iterable[Page], *, begin: Head | None = None, expect: Head | None = None) -> Verified:
    """Follow a chain to its end.

    Args:
        pages: one after the other; the last one has the end.
        begin: what the first entry follows, when that is not the beginning of the chain.
        expect: an entry that was in the chain once, noted where nobody could change it.
    """
    begin = head = begin or Head()
    noted: Head | None = begin if expect is not None and expect.sequence == begin.sequence else None
    newest: Head | None = None
    for page in pages:
        newest = page.head
        for entry in page.entries:
            if wrong := fault(entry, after=head):
                return Verified(begin=begin, end=head, fault=wrong, sequence=head.sequence + 1)
            head = entry.head
            if expect is not None and head.sequence == expect.sequence:
                noted = head
    wrong = "nothing says where the chain ends" if newest is None else fault_at_end(head, head=newest)
    at = head.sequence + 1 if newest is None or head.sequence != newest.sequence else head.sequence
    if wrong is None and expect is not None and noted != expect:
        wrong, at = _not_as_noted(expect, noted, head), min(expect.sequence, head.sequence + 1)
    return Verified(begin=begin, end=head, fault=wrong, sequence=None if wrong is None else at)


def _not_as_noted(expect: Head, found: Head | None, end: Head) -> str:
    if found is not None:
        return f"entry {expect.sequence} is not the one that was noted: it, or one before it, was replaced"
    if expect.sequence > end.sequence:
        return f"entries {end.sequence + 1} to {expect.sequence} are missing, which were there when the last was noted"
    return f"entry {expect.sequence} comes before the first one here; nothing can be said of it"


def content(sequence: int, note: Note, previous: str) -> Mapping[str, Any]:
    """What is hashed of an entry: all of it but the hash."""
    return {
        "sequence": sequence,
        "at": note.at,
        "actor": note.actor,
        "actor_kind": note.actor_kind,
        "action": note.action,
        "subject": note.subject,
        "environment": note.environment,
        "reason": note.reason,
        "before": note.before,
        "after": note.after,
        "evidence": note.evidence,
        "previous": previous,
    }


def hash_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical(document).encode("ascii")).hexdigest()


def canonical(document: Any) -> str:
    """JSON in one way only: sorted names, no spaces, ASCII, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def moment(time: datetime) -> str:
    """A time as it stands in an entry."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plain(value: Any) -> Any:
    """The value as JSON can say it; what it has no word for becomes text."""
    match value:
        case Enum():
            return plain(value.value)
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            return str(value)
        case datetime():
            return moment(value)
        case Mapping():
            return {str(name): plain(each) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(each) for each in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)]
        case _:
            return str(value)
