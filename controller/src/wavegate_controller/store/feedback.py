"""What people said, in table `feedback`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from wavegate_controller.domain.answers import FeedbackAnswer, Source
from wavegate_controller.ports import FeedbackFilter
from wavegate_controller.store import tables
from wavegate_controller.store.mapping import Columns


@dataclass(frozen=True, slots=True)
class SqlFeedback:
    """Fulfils `ports.FeedbackRepository`."""

    connection: Connection

    def find(self, environment: str, key: str) -> FeedbackAnswer | None:
        """The one of this key."""
        table = tables.feedback
        return self._one(table.c.environment == environment, table.c.key == key)

    def get(self, environment: str, number: int) -> FeedbackAnswer | None:
        """The one of this id."""
        table = tables.feedback
        return self._one(table.c.environment == environment, table.c.id == number)

    def list(
        self, environment: str, flag_key: str, wanted: FeedbackFilter, *, limit: int, before: int | None = None
    ) -> Sequence[FeedbackAnswer]:
        """Newest first; with `before`, those with a smaller id."""
        table = tables.feedback
        query = select(table).where(*_is(environment, flag_key, wanted)).order_by(table.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(table.c.id < before)
        return [_from_row(row) for row in self.connection.execute(query).mappings()]

    def count(self, environment: str, flag_key: str, wanted: FeedbackFilter) -> int:
        """How many there are."""
        query = select(func.count()).select_from(tables.feedback).where(*_is(environment, flag_key, wanted))
        return int(self.connection.execute(query).scalar_one())

    def add(self, answer: FeedbackAnswer) -> bool:
        """A new one; False where its key is taken."""
        try:
            with self.connection.begin_nested():
                self.connection.execute(insert(tables.feedback).values(_to_row(answer)))
        except IntegrityError:
            return False
        return True

    def save(self, answer: FeedbackAnswer) -> None:
        """In the place of the one of its id."""
        table = tables.feedback
        self.connection.execute(update(table).where(table.c.id == answer.id).values(_to_row(answer)))

    def prune(self, *, before: datetime, limit: int) -> int:
        """Remove so many at most that are older; how many."""
        table = tables.feedback
        found = self.connection.scalars(select(table.c.id).where(table.c.at < before).limit(limit)).all()
        if found:
            self.connection.execute(delete(table).where(table.c.id.in_(found)))
        return len(found)

    def _one(self, *conditions: Any) -> FeedbackAnswer | None:
        row = self.connection.execute(select(tables.feedback).where(*conditions)).mappings().one_or_none()
        return None if row is None else _from_row(row)


def _is(environment: str, flag_key: str, wanted: FeedbackFilter) -> list[Any]:
    columns = tables.feedback.c
    conditions: list[Any] = [columns.environment == environment, columns.flag_key == flag_key]
    for column, value in (
        (columns.rollout_id, wanted.rollout_id),
        (columns.wave, wanted.wave),
        (columns.variant, wanted.variant),
        (columns.thumbs_up, wanted.thumbs_up),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.with_comment:
        conditions.append(columns.comment != "")
    if wanted.since is not None:
        conditions.append(columns.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(columns.at <= wanted.until)
    return conditions


def _to_row(answer: FeedbackAnswer) -> Columns:
    row: Columns = {
        "environment": answer.environment,
        "key": answer.key,
        "flag_key": answer.flag_key,
        "variant": answer.variant,
        "thumbs_up": answer.thumbs_up,
        "comment": answer.comment,
        "source": answer.source.value,
        "at": answer.at,
        "rollout_id": answer.rollout_id,
        "wave": answer.wave,
        "is_erased": answer.is_erased,
    }
    return row | {"id": answer.id} if answer.id else row


def _from_row(row: RowMapping) -> FeedbackAnswer:
    return FeedbackAnswer(
        id=row["id"],
        environment=row["environment"],
        key=row["key"],
        flag_key=row["flag_key"],
        variant=row["variant"],
        thumbs_up=row["thumbs_up"],
        comment=row["comment"],
        source=Source(row["source"]),
        at=row["at"],
        rollout_id=row["rollout_id"],
        wave=row["wave"],
        is_erased=row["is_erased"],
    )
