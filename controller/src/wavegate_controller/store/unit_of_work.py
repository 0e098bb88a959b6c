"""The repositories on SQL, and the transaction that binds them."""

import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, Engine, Select, bindparam, func, insert, select, tuple_, update

from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.environment import Environment
from wavegate_controller.domain.errors import Conflict, NotFound, StaleVersion
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.measurement import Cursor, Measurement
from wavegate_controller.domain.outline import Outline
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.record import DecisionRecord, Hold
from wavegate_controller.domain.rollout import Rollout, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.ports import EVENTS
from wavegate_controller.store import mapping, tables
from wavegate_controller.store.alerts import SqlAlerts
from wavegate_controller.store.applied import SqlApplied
from wavegate_controller.store.audit import SqlAudit
from wavegate_controller.store.catalog import SqlCalendars, SqlSegments, SqlTemplates
from wavegate_controller.store.claims import SqlClaims
from wavegate_controller.store.drills import SqlDrills
from wavegate_controller.store.feedback import SqlFeedback
from wavegate_controller.store.leases import SqlLeases
from wavegate_controller.store.notices import POLL_SECONDS, Notice, Notices
from wavegate_controller.store.outbox import SqlChannels, SqlOutbox
from wavegate_controller.store.passports import SqlPassports
from wavegate_controller.store.people import SqlCredentials, SqlDeviceLogins, SqlFailures, SqlUsers
from wavegate_controller.store.receipts import SqlReceipts
from wavegate_controller.store.retention import SqlRetention
from wavegate_controller.store.sealing import Vault, vault_of
from wavegate_controller.store.words import SqlWords
from wavegate_controller.store.writing import insert_row, replace_row

#: Long enough for a process that is merely slow.
CLAIM_TTL: Final = timedelta(seconds=3)

#: Values in one statement: databases take so many, and no more than some thousands.
_MOST_IDS: Final = 500

# Two rollouts of a flag may be created at the same moment; then the running number at the end of the id decides, and
# of two numbers the longer text is the higher one.
_NEWEST_FIRST = (
    tables.rollout.c.created_at.desc(),
    func.length(tables.rollout.c.id).desc(),
    tables.rollout.c.id.desc(),
)

_log: Final = logging.getLogger("wavegate")


@dataclass(frozen=True, slots=True)
class SqlEnvironments:
    """The environments, in table `environment`."""

    connection: Connection

    def get(self, name: str) -> Environment:
        """One environment; raises NotFound."""
        query = select(tables.environment).where(tables.environment.c.name == name)
        row = self.connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound("environment", name)
        return mapping.environment_from_row(row)

    def list(self) -> Sequence[Environment]:
        """All of them, by name."""
        query = select(tables.environment).order_by(tables.environment.c.name)
        return [mapping.environment_from_row(row) for row in self.connection.execute(query).mappings()]

    def add(self, environment: Environment) -> None:
        """A new one; raises Conflict when the name is taken."""
        refusal = Conflict(f"environment {environment.name!r} exists already")
        insert_row(self.connection, tables.environment, mapping.environment_to_row(environment), taken=refusal)

    def save(self, environment: Environment) -> None:
        """In the place of the one of its name."""
        table = tables.environment
        row = mapping.environment_to_row(environment)
        self.connection.execute(table.update().where(table.c.name == environment.name).values(row))


def _newest_rollouts(environment: str) -> Select[Any]:
    """The newest rollout of each flag: its id, its flag, its state."""
    table = tables.rollout
    newness = func.row_number().over(partition_by=table.c.flag_key, order_by=_NEWEST_FIRST)
    ranked = (
        select(table.c.id, table.c.flag_key, table.c.state, newness.label("newness"))
        .where(table.c.environment == environment)
        .subquery()
    )
    return select(ranked.c.id, ranked.c.flag_key, ranked.c.state).where(ranked.c.newness == 1)


