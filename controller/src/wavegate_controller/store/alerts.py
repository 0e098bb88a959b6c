"""Alerts that were reported, and what came of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from wavegate_controller.domain.alerting import Alert, AlertRecord
from wavegate_controller.domain.errors import StaleVersion
from wavegate_controller.store import mapping, tables


@dataclass(frozen=True, slots=True)
class SqlAlerts:
    """In table `alert`; one row for each firing, and one for its end."""

    connection: Connection

    def find(self, alert: Alert) -> AlertRecord | None:
        """The same one, if it was reported before."""
        table = tables.alert
        query = select(table).where(
            table.c.fingerprint == alert.fingerprint,
            table.c.starts_at == alert.starts_at,
            table.c.is_firing.is_(alert.is_firing),
        )
        row = self.connection.execute(query).mappings().one_or_none()
        return None if row is None else mapping.alert_from_row(row)

    def add(self, record: AlertRecord) -> None:
        """A new one; raises StaleVersion when somebody else was faster."""
        try:
            with self.connection.begin_nested():
                self.connection.execute(insert(tables.alert).values(mapping.alert_to_row(record)))
        except IntegrityError:
            raise StaleVersion("alert", record.alert.fingerprint) from None

    def list(
        self, environment: str, *, limit: int, before: int | None = None, flag: str | None = None
    ) -> Sequence[AlertRecord]:
        """Newest first; with `before`, those with a smaller id; with `flag`, those that name it."""
        table = tables.alert
        query = select(table).where(table.c.environment == environment).order_by(table.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(table.c.id < before)
        if flag is not None:
            query = query.where(table.c.flag == flag)
        return [mapping.alert_from_row(row) for row in self.connection.execute(query).mappings()]
