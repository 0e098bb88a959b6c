"""Leases: a name that one process holds for a while, by the database's clock, which is one for all of them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Interval, case, delete, func, literal
from sqlalchemy.dialects import postgresql, sqlite

from wavegate_controller.store import tables

#: How long after its end a lease is kept, for those who wonder.
_KEPT: Final = timedelta(hours=1)


def now_in_database(connection: Connection, *, ahead: timedelta = timedelta(0)) -> Any:
    """The time of the statement, or that much later, as an expression that compares with a column of times."""
    if connection.dialect.name == "sqlite":
        # As the driver writes times: to the microsecond, though SQLite's clock counts milliseconds.
        return func.strftime("%Y-%m-%d %H:%M:%f000", "now", f"{ahead.total_seconds():+.3f} seconds")
    return func.clock_timestamp() + literal(ahead, Interval)


@dataclass(frozen=True, slots=True)
class SqlLeases:
    """Fulfils `ports.LeaseRepository`, in table `lease`."""

    connection: Connection
    holder: str

    def take(self, name: str, *, ttl: timedelta) -> int | None:
        """Take it or hold it for longer; its term, or None while somebody else has it.

        The term rises with each change of hands. Until this transaction ends, nobody else takes it.
        """
        table = tables.lease
        until = now_in_database(self.connection, ahead=ttl)
        statement = self._insert(table).values(name=name, holder=self.holder, term=1, expires_at=until)
        is_mine = table.c.holder == self.holder
        statement = statement.on_conflict_do_update(
            index_elements=[table.c.name],
            set_={
                "holder": self.holder,
                "expires_at": until,
                "term": table.c.term + case((is_mine, 0), else_=1),
            },
            where=is_mine | (table.c.expires_at <= now_in_database(self.connection)),
        ).returning(table.c.term)
        return self.connection.execute(statement).scalar_one_or_none()

    def give_up(self, name: str) -> None:
        """Let others have it at once; the row stays, for its term."""
        table = tables.lease
        mine = table.c.name == name, table.c.holder == self.holder
        self.connection.execute(table.update().where(*mine).values(expires_at=now_in_database(self.connection)))

    def forget_ended(self, prefix: str) -> None:
        """Remove those with such a name that ended long ago; the holder's name goes with them."""
        table = tables.lease
        long_ago = table.c.expires_at < now_in_database(self.connection, ahead=-_KEPT)
        self.connection.execute(delete(table).where(table.c.name.startswith(prefix, autoescape=True), long_ago))

    @property
    def _insert(self) -> Any:
        return sqlite.insert if self.connection.dialect.name == "sqlite" else postgresql.insert
