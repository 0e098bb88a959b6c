"""Channels, and the messages on their way to them: written in the transaction of what they tell."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, delete, func, insert, select, update

from wavegate_controller.domain.errors import Conflict, NotFound
from wavegate_controller.domain.notification import Backlog, Channel, Delivery, DeliveryState, Message
from wavegate_controller.store import mapping, tables
from wavegate_controller.store.sealing import Vault

_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class SqlChannels:
    """Where messages go, in table `channel`."""

    connection: Connection
    vault: Vault

    def get(self, name: str) -> Channel:
        """One channel; raises NotFound."""
        row = self.connection.execute(select(tables.channel).where(tables.channel.c.name == name)).mappings().first()
        if row is None:
            raise NotFound("channel", name)
        return mapping.channel_from_row(row, self.vault)

    def list(self) -> Sequence[Channel]:
        """All, by name."""
        query = select(tables.channel).order_by(tables.channel.c.name)
        return [mapping.channel_from_row(row, self.vault) for row in self.connection.execute(query).mappings()]

    def add(self, channel: Channel) -> None:
        """A new one; raises Conflict when the name is taken."""
        if any(each.name == channel.name for each in self.list()):
            raise Conflict(f"channel {channel.name!r} exists already")
        self.connection.execute(insert(tables.channel).values(mapping.channel_to_row(channel, self.vault)))

    def seal_again(self) -> int:
        """Seal what is in the clear or sealed with an older key, as far as it can be read; how many channels."""
        sealed = 0
        for row in self.connection.execute(select(tables.channel).order_by(tables.channel.c.name)).mappings().all():
            channel = mapping.channel_from_row(row, self.vault)
            kept = [each for each in (row["url"], row["secret"]) if each is not None]
            if channel.unreadable or all(map(self.vault.is_fresh, kept)):
                continue
            is_it = tables.channel.c.name == channel.name
            values = mapping.channel_to_row(channel, self.vault)
            self.connection.execute(update(tables.channel).where(is_it).values(values))
            sealed += 1
        return sealed

    def remove(self, name: str) -> None:
        """Forget it; raises NotFound."""
        if not self.connection.execute(delete(tables.channel).where(tables.channel.c.name == name)).rowcount:
            raise NotFound("channel", name)


@dataclass(frozen=True, slots=True)
class SqlOutbox:
    """Messages on their way, in table `outbox`: a row for each message and channel."""

    connection: Connection
    channels: SqlChannels

    def add(self, message: Message) -> int:
        """Send it, once the transaction is committed, to every channel that wants it; to how many that is."""
        names = [each.name for each in self.channels.list() if each.wants(message)]
        if names:
            self.connection.execute(insert(tables.outbox), [_new_row(message, name) for name in names])
        return len(names)

    def add_for(self, channel: str, message: Message) -> Delivery:
        """Send it to this channel, whatever that wants."""
        statement = insert(tables.outbox).values(_new_row(message, channel)).returning(tables.outbox)
        return mapping.delivery_from_row(self.connection.execute(statement).mappings().one())

    def claim(self, *, now: datetime, until: datetime, limit: int) -> Sequence[Delivery]:
        """What is due and nobody is at, the longest due first; whoever claims it has it until then.

        The first of a line only, so that messages arrive in their order, and one at a time for each channel.
        """
        table, earlier, busy = tables.outbox, tables.outbox.alias(), tables.outbox.alias()
        pending = DeliveryState.PENDING.value
        # Written on the row itself, so that PostgreSQL asks again when it waited for the row.
        is_due = (
            table.c.state == pending,
            table.c.next_attempt_at <= now,
            table.c.claimed_until.is_(None) | (table.c.claimed_until <= now),
        )
        is_behind = select(earlier.c.id).where(
            earlier.c.channel == table.c.channel,
            earlier.c.line == table.c.line,
            earlier.c.state == pending,
            earlier.c.id < table.c.id,
        )
        is_busy = select(busy.c.id).where(
            busy.c.channel == table.c.channel, busy.c.state == pending, busy.c.claimed_until > now
        )
        turn = func.row_number().over(partition_by=table.c.channel, order_by=(table.c.next_attempt_at, table.c.id))
        ranked = (
            select(table.c.id, turn.label("turn")).where(*is_due, ~is_behind.exists(), ~is_busy.exists()).subquery()
        )
        query = (
            select(table)
            .where(*is_due, table.c.id.in_(select(ranked.c.id).where(ranked.c.turn == 1)))
            .order_by(table.c.next_attempt_at, table.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True, of=table)
        )
        rows = self.connection.execute(query).mappings().all()
        found = [mapping.delivery_from_row(row) for row in rows]
        taken = [replace(each, attempts=each.attempts + 1, claimed_until=until) for each in found]
        for each in taken:
            self.connection.execute(
                update(table).where(table.c.id == each.id).values(attempts=each.attempts, claimed_until=until)
            )
        return taken

    def settle(self, delivery: Delivery) -> bool:
        """How the attempt ended; False where somebody else has taken it over, and then nothing is kept."""
        table = tables.outbox
        statement = (
            update(table)
            .where(
                table.c.id == delivery.id,
                table.c.attempts == delivery.attempts,
                table.c.state == DeliveryState.PENDING.value,
            )
            .values(
                state=delivery.state.value,
                next_attempt_at=delivery.next_attempt_at,
                claimed_until=None,
                delivered_at=delivery.delivered_at,
                error=delivery.error[:_LONGEST_ERROR],
            )
        )
        return bool(self.connection.execute(statement).rowcount)

    def retry(self, found: Delivery, *, now: datetime) -> Delivery:
        """Have a dead one tried again from the beginning; raises Conflict."""
        if found.state is not DeliveryState.DEAD:
            raise Conflict(f"delivery {found.id} is {found.state}: only a dead one is tried again")
        again = replace(found, state=DeliveryState.PENDING, attempts=0, next_attempt_at=now)
        self.connection.execute(
            update(tables.outbox)
            .where(tables.outbox.c.id == found.id)
            .values(state=again.state.value, attempts=0, next_attempt_at=now, claimed_until=None)
        )
        return again

    def get(self, delivery_id: int) -> Delivery:
        """One delivery; raises NotFound."""
        query = select(tables.outbox).where(tables.outbox.c.id == delivery_id)
        row = self.connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("delivery", str(delivery_id))
        return mapping.delivery_from_row(row)

    def list(
        self,
        environment: str,
        *,
        limit: int,
        before: int | None = None,
        channel: str | None = None,
        state: DeliveryState | None = None,
    ) -> Sequence[Delivery]:
        """Newest first; with `before`, those with a smaller id."""
        table = tables.outbox
        query = select(table).where(table.c.environment == environment).order_by(table.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(table.c.id < before)
        if channel is not None:
            query = query.where(table.c.channel == channel)
        if state is not None:
            query = query.where(table.c.state == state.value)
        return [mapping.delivery_from_row(row) for row in self.connection.execute(query).mappings()]

    def give_up(self, channel: str, *, why: str) -> None:
        """Nothing more goes to this channel."""
        table = tables.outbox
        is_waiting = table.c.channel == channel, table.c.state == DeliveryState.PENDING.value
        self.connection.execute(
            update(table).where(*is_waiting).values(state=DeliveryState.DEAD.value, error=why, claimed_until=None)
        )

    def forget(self, *, before: datetime) -> None:
        """Drop what was delivered before that time."""
        table = tables.outbox
        delivered = table.c.state == DeliveryState.DELIVERED.value
        self.connection.execute(delete(table).where(delivered, table.c.delivered_at < before))

    def backlog(self) -> Backlog:
        """How much is waiting."""
        table = tables.outbox
        counted = select(table.c.state, func.count(), func.min(table.c.created_at)).group_by(table.c.state)
        undelivered = counted.where(table.c.state != DeliveryState.DELIVERED.value)
        by_state = {state: (number, oldest) for state, number, oldest in self.connection.execute(undelivered)}
        pending, oldest = by_state.get(DeliveryState.PENDING.value, (0, None))
        return Backlog(pending=pending, dead=by_state.get(DeliveryState.DEAD.value, (0, None))[0], oldest=oldest)


def _new_row(message: Message, channel: str) -> mapping.Columns:
    return {
        **mapping.message_to_columns(message),
        "message_id": f"msg_{uuid4().hex}",
        "channel": channel,
        "state": DeliveryState.PENDING.value,
        "attempts": 0,
        "created_at": message.at,
        "next_attempt_at": message.at,
        "error": "",
    }
