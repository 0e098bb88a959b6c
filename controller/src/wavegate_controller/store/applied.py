"""What was applied last from files, in table `applied`."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, insert, select

from wavegate_controller.domain.configuration import Applied, Name
from wavegate_controller.store import tables


@dataclass(frozen=True, slots=True)
class SqlApplied:
    """Fulfils `ports.AppliedRepository`."""

    connection: Connection

    def get(self, name: Name) -> Applied | None:
        """That of one object; None where none was."""
        row = self.connection.execute(select(tables.applied).where(*_is(name))).mappings().one_or_none()
        return None if row is None else _from_row(row)

    def list(self, collection: str) -> Sequence[Applied]:
        """All that came from a collection."""
        table = tables.applied
        query = select(table).where(table.c.collection == collection)
        query = query.order_by(table.c.kind, table.c.environment, table.c.name)
        return [_from_row(row) for row in self.connection.execute(query).mappings()]

    def save(self, applied: Applied) -> None:
        """In the place of what was applied before."""
        self.remove(applied.object)
        row = {
            "kind": applied.object.kind,
            "environment": applied.object.environment,
            "name": applied.object.name,
            "collection": applied.collection,
            "document": dict(applied.document),
            "applied_at": applied.applied_at,
            "applied_by": applied.applied_by,
        }
        self.connection.execute(insert(tables.applied).values(row))

    def remove(self, name: Name) -> None:
        """Forget it."""
        self.connection.execute(delete(tables.applied).where(*_is(name)))


def _is(name: Name) -> list[ColumnElement[bool]]:
    table = tables.applied
    return [table.c.kind == name.kind, table.c.environment == name.environment, table.c.name == name.name]


def _from_row(row: RowMapping) -> Applied:
    return Applied(
        collection=row["collection"],
        object=Name(kind=row["kind"], environment=row["environment"], name=row["name"]),
        document=row["document"],
        applied_at=row["applied_at"],
        applied_by=row["applied_by"],
    )