@dataclass(frozen=True, slots=True)
class SqlFlags:
    """The flags, in table `flag`."""

    connection: Connection

    def get(self, environment: str, key: str) -> Flag:
        """One flag; raises NotFound."""
        table = tables.flag
        query = select(table).where(table.c.environment == environment, table.c.key == key)
        row = self.connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound("flag", key)
        return mapping.flag_from_row(row)

    def list(
        self,
        environment: str,
        *,
        after: str | None = None,
        limit: int | None = None,
        archived: bool = False,
        keys: Sequence[str] | None = None,
    ) -> Sequence[Flag]:
        """Those of an environment that are archived or those that are not, by key; with `after`, those behind it.

        With `keys`, only those of them.
        """
        table = tables.flag
        query = select(table).where(table.c.environment == environment).order_by(table.c.key).limit(limit)
        query = query.where(table.c.archived_at.is_not(None) if archived else table.c.archived_at.is_(None))
        if after is not None:
            query = query.where(table.c.key > after)
        if keys is not None:
            query = query.where(table.c.key.in_(keys))
        return [mapping.flag_from_row(row) for row in self.connection.execute(query).mappings()]

    def outlines(self, environment: str) -> Sequence[Outline]:
        """Those of an environment that are not archived, by key, each with where it stands."""
        flag, decision = tables.flag, tables.decision
        newest = _newest_rollouts(environment).subquery()
        latest = select(decision.c.reason).where(decision.c.rollout_id == newest.c.id).order_by(decision.c.id.desc())
        query = (
            select(
                flag.c.key,
                flag.c.description,
                flag.c.enabled,
                newest.c.state,
                latest.limit(1).scalar_subquery().label("reason"),
            )
            .select_from(flag.outerjoin(newest, newest.c.flag_key == flag.c.key))
            .where(flag.c.environment == environment, flag.c.archived_at.is_(None))
            .order_by(flag.c.key)
        )
        return [
            Outline(
                key=key,
                description=description,
                enabled=enabled,
                state=None if state is None else State(state),
                reason=None if reason is None else DecisionReason(reason),
            )
            for key, description, enabled, state, reason in self.connection.execute(query)
        ]

    def stopped(self, environment: str) -> frozenset[str]:
        """The keys of those that are disabled."""
        table = tables.flag
        query = select(table.c.key).where(table.c.environment == environment, table.c.enabled.is_(False))
        return frozenset(self.connection.execute(query).scalars())

    def dependent(self, environment: str) -> Mapping[str, Sequence[str]]:
        """Keys of those with prerequisites, archived ones aside, to the keys of the flags that they need."""
        table = tables.flag
        having = table.c.prerequisites.is_not(None), table.c.archived_at.is_(None)
        query = select(table.c.key, table.c.prerequisites).where(table.c.environment == environment, *having)
        rows = self.connection.execute(query).mappings()
        return {row["key"]: [each["flag"] for each in row["prerequisites"]] for row in rows}

    def lock(self, environment: str, key: str) -> int:
        """The version of one, which nobody else changes before the transaction ends; raises NotFound."""
        table = tables.flag
        query = select(table.c.version).where(table.c.environment == environment, table.c.key == key)
        version = self.connection.execute(query.with_for_update()).scalar_one_or_none()
        if version is None:
            raise NotFound("flag", key)
        return int(version)

    def add(self, flag: Flag) -> None:
        """A new one; raises Conflict when the key is taken."""
        refusal = Conflict(f"flag {flag.key!r} exists already in environment {flag.environment!r}")
        insert_row(self.connection, tables.flag, mapping.flag_to_row(flag), taken=refusal)

    def save(self, flag: Flag) -> None:
        """Replace version `flag.version - 1`; raises StaleVersion when that is not what is stored."""
        replace_row(self.connection, tables.flag, mapping.flag_to_row(flag), stale=StaleVersion("flag", flag.key))


