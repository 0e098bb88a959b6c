"""Claims: which reconciler looks at which rollout, so that two never act on one.

A claim stands in the rollout's row, with a term that rises with each claim. It holds for as long as its holder is
there, which a lease says that all claims of a process share; of a holder that died or hangs, the others take it over.
What a look gave is written in a transaction that first settles the claim: with a term that has passed, nothing is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, exists, or_, select, update

from wavegate_controller.domain.claim import Claim, next_look
from wavegate_controller.domain.errors import NotFound, StaleVersion
from wavegate_controller.store import mapping, tables
from wavegate_controller.store.leases import SqlLeases, now_in_database

#: Name of the lease that says of a holder that it is there.
_PRESENCE: Final = "reconciler "


@dataclass(frozen=True, slots=True)
class SqlClaims:
    """Fulfils `ports.ClaimRepository`."""

    connection: Connection
    holder: str
    ttl: timedelta

    def due(self, *, now: datetime, limit: int) -> Sequence[Claim]:
        """Claim what is due and nobody looks at, oldest first.

        PostgreSQL locks the rows and lets others pass over them; SQLite, which knows no such clause and leaves it out,
        lets no other transaction begin.
        """
        table = tables.rollout
        query = (
            select(table)
            .where(table.c.next_look_at.is_not(None), or_(self._is_due(now), self._is_abandoned()))
            .order_by(table.c.next_look_at, table.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return self._claim(self.connection.execute(query).mappings().all(), now=now)

    def take(self, rollout_id: str, *, now: datetime) -> Claim:
        """Claim one, due or not, from whoever has it; raises NotFound."""
        query = select(tables.rollout).where(tables.rollout.c.id == rollout_id).with_for_update()
        rows = self.connection.execute(query).mappings().all()
        if not rows:
            raise NotFound("rollout", rollout_id)
        (claim,) = self._claim(rows, now=now)
        return claim

    def settle(self, claim: Claim) -> bool:
        """Give it back, to write what the look gave in the same transaction; False when the rollout moved meanwhile.

        Until this transaction ends, nobody else changes the rollout. Raises StaleVersion when somebody else claimed
        it since.
        """
        table = tables.rollout
        mine = table.c.id == claim.rollout.id, table.c.claim_term == claim.term
        statement = update(table).where(*mine).values(claimed_by=None).returning(table.c.version)
        version = self.connection.execute(statement).scalar_one_or_none()
        if version is None:
            raise StaleVersion("claim of rollout", claim.rollout.id)
        return bool(version == claim.rollout.version)

    def stay(self) -> None:
        """Say that this process is still there and keeps what it claimed."""
        self._leases.take(self._presence, ttl=self.ttl)

    def leave(self) -> None:
        """Let others have at once what this process claimed."""
        self._leases.give_up(self._presence)
        self._leases.forget_ended(_PRESENCE)

    def look_again(self, *, now: datetime) -> None:
        """Make everything due that waits for a later time: the clock was put back, or nobody knows what it did."""
        table = tables.rollout
        self.connection.execute(update(table).where(table.c.next_look_at > now).values(next_look_at=now))

    def _is_due(self, now: datetime) -> ColumnElement[bool]:
        """One's own claim of an earlier look, which came to nothing, stands in nobody's way."""
        table = tables.rollout
        is_free = table.c.claimed_by.is_(None) | (table.c.claimed_by == self.holder)
        return (table.c.next_look_at <= now) & is_free

    def _is_abandoned(self) -> ColumnElement[bool]:
        """Claimed by somebody who is no longer there: whatever its next look, the last one came to nothing."""
        table, lease = tables.rollout, tables.lease
        is_there = exists().where(
            lease.c.holder == table.c.claimed_by,
            lease.c.name.startswith(_PRESENCE),
            lease.c.expires_at > now_in_database(self.connection),
        )
        return table.c.claimed_by.is_not(None) & (table.c.claimed_by != self.holder) & ~is_there

    def _claim(self, rows: Sequence[Any], *, now: datetime) -> list[Claim]:
        if not rows:
            return []
        self.stay()
        claims = []
        for row in rows:
            rollout = mapping.rollout_from_row(row)
            if rollout.next_look_at is not None:
                following = next_look(rollout.next_look_at, rollout.plan.interval, now=now)
                missed = rollout.missed(now)
                rollout = replace(rollout, next_look_at=following, unwatched=rollout.unwatched + missed)
            claims.append(Claim(rollout=rollout, term=row["claim_term"] + 1, due=row["next_look_at"] or now))
        # Not the version: a look alone is no change that an operator's request should stumble over.
        self.connection.execute(
            update(tables.rollout)
            .where(tables.rollout.c.id == bindparam("claimed"))
            .values(
                claimed_by=self.holder,
                claim_term=bindparam("new_term"),
                next_look_at=bindparam("following"),
                unwatched=bindparam("unwatched_until_now"),
            ),
            [
                {
                    "claimed": each.rollout.id,
                    "new_term": each.term,
                    "following": each.rollout.next_look_at,
                    "unwatched_until_now": each.rollout.unwatched.total_seconds(),
                }
                for each in claims
            ],
        )
        return claims

    @property
    def _leases(self) -> SqlLeases:
        return SqlLeases(self.connection, self.holder)

    @property
    def _presence(self) -> str:
        return _PRESENCE + self.holder
