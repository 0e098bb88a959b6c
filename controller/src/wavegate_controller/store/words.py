"""What processes that serve tell each other, in table `word`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, type_coerce

from wavegate_controller.ports import Word
from wavegate_controller.store import tables
from wavegate_controller.store.leases import now_in_database


@dataclass(frozen=True, slots=True)
class SqlWords:
    """Fulfils `ports.WordRepository`."""

    connection: Connection

    def add(self, process: str, words: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Say something of each of these environments."""
        if self.connection.dialect.name == "postgresql":
            # One after the other: else a lower id might become visible after a higher one was read.
            self.connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("words", 0))))
        now = now_in_database(self.connection)
        for environment, document in words:
            row = {"process": process, "environment": environment, "document": dict(document), "said_at": now}
            self.connection.execute(insert(tables.word).values(row))

    def newest(self) -> int:
        """The id of the latest; 0 where nothing was said."""
        return self.connection.execute(select(func.max(tables.word.c.id))).scalar_one() or 0

    def list(self, *, after: int, but: str) -> Sequence[Word]:
        """What others than this process said after that id, in order."""
        table = tables.word
        now = type_coerce(now_in_database(self.connection), tables.UTCDateTime()).label("now")
        query = select(table, now).where(table.c.id > after, table.c.process != but).order_by(table.c.id)
        return [
            Word(
                id=row["id"],
                process=row["process"],
                environment=row["environment"],
                document=row["document"],
                seconds_ago=max(0.0, (row["now"] - row["said_at"]).total_seconds()),
            )
            for row in self.connection.execute(query).mappings()
        ]

    def forget(self, *, older_than: timedelta) -> None:
        """What was said so long ago."""
        table = tables.word
        self.connection.execute(
            delete(table).where(table.c.said_at < now_in_database(self.connection, ahead=-older_than))
        )