@dataclass(frozen=True, slots=True)
class SqlRollouts:
    """The rollouts, in table `rollout`."""

    connection: Connection

    def get(self, rollout_id: str) -> Rollout:
        """One rollout; raises NotFound."""
        query = select(tables.rollout).where(tables.rollout.c.id == rollout_id)
        row = self.connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound("rollout", rollout_id)
        return mapping.rollout_from_row(row)

    def list(
        self,
        environment: str,
        *,
        flag_key: str | None = None,
        states: frozenset[State] | None = None,
        behind: tuple[datetime, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[Rollout]:
        """Newest first; with `behind`, those that come behind the one that was created then and has this id."""
        table = tables.rollout
        query = select(table).where(table.c.environment == environment).order_by(*_NEWEST_FIRST).limit(limit)
        if behind is not None:
            key = tuple_(table.c.created_at, func.length(table.c.id), table.c.id)
            created_at = bindparam("behind_at", behind[0], type_=table.c.created_at.type)
            query = query.where(key < tuple_(created_at, len(behind[1]), behind[1]))
        if flag_key is not None:
            query = query.where(table.c.flag_key == flag_key)
        if states is not None:
            query = query.where(table.c.state.in_(sorted(state.value for state in states)))
        return [mapping.rollout_from_row(row) for row in self.connection.execute(query).mappings()]

    def next_number(self, flag_key: str) -> int:
        """The one after the highest number in the ids of the flag's rollouts, over all environments."""
        query = select(func.count()).where(tables.rollout.c.flag_key == flag_key)
        return self.connection.execute(query).scalar_one() + 1

    def serving(self, environment: str) -> Mapping[str, Rollout]:
        """Flag key to the newest rollout of the flag that was ever started."""
        table = tables.rollout
        started = table.c.environment == environment, table.c.started_at.is_not(None)
        newness = func.row_number().over(partition_by=table.c.flag_key, order_by=_NEWEST_FIRST)
        ranked = select(table.c.id, newness.label("newness")).where(*started).subquery()
        newest = select(ranked.c.id).where(ranked.c.newness == 1)
        query = select(table).where(table.c.id.in_(newest)).order_by(table.c.flag_key)
        rows = self.connection.execute(query).mappings()
        return {row["flag_key"]: mapping.rollout_from_row(row) for row in rows}

    def newest(self, environment: str, *, flag_keys: Sequence[str] | None = None) -> Mapping[str, Rollout]:
        """Flag key to the newest rollout of the flag; of these flags only where some are named."""
        table, newest = tables.rollout, _newest_rollouts(environment).subquery()
        query = select(table).where(table.c.id.in_(select(newest.c.id)))
        if flag_keys is not None:
            query = query.where(table.c.flag_key.in_(flag_keys))
        rows = self.connection.execute(query).mappings()
        return {row["flag_key"]: mapping.rollout_from_row(row) for row in rows}

    def lock(self, rollout_id: str) -> int:
        """The version of one, which nobody else changes before the transaction ends; raises NotFound."""
        query = select(tables.rollout.c.version).where(tables.rollout.c.id == rollout_id)
        version = self.connection.execute(query.with_for_update()).scalar_one_or_none()
        if version is None:
            raise NotFound("rollout", rollout_id)
        return int(version)

    def add(self, rollout: Rollout) -> None:
        """A new one; raises Conflict when the id is taken."""
        refusal = Conflict(f"rollout {rollout.id!r} exists already")
        insert_row(self.connection, tables.rollout, mapping.rollout_to_row(rollout), taken=refusal)

    def save(self, rollout: Rollout) -> None:
        """Replace version `rollout.version - 1`; raises StaleVersion when that is not what is stored."""
        refusal = StaleVersion("rollout", rollout.id)
        replace_row(self.connection, tables.rollout, mapping.rollout_to_row(rollout), stale=refusal)


@dataclass(frozen=True, slots=True)
class SqlEvidence:
    """The measurements and the counters' cursors, in tables `measurement` and `counter_cursor`."""

    connection: Connection

    def add(self, rollout_id: str, measurements: Sequence[Measurement]) -> None:
        """Append. Their queries are not kept: the record of the decision has them."""
        if measurements:
            rows = [mapping.measurement_to_row(rollout_id, each) for each in measurements]
            self.connection.execute(insert(tables.measurement), rows)

    def since(
        self, rollout_id: str, since: datetime, *, until: datetime | None = None, gates: Sequence[str] | None = None
    ) -> Sequence[Measurement]:
        """Measurements after that time, oldest first, without their queries; of all gates unless some are named."""
        table = tables.measurement
        query = _measured(rollout_id, since, until).order_by(table.c.at, table.c.id)
        if gates is not None:
            query = query.where(table.c.gate.in_(gates))
        return [mapping.measurement_from_row(row) for row in self.connection.execute(query).mappings()]

    def counts(self, rollout_id: str, since: datetime, *, until: datetime | None = None) -> Sequence[Measurement]:
        """As above, in the order in which they were kept, only what was counted for gates that compare."""
        table = tables.measurement
        query = _measured(rollout_id, since, until).where(table.c.kind == mapping.COUNTS).order_by(table.c.id)
        return [mapping.measurement_from_row(row) for row in self.connection.execute(query).mappings()]

    def cursors(self, rollout_ids: Sequence[str]) -> Mapping[str, Cursor]:
        """Up to where the counters of these rollouts have been counted; those never read are left out."""
        table = tables.counter_cursor
        query = select(table).where(table.c.rollout_id.in_(rollout_ids))
        rows = self.connection.execute(query).mappings()
        return {row["rollout_id"]: mapping.cursor_from_row(row) for row in rows}

    def save_cursor(self, rollout_id: str, cursor: Cursor, *, before: Cursor | None) -> None:
        """Replace the one that was read `before`; raises StaleVersion when that is not what is stored."""
        table = tables.counter_cursor
        row, stale = mapping.cursor_to_row(rollout_id, cursor), StaleVersion("cursor of rollout", rollout_id)
        if before is None:
            insert_row(self.connection, table, row, taken=stale)
            return
        is_before = table.c.rollout_id == rollout_id, table.c.read_at == before.read_at
        if not self.connection.execute(update(table).where(*is_before).values(row)).rowcount:
            raise stale


@dataclass(frozen=True, slots=True)
class SqlDecisions:
    """What happened to the rollouts, in table `decision`."""

    connection: Connection

    def get(self, decision_id: int) -> DecisionRecord:
        """One decision; raises NotFound."""
        query = select(tables.decision).where(tables.decision.c.id == decision_id)
        row = self.connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound("decision", str(decision_id))
        return mapping.decision_from_row(row)

    def add(self, record: DecisionRecord) -> DecisionRecord:
        """Append; the stored one has its id."""
        statement = insert(tables.decision).values(mapping.decision_to_row(record)).returning(tables.decision.c.id)
        return replace(record, id=self.connection.execute(statement).scalar_one())

    def list(
        self, rollout_id: str, *, limit: int, before: int | None = None, moves_only: bool = False
    ) -> Sequence[DecisionRecord]:
        """Newest first; with `before`, those with a smaller id; with `moves_only`, without the holds (`tick`)."""
        table = tables.decision
        query = select(table).where(table.c.rollout_id == rollout_id).order_by(table.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(table.c.id < before)
        if moves_only:
            query = query.where(table.c.event != Event.TICK.value)
        return [mapping.decision_from_row(row) for row in self.connection.execute(query).mappings()]

    def newest(self, rollout_ids: Sequence[str], *, moves_only: bool = False) -> Mapping[str, DecisionRecord]:
        """The newest of each rollout, of those that have one; with `moves_only`, no hold and no note of a dry run."""
        table, each = tables.decision, tables.decision.alias()
        mine = select(each.c.id).where(each.c.rollout_id == tables.rollout.c.id).order_by(each.c.id.desc()).limit(1)
        if moves_only:
            mine = mine.where(each.c.event.not_in((Event.TICK.value, Event.DRY_RUN.value)))
        found: dict[str, DecisionRecord] = {}
        for start in range(0, len(rollout_ids), _MOST_IDS):
            ids = rollout_ids[start : start + _MOST_IDS]
            newest = select(mine.scalar_subquery()).where(tables.rollout.c.id.in_(ids))
            for row in self.connection.execute(select(table).where(table.c.id.in_(newest))).mappings():
                found[row["rollout_id"]] = mapping.decision_from_row(row)
        return found

    def holds(
        self, rollout_id: str, reasons: Sequence[DecisionReason], *, since: datetime, until: datetime
    ) -> Sequence[Hold]:
        """Those for one of these reasons, oldest first, from the first moment to the last."""
        table = tables.decision
        query = (
            select(table.c.at, table.c.reason, table.c.sentence)
            .where(
                table.c.rollout_id == rollout_id,
                table.c.event == Event.TICK.value,
                table.c.reason.in_([each.value for each in reasons]),
                table.c.at.between(since, until),
            )
            .order_by(table.c.id)
        )
        return [
            Hold(at=at, reason=DecisionReason(reason), sentence=sentence)
            for at, reason, sentence in self.connection.execute(query)
        ]


@dataclass(frozen=True, slots=True)
class SqlRulesets:
    """Every published revision, in table `ruleset`."""

    connection: Connection

    def latest(self, environment: str) -> PublishedRuleset | None:
        """The one in force."""
        table = tables.ruleset
        query = select(table).where(table.c.environment == environment).order_by(table.c.revision.desc()).limit(1)
        row = self.connection.execute(query).mappings().one_or_none()
        return None if row is None else mapping.ruleset_from_row(row)

    def take_turn(self, environment: str) -> None:
        """Wait until no other transaction is about to add one; on SQLite there is no other transaction at all."""
        if self.connection.dialect.name == "postgresql":
            key = func.hashtextextended(f"ruleset of {environment}", 0)
            self.connection.execute(select(func.pg_advisory_xact_lock(key)))

    def add(self, ruleset: PublishedRuleset) -> None:
        """The next revision; raises StaleVersion when that number is taken."""
        refusal = StaleVersion("ruleset", f"{ruleset.environment} revision {ruleset.revision}")
        insert_row(self.connection, tables.ruleset, mapping.ruleset_to_row(ruleset), taken=refusal)


class SqlUnitOfWork:
    """The repositories of one transaction."""

    def __init__(
        self, connection: Connection, notices: Notices, vault: Vault, *, holder: str, claim_ttl: timedelta
    ) -> None:
        self._connection = connection
        self._notices = notices
        self.noticed: list[Notice] = []
        self.audit = SqlAudit(connection)
        self.environments = SqlEnvironments(connection)
        self.users = SqlUsers(connection)
        self.failures = SqlFailures(connection)
        self.device_logins = SqlDeviceLogins(connection)
        self.credentials = SqlCredentials(connection)
        self.flags = SqlFlags(connection)
        self.passports = SqlPassports(connection)
        self.feedback = SqlFeedback(connection)
        self.drills = SqlDrills(connection)
        self.rollouts = SqlRollouts(connection)
        self.evidence = SqlEvidence(connection)
        self.decisions = SqlDecisions(connection)
        self.claims = SqlClaims(connection, holder, claim_ttl)
        self.leases = SqlLeases(connection, holder)
        self.retention = SqlRetention(connection)
        self.rulesets = SqlRulesets(connection)
        self.receipts = SqlReceipts(connection)
        self.channels = SqlChannels(connection, vault)
        self.outbox = SqlOutbox(connection, self.channels)
        self.segments = SqlSegments(connection)
        self.templates = SqlTemplates(connection)
        self.calendars = SqlCalendars(connection)
        self.alerts = SqlAlerts(connection)
        self.applied = SqlApplied(connection)
        self.words = SqlWords(connection)

    @contextmanager
    def attempt(self) -> Iterator[object]:
        """A part of the transaction: when the block raises, only what it did is undone, and the rest may go on."""
        noticed = len(self.noticed)
        try:
            with self.audit.undone_with(self._connection.begin_nested()):
                yield None
        except BaseException:
            del self.noticed[noticed:]
            raise

    def notify(self, topic: str, value: str) -> None:
        """Tell those who listen, in all processes, once this has been committed."""
        self._notices.send(self._connection, topic, value)
        self.noticed.append((topic, value))


class SqlStore:
    """Everything, in one database. Any thread may ask for a transaction; each has a connection of its own.

    Args:
        engine: see `open_engine`.
        poll_seconds: most time between two looks of those who listen to notices.
        claim_ttl: how long after its last sign of life others take over what this process claimed.
        encryption_keys: secrets are sealed with the first of them; by default with that beside the database.

    Raises:
        Invalid: a key is none.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        poll_seconds: float = POLL_SECONDS,
        claim_ttl: timedelta = CLAIM_TTL,
        encryption_keys: Sequence[str] = (),
    ) -> None:
        self._engine = engine
        self.vault = vault_of(engine, encryption_keys)
        # Nobody's twice: a process that starts anew is another holder, whatever its number or name.
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex}"
        self._claim_ttl = claim_ttl
        self.notices = Notices(engine, poll_seconds=poll_seconds)

    def seal(self) -> None:
        """Leave no secret in the clear, and none under a key that is to go; say what cannot be read or sealed."""
        with self.transaction() as work:
            sealed = work.channels.seal_again() if self.vault.has_key else 0
            channels = work.channels.list()
        if sealed:
            _log.info("action=secrets_sealed channels=%d", sealed)
        for channel in channels:
            if channel.unreadable:
                _log.warning("action=channel_unreadable channel=%s: %s", channel.name, channel.unreadable)
        if channels and not self.vault.has_key:
            _log.warning("action=secrets_in_clear set encryption_keys to a key made by `wavegate db new-key`")

    @contextmanager
    def transaction(self) -> Iterator[SqlUnitOfWork]:
        """All or nothing: commits when the block ends, rolls back when it raises.

        On SQLite transactions wait for each other, readers too: keep the block free of anything slow.
        """
        with self._engine.begin() as connection:
            work = SqlUnitOfWork(connection, self.notices, self.vault, holder=self._holder, claim_ttl=self._claim_ttl)
            yield work
            if work.audit.has_notes:
                work.audit.write()
                work.notify(EVENTS, "new")
        self.notices.committed(work.noticed)


def _measured(rollout_id: str, since: datetime, until: datetime | None) -> Select[Any]:
    table = tables.measurement
    query = select(table).where(table.c.rollout_id == rollout_id, table.c.at > since)
    return query if until is None else query.where(table.c.at <= until)
