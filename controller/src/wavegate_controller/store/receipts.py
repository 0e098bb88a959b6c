"""The receipts of requests, in table `receipt`."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from wavegate_controller.domain.errors import StaleVersion
from wavegate_controller.domain.receipt import Progress, Receipt, Reply
from wavegate_controller.store import tables
from wavegate_controller.store.mapping import Columns


@dataclass(frozen=True, slots=True)
class SqlReceipts:
    """Fulfils `ports.ReceiptRepository`."""

    connection: Connection

    def get(self, sender: str, key: str) -> Receipt | None:
        """The receipt under a key, locked until the transaction ends."""
        table = tables.receipt
        query = select(table).where(table.c.sender == sender, table.c.key == key).with_for_update()
        row = self.connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        reply = None if row["status"] is None else Reply(status=row["status"], headers=row["headers"], body=row["body"])
        return Receipt(
            sender=row["sender"],
            key=row["key"],
            fingerprint=row["fingerprint"],
            holder=row["holder"],
            claimed_at=row["claimed_at"],
            progress=Progress(row["progress"]),
            reply=reply,
        )

    def add(self, receipt: Receipt) -> None:
        """A new one; raises StaleVersion when somebody else was faster."""
        try:
            with self.connection.begin_nested():
                self.connection.execute(insert(tables.receipt).values(_to_row(receipt)))
        except IntegrityError:
            raise _stale(receipt) from None

    def take_over(self, found: Receipt, mine: Receipt) -> None:
        """Put one in another's place; raises StaleVersion when somebody else was faster."""
        self._change(found, _to_row(mine))

    def progress(self, receipt: Receipt, progress: Progress) -> None:
        """Write how far it is, and its reply; raises StaleVersion when somebody else has taken over."""
        self._change(receipt, _to_row(receipt) | {"progress": progress.value})

    def remove(self, receipt: Receipt) -> None:
        """Give the key back, unless somebody else has taken over."""
        table = tables.receipt
        is_it = table.c.sender == receipt.sender, table.c.key == receipt.key, table.c.holder == receipt.holder
        self.connection.execute(delete(table).where(*is_it))

    def prune(self, *, now: datetime) -> None:
        """Forget those that have expired."""
        self.connection.execute(delete(tables.receipt).where(tables.receipt.c.expires_at <= now))

    def _change(self, receipt: Receipt, row: Columns) -> None:
        table = tables.receipt
        is_it = table.c.sender == receipt.sender, table.c.key == receipt.key, table.c.holder == receipt.holder
        if not self.connection.execute(update(table).where(*is_it).values(row)).rowcount:
            raise _stale(receipt)


def _to_row(receipt: Receipt) -> Columns:
    reply = receipt.reply
    return {
        "sender": receipt.sender,
        "key": receipt.key,
        "fingerprint": receipt.fingerprint,
        "holder": receipt.holder,
        "claimed_at": receipt.claimed_at,
        "expires_at": receipt.expires_at,
        "progress": receipt.progress.value,
        "status": None if reply is None else reply.status,
        "headers": None if reply is None else dict(reply.headers),
        "body": None if reply is None else reply.body,
    }


def _stale(receipt: Receipt) -> StaleVersion:
    return StaleVersion("request", receipt.key)
