"""People, what lets them in, and the secrets of programs, on SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from wavegate_controller.domain.access import Role, Roles
from wavegate_controller.domain.account import DeviceLogin, Link, Session, User
from wavegate_controller.domain.credential import Credential, Kind
from wavegate_controller.domain.errors import Conflict, NotFound, StaleVersion
from wavegate_controller.domain.throttle import Failures
from wavegate_controller.store import tables


@dataclass(frozen=True, slots=True)
class SqlUsers:
    """The accounts, in table `account`, and the sessions and links beside it."""

    connection: Connection

    def get(self, name: str) -> User:
        """One account; raises NotFound."""
        query = select(tables.account).where(tables.account.c.name == name)
        row = self.connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound("user", name)
        return _user(row)

    def by_subject(self, subject: str) -> User | None:
        """Whom the identity provider knows by this."""
        query = select(tables.account).where(tables.account.c.subject == subject)
        row = self.connection.execute(query).mappings().one_or_none()
        return None if row is None else _user(row)

    def list(self) -> Sequence[User]:
        """All of them, by name."""
        query = select(tables.account).order_by(tables.account.c.name)
        return [_user(row) for row in self.connection.execute(query).mappings()]

    def hold(self) -> None:
        """Let nobody else change any account until the transaction ends; on SQLite nobody can."""
        if self.connection.dialect.name == "postgresql":
            self.connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('wavegate accounts'))"))

    def add(self, user: User) -> None:
        """A new one; raises Conflict when the name is taken, in whatever case."""
        self.hold()
        same = select(tables.account.c.name).where(func.lower(tables.account.c.name) == user.name.lower())
        if (taken := self.connection.execute(same).scalar()) is not None:
            raise Conflict(f"there is a user {taken!r} already")
        self.connection.execute(insert(tables.account).values(_user_row(user)))

    def save(self, user: User) -> None:
        """Replace version `user.version - 1`; raises StaleVersion when that is not what is stored."""
        table = tables.account
        is_before = table.c.name == user.name, table.c.version == user.version - 1
        if not self.connection.execute(update(table).where(*is_before).values(_user_row(user))).rowcount:
            raise StaleVersion("user", user.name)

    def session(self, secret_hash: str) -> Session | None:
        """The session of this secret."""
        table = tables.browser_session
        row = self.connection.execute(select(table).where(table.c.secret_hash == secret_hash)).mappings().one_or_none()
        if row is None:
            return None
        return Session(
            secret_hash=row["secret_hash"],
            user=row["account"],
            created_at=row["created_at"],
            expires_at=row["expires_at"],
        )

    def add_session(self, session: Session) -> None:
        """A new one."""
        row = {
            "secret_hash": session.secret_hash,
            "account": session.user,
            "created_at": session.created_at,
            "expires_at": session.expires_at,
        }
        self.connection.execute(insert(tables.browser_session).values(row))

    def end_session(self, secret_hash: str) -> None:
        """It is none any more."""
        table = tables.browser_session
        self.connection.execute(delete(table).where(table.c.secret_hash == secret_hash))

    def end_sessions(self, user: str, *, but: str | None = None) -> None:
        """All of a person's, but perhaps one."""
        table = tables.browser_session
        statement = delete(table).where(table.c.account == user)
        self.connection.execute(statement if but is None else statement.where(table.c.secret_hash != but))

    def set_link(self, link: Link) -> None:
        """The person's one link, in place of an older one."""
        row = {"account": link.user, "secret_hash": link.secret_hash, "expires_at": link.expires_at}
        _put(self.connection, tables.login_link, row)

    def link(self, secret_hash: str) -> Link | None:
        """The link of this secret."""
        table = tables.login_link
        row = self.connection.execute(select(table).where(table.c.secret_hash == secret_hash)).mappings().one_or_none()
        return (
            None
            if row is None
            else Link(secret_hash=row["secret_hash"], user=row["account"], expires_at=row["expires_at"])
        )

    def take_link(self, user: str) -> bool:
        """Use the person's link up; False when there was none."""
        table = tables.login_link
        return bool(self.connection.execute(delete(table).where(table.c.account == user)).rowcount)

    def prune(self, *, now: datetime) -> None:
        """Forget sessions and links that are over."""
        for table in (tables.browser_session, tables.login_link):
            self.connection.execute(delete(table).where(table.c.expires_at <= now))


@dataclass(frozen=True, slots=True)
class SqlFailures:
    """Failed attempts to sign in, in table `login_failure`."""

    connection: Connection

    def get(self, key: str) -> Failures | None:
        """What is remembered."""
        table = tables.login_failure
        row = self.connection.execute(select(table).where(table.c.key == key)).mappings().one_or_none()
        return None if row is None else Failures(key=row["key"], count=row["count"], last_at=row["last_at"])

    def save(self, failures: Failures) -> None:
        """In place of what was remembered."""
        row = {"key": failures.key, "count": failures.count, "last_at": failures.last_at}
        _put(self.connection, tables.login_failure, row)

    def forget(self, key: str) -> None:
        """All is well again."""
        table = tables.login_failure
        self.connection.execute(delete(table).where(table.c.key == key))

    def prune(self, *, before: datetime, most: int) -> None:
        """Forget those that are older, and the oldest of more than so many."""
        table = tables.login_failure
        self.connection.execute(delete(table).where(table.c.last_at < before))
        beyond = select(table.c.key).order_by(table.c.last_at.desc(), table.c.key).offset(most).limit(1000)
        keys = self.connection.execute(beyond).scalars().all()
        if keys:
            self.connection.execute(delete(table).where(table.c.key.in_(keys)))


