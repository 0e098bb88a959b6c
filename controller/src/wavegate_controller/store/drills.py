"""The newest drill of each flag, in table `drill`: there is one at a time because there is one row."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from wavegate_controller.documents.drills import drill_from_document, drill_to_document
from wavegate_controller.domain.drill import Drill
from wavegate_controller.domain.errors import StaleVersion
from wavegate_controller.store import tables
from wavegate_controller.store.mapping import Columns
from wavegate_controller.store.writing import insert_row, replace_row


@dataclass(frozen=True, slots=True)
class SqlDrills:
    """Fulfils `ports.DrillRepository`."""

    connection: Connection

    def find(self, environment: str, flag_key: str) -> Drill | None:
        """The newest of a flag."""
        table = tables.drill
        query = select(table.c.document).where(table.c.environment == environment, table.c.flag_key == flag_key)
        document = self.connection.scalar(query)
        return None if document is None else drill_from_document(document)

    def under_way(self) -> Sequence[Drill]:
        """Those that are not over, of all environments."""
        table = tables.drill
        query = select(table.c.document).where(table.c.is_over.is_(False)).order_by(*table.primary_key)
        return [drill_from_document(document) for document in self.connection.scalars(query)]

    def add(self, drill: Drill) -> None:
        """The first of a flag; raises StaleVersion when somebody else began one meanwhile."""
        taken = StaleVersion("drill", drill.flag_key)
        insert_row(self.connection, tables.drill, _row(drill), taken=taken)

    def save(self, drill: Drill) -> None:
        """Replace version `drill.version - 1`; raises StaleVersion when that is not what is stored."""
        stale = StaleVersion("drill", drill.flag_key)
        replace_row(self.connection, tables.drill, _row(drill), stale=stale)


def _row(drill: Drill) -> Columns:
    return {
        "environment": drill.environment,
        "flag_key": drill.flag_key,
        "is_over": drill.is_over,
        "document": drill_to_document(drill),
        "version": drill.version,
    }
