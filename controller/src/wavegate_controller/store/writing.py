"""Writing one row: an insert that says when the key is taken, a replacement that says when somebody was faster."""

from sqlalchemy import ColumnElement, Connection, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from wavegate_controller.domain.errors import ControllerError, StaleVersion
from wavegate_controller.store.mapping import Columns


def insert_row(connection: Connection, table: Table, row: Columns, *, taken: ControllerError) -> None:
    """Insert, or raise `taken` when the primary key is; the transaction goes on either way."""
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(row))
    except IntegrityError:
        if connection.execute(select(1).where(*_is_row(table, row))).first() is None:
            raise
        raise taken from None


def replace_row(connection: Connection, table: Table, row: Columns, *, stale: StaleVersion) -> None:
    """One statement reads the version and writes the row, so no other writer fits in between."""
    statement = update(table).where(*_is_row(table, row), table.c.version == row["version"] - 1).values(row)
    if not connection.execute(statement).rowcount:
        raise stale


def _is_row(table: Table, row: Columns) -> list[ColumnElement[bool]]:
    return [column == row[column.name] for column in table.primary_key]