@dataclass(frozen=True, slots=True)
class SqlCredentials:
    """API tokens and SDK keys, in table `credential`."""

    connection: Connection

    def get(self, kind: Kind, credential_id: str) -> Credential:
        """One of them; raises NotFound."""
        table = tables.credential
        query = select(table).where(table.c.id == credential_id, table.c.kind == kind.value)
        row = self.connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(kind.called, credential_id)
        return _credential(row)

    def by_secret(self, kind: Kind, secret_hash: str) -> Credential | None:
        """The one with this secret, good or not."""
        table = tables.credential
        query = select(table).where(table.c.secret_hash == secret_hash, table.c.kind == kind.value)
        row = self.connection.execute(query).mappings().one_or_none()
        return None if row is None else _credential(row)

    def list(self, kind: Kind) -> Sequence[Credential]:
        """All of a kind, by name, newest first."""
        table = tables.credential
        query = select(table).where(table.c.kind == kind.value)
        query = query.order_by(table.c.name, table.c.created_at.desc(), table.c.id)
        return [_credential(row) for row in self.connection.execute(query).mappings()]

    def add(self, credential: Credential) -> None:
        """A new one."""
        self.connection.execute(insert(tables.credential).values(_credential_row(credential)))

    def save(self, credential: Credential) -> None:
        """What became of it."""
        table = tables.credential
        values = {"expires_at": credential.expires_at, "revoked_at": credential.revoked_at}
        self.connection.execute(update(table).where(table.c.id == credential.id).values(values))

    def used(self, credential_id: str, *, at: datetime) -> None:
        """It was used."""
        table = tables.credential
        self.connection.execute(update(table).where(table.c.id == credential_id).values(last_used_at=at))


def _put(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert, or replace what has the same primary key."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(row)
    keys = [column.name for column in table.primary_key]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=dict(row)))


def _roles(document: Mapping[str, str]) -> Roles:
    return {environment: Role(role) for environment, role in document.items()}


def _roles_row(roles: Roles) -> dict[str, str]:
    return {environment: role.value for environment, role in sorted(roles.items())}


def _user_row(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "roles": _roles_row(user.roles),
        "password_hash": user.password_hash,
        "subject": user.subject,
        "enabled": user.enabled,
        "created_at": user.created_at,
        "created_by": user.created_by,
        "version": user.version,
    }


def _user(row: RowMapping) -> User:
    return User(
        name=row["name"],
        roles=_roles(row["roles"]),
        password_hash=row["password_hash"],
        subject=row["subject"],
        enabled=row["enabled"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        version=row["version"],
    )


def _credential_row(credential: Credential) -> dict[str, Any]:
    return {
        "id": credential.id,
        "kind": credential.kind.value,
        "name": credential.name,
        "secret_hash": credential.secret_hash,
        "hint": credential.hint,
        "roles": _roles_row(credential.roles),
        "environment": credential.environment,
        "owner": credential.owner,
        "created_at": credential.created_at,
        "created_by": credential.created_by,
        "expires_at": credential.expires_at,
        "last_used_at": credential.last_used_at,
        "revoked_at": credential.revoked_at,
    }


def _credential(row: RowMapping) -> Credential:
    return Credential(
        id=row["id"],
        kind=Kind(row["kind"]),
        name=row["name"],
        secret_hash=row["secret_hash"],
        hint=row["hint"],
        roles=_roles(row["roles"]),
        environment=row["environment"],
        owner=row["owner"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )


@dataclass(frozen=True, slots=True)
class SqlDeviceLogins:
    """Command lines that wait to be let in, in table `device_login`."""

    connection: Connection

    def add(self, login: DeviceLogin) -> None:
        """One more; raises Conflict where its code is another's."""
        if self.by_code(login.code) is not None:
            raise Conflict("this code is another's")
        row = {
            "secret_hash": login.secret_hash,
            "code": login.code,
            "token_name": login.token_name,
            "expires_at": login.expires_at,
            "approved_by": login.approved_by,
        }
        self.connection.execute(insert(tables.device_login).values(row))

    def by_code(self, code: str) -> DeviceLogin | None:
        """The one that shows this code."""
        return self._one(tables.device_login.c.code == code)

    def by_secret(self, secret_hash: str) -> DeviceLogin | None:
        """The one that is recognised by this."""
        return self._one(tables.device_login.c.secret_hash == secret_hash)

    def approve(self, code: str, *, by: str) -> None:
        """Let it in."""
        table = tables.device_login
        self.connection.execute(update(table).where(table.c.code == code).values(approved_by=by))

    def drop(self, secret_hash: str) -> bool:
        """It waits no more; False where it did not."""
        table = tables.device_login
        return bool(self.connection.execute(delete(table).where(table.c.secret_hash == secret_hash)).rowcount)

    def prune(self, *, now: datetime) -> int:
        """Forget those whose time is over; how many still wait."""
        table = tables.device_login
        self.connection.execute(delete(table).where(table.c.expires_at <= now))
        return self.connection.execute(select(func.count()).select_from(table)).scalar_one()

    def _one(self, is_it: ColumnElement[bool]) -> DeviceLogin | None:
        row = self.connection.execute(select(tables.device_login).where(is_it)).mappings().one_or_none()
        return None if row is None else DeviceLogin(**row)
