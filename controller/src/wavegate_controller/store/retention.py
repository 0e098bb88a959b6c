"""Removes what was kept for long enough and is needed by nobody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, exists, func, or_, select

from wavegate_controller.domain.record import RECONCILER
from wavegate_controller.domain.rollout import ENDED
from wavegate_controller.domain.transitions import Event
from wavegate_controller.store import tables


@dataclass(frozen=True, slots=True)
class SqlRetention:
    """Fulfils `ports.RetentionRepository`."""

    connection: Connection

    def rollouts(self, *, before: datetime) -> Sequence[str]:
        """Those that are old enough to have something that is."""
        table = tables.rollout
        return list(self.connection.scalars(select(table.c.id).where(table.c.created_at < before).order_by(table.c.id)))

    def prune(self, rollout_id: str, *, before: datetime, limit: int) -> int:
        """Remove holds, then evidence; how many rows."""
        removed = self._remove(tables.decision, self._holds(rollout_id, before).limit(limit))
        return removed or self._remove(tables.measurement, self._evidence(rollout_id, before).limit(limit))

    def _remove(self, table: Table, ids: Select[Any]) -> int:
        found = self.connection.scalars(ids).all()
        if found:
            self.connection.execute(delete(table).where(table.c.id.in_(found)))
        return len(found)

    def _holds(self, rollout_id: str, before: datetime) -> Select[Any]:
        """But for a rollout's last decision, which says how it stands."""
        table = tables.decision
        newest = select(func.max(table.c.id)).where(table.c.rollout_id == rollout_id).scalar_subquery()
        return select(table.c.id).where(
            table.c.rollout_id == rollout_id,
            table.c.event == Event.TICK.value,
            table.c.at < before,
            table.c.id < newest,
        )

    def _evidence(self, rollout_id: str, before: datetime) -> Select[Any]:
        """Of a rollout that ended, as far as no decision is explained by it that is still there."""
        table = tables.measurement
        has_ended = exists().where(
            tables.rollout.c.id == rollout_id, tables.rollout.c.state.in_(sorted(state.value for state in ENDED))
        )
        return select(table.c.id).where(
            table.c.rollout_id == rollout_id, table.c.at < before, has_ended, ~self._explains_something()
        )

    def _explains_something(self) -> ColumnElement[bool]:
        measured, decision = tables.measurement.c, tables.decision.c
        return exists().where(
            decision.rollout_id == measured.rollout_id,
            decision.actor == RECONCILER,
            decision.at >= measured.at,
            or_(measured.at > decision.wave_since, measured.at > decision.evidence_since),
        )
