"""The audit's chain in the database."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from wavegate_controller.domain.audit import AuditFilter, Entry, Head, Note, chain, moment
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.store import mapping, tables


class SqlAudit:
    """Who did what, in table `audit`; where the chain ends stands in the one row of `audit_head`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._notes: list[Note] = []

    def add(self, note: Note) -> None:
        """Append, as the last thing that the transaction does; nothing is appended when it is rolled back."""
        self._notes.append(note)

    @property
    def has_notes(self) -> bool:
        """Whether this transaction has anything to append so far."""
        return bool(self._notes)

    def head(self) -> Head | None:
        """Where the chain ends, without what this transaction adds; None when somebody has removed that."""
        return self._head(select(tables.audit_head))

    def get(self, sequence: int) -> Entry:
        """One entry; raises NotFound."""
        query = select(tables.audit).where(tables.audit.c.sequence == sequence)
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound("audit entry", str(sequence))
        return mapping.audit_from_row(row)

    def after(self, sequence: int, *, limit: int) -> Sequence[Entry]:
        """The entries behind that one, oldest first, as they are stored, whatever that is."""
        table = tables.audit
        query = select(table).where(table.c.sequence > sequence).order_by(table.c.sequence).limit(limit)
        return [mapping.audit_from_row(row) for row in self._connection.execute(query).mappings()]

    def list(self, wanted: AuditFilter, *, limit: int, before: int | None = None) -> Sequence[Entry]:
        """Newest first; with `before`, those with a smaller number."""
        table = tables.audit
        query = select(table).order_by(table.c.sequence.desc()).limit(limit)
        if before is not None:
            query = query.where(table.c.sequence < before)
        for column in ("actor", "subject", "environment"):
            if (value := getattr(wanted, column)) is not None:
                query = query.where(table.c[column] == value)
        if wanted.action is not None:
            beneath = table.c.action.startswith(f"{wanted.action}.", autoescape=True)
            query = query.where((table.c.action == wanted.action) | beneath)
        if wanted.since is not None:
            query = query.where(table.c.at >= moment(wanted.since))
        if wanted.until is not None:
            query = query.where(table.c.at < moment(wanted.until))
        return [mapping.audit_from_row(row) for row in self._connection.execute(query).mappings()]

    @contextmanager
    def undone_with(self, part: AbstractContextManager[object]) -> Iterator[None]:
        """Forget what was noted in a part of the transaction that is undone."""
        noted = len(self._notes)
        try:
            with part:
                yield
        except BaseException:
            del self._notes[noted:]
            raise

    def write(self) -> None:
        """Append what was noted.

        The row of the head is locked until the commit, which follows at once: writers take their turns here, so that
        numbers have no gaps, and nobody who holds it ever waits for anything else.
        """
        if not self._notes:
            return
        head = self._head(select(tables.audit_head).with_for_update())
        if head is None:
            raise RuntimeError("the head of the audit's chain is gone; see what `wavegate audit verify` says")
        entries = chain(head, self._notes)
        self._notes = []
        self._connection.execute(insert(tables.audit), [mapping.audit_to_row(each) for each in entries])
        end = entries[-1]
        self._connection.execute(update(tables.audit_head).values(sequence=end.sequence, hash=end.hash))

    def _head(self, query: Select[Any]) -> Head | None:
        row = self._connection.execute(query.where(tables.audit_head.c.id == 1)).mappings().one_or_none()
        return None if row is None else Head(sequence=row["sequence"], hash=row["hash"])
