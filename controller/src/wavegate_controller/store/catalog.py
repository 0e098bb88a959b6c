"""Segments, templates and calendars on SQL."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from wavegate_controller.domain.catalog import Calendar, Segment, Template
from wavegate_controller.domain.errors import Conflict, NotFound, StaleVersion
from wavegate_controller.store import mapping, tables
from wavegate_controller.store.writing import insert_row, replace_row


@dataclass(frozen=True, slots=True)
class SqlSegments:
    """The segments, in table `segment`."""

    connection: Connection

    def get(self, environment: str, key: str) -> Segment:
        """One segment; raises NotFound."""
        table = tables.segment
        query = select(table).where(table.c.environment == environment, table.c.key == key)
        row = self.connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound("segment", key)
        return mapping.segment_from_row(row)

    def list(self, environment: str) -> Sequence[Segment]:
        """All of an environment, by key."""
        table = tables.segment
        query = select(table).where(table.c.environment == environment).order_by(table.c.key)
        return [mapping.segment_from_row(row) for row in self.connection.execute(query).mappings()]

    def add(self, segment: Segment) -> None:
        """A new one; raises Conflict when the key is taken."""
        refusal = Conflict(f"segment {segment.key!r} exists already in environment {segment.environment!r}")
        insert_row(self.connection, tables.segment, mapping.segment_to_row(segment), taken=refusal)

    def save(self, segment: Segment) -> None:
        """Replace version `segment.version - 1`; raises StaleVersion when that is not what is stored."""
        stale = StaleVersion("segment", segment.key)
        replace_row(self.connection, tables.segment, mapping.segment_to_row(segment), stale=stale)

    def remove(self, segment: Segment) -> None:
        """Take this version away; raises StaleVersion when it is not what is stored."""
        table = tables.segment
        is_it = (
            table.c.environment == segment.environment,
            table.c.key == segment.key,
            table.c.version == segment.version,
        )
        if not self.connection.execute(delete(table).where(*is_it)).rowcount:
            raise StaleVersion("segment", segment.key)


@dataclass(frozen=True, slots=True)
class SqlTemplates:
    """The templates of plans, in table `plan_template`: each version a row that never changes."""

    connection: Connection

    def get(self, environment: str, name: str, version: int | None = None) -> Template:
        """One version, or the newest; raises NotFound."""
        table = tables.plan_template
        query = select(table).where(table.c.environment == environment, table.c.name == name)
        if version is not None:
            query = query.where(table.c.version == version)
        row = self.connection.execute(query.order_by(table.c.version.desc()).limit(1)).mappings().one_or_none()
        if row is None:
            raise NotFound("template", name if version is None else f"{name}@{version}")
        return mapping.template_from_row(row)

    def list(self, environment: str) -> Sequence[Template]:
        """The newest version of each, by name."""
        table = tables.plan_template
        newest = (
            select(table.c.name, func.max(table.c.version).label("version"))
            .where(table.c.environment == environment)
            .group_by(table.c.name)
            .subquery()
        )
        is_newest = (table.c.name == newest.c.name) & (table.c.version == newest.c.version)
        query = select(table).join(newest, is_newest).where(table.c.environment == environment).order_by(table.c.name)
        return [mapping.template_from_row(row) for row in self.connection.execute(query).mappings()]

    def add(self, template: Template) -> None:
        """The next version; raises StaleVersion when that number is taken."""
        refusal = StaleVersion("template", template.name)
        insert_row(self.connection, tables.plan_template, mapping.template_to_row(template), taken=refusal)


@dataclass(frozen=True, slots=True)
class SqlCalendars:
    """The calendars, in table `calendar`."""

    connection: Connection

    def get(self, environment: str) -> Calendar:
        """The environment's; an empty one where there is none yet."""
        query = select(tables.calendar).where(tables.calendar.c.environment == environment)
        row = self.connection.execute(query).mappings().one_or_none()
        return Calendar(environment=environment) if row is None else mapping.calendar_from_row(row)

    def save(self, calendar: Calendar) -> None:
        """Replace version `calendar.version - 1`; raises StaleVersion when that is not what is stored."""
        row, stale = mapping.calendar_to_row(calendar), StaleVersion("calendar of environment", calendar.environment)
        if calendar.version == 1:
            insert_row(self.connection, tables.calendar, row, taken=stale)
        else:
            replace_row(self.connection, tables.calendar, row, stale=stale)
