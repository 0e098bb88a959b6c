"""People's accounts: who there is, what they are where, and the links by which they choose a password."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from wavegate_controller.domain.access import EVERYWHERE, SYSTEM, Permission, Principal, Role, Roles
from wavegate_controller.domain.account import LINK_LIFETIME, Link, User, check_password
from wavegate_controller.domain.credential import Kind, hash_of
from wavegate_controller.domain.errors import Conflict, Invalid, NotFound, SignInRefused
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.services import Services

_FIRST: Final = "admin"
_BAD_LINK: Final = "this link is not good: it was used, it has run out, or a newer one has taken its place"


@dataclass(frozen=True, kw_only=True, slots=True)
class Invitation:
    """A person and the secret of the link that lets them in once; shown once."""

    user: User
    secret: str
    expires_at: datetime


def first_admin(services: Services) -> Invitation | None:
    """At the start: while nobody can sign in, make one who may do everything, or make their link anew."""
    now = services.clock.now()
    with services.store.transaction() as work:
        work.users.hold()
        users = work.users.list()
        if any(each.password_hash or each.subject for each in users):
            return None
        user = next((each for each in users if each.name == _FIRST), None)
        if user is None:
            user = User(name=_FIRST, roles={EVERYWHERE: Role.ADMIN}, created_at=now, created_by=SYSTEM.name)
            work.users.add(user)
            _note(work, "user.create", user, by=SYSTEM, now=now, after=_shown(user))
        return _invite(work, user, now=now)


def create_user(services: Services, name: str, roles: Roles, *, by: Principal) -> Invitation:
    """A new account, and the link by which its owner chooses a password.

    Raises:
        Invalid: a name or an environment is none.
        Conflict: the name is taken, by a person or a token.
        NotFound: there is no such environment.
        Forbidden: they may not.
    """
    by.require(Permission.ADMINISTER, EVERYWHERE)
    now = services.clock.now()
    user = User(name=name, roles=dict(roles), created_at=now, created_by=by.name)
    with services.store.transaction() as work:
        _check_environments(work, roles)
        check_free(work, name)
        work.users.add(user)
        _note(work, "user.create", user, by=by, now=now, after=_shown(user))
        return _invite(work, user, now=now)


def list_users(services: Services, *, by: Principal) -> Sequence[User]:
    """All, by name.

    Raises:
        Forbidden: they may not.
    """
    by.require(Permission.ADMINISTER, EVERYWHERE)
    with services.store.transaction() as work:
        return work.users.list()


def set_roles(services: Services, name: str, roles: Roles, *, by: Principal) -> User:
    """From their next request on they are this.

    Raises:
        NotFound: there is no such person or environment.
        Conflict: nobody would be left who may do everything, or the roles are the identity provider's to give.
        Forbidden: they may not.
    """
    by.require(Permission.ADMINISTER, EVERYWHERE)
    now = services.clock.now()
    with services.store.transaction() as work:
        work.users.hold()
        before = work.users.get(name)
        if before.subject is not None:
            raise Conflict(f"the roles of {name!r} come from the identity provider; change them there")
        _check_environments(work, roles)
        after = replace(before, roles=dict(roles), version=before.version + 1)
        _change(work, before, after, action="user.roles", by=by, now=now)
    return after


def set_user_enabled(services: Services, name: str, *, enabled: bool, by: Principal) -> User:
    """Let somebody go, with their sessions and tokens at once, or let them come back. Idempotent.

    Raises:
        NotFound: there is no such person.
        Conflict: nobody would be left who may do everything.
        Forbidden: they may not.
    """
    by.require(Permission.ADMINISTER, EVERYWHERE)
    now = services.clock.now()
    with services.store.transaction() as work:
        work.users.hold()
        before = work.users.get(name)
        if before.enabled is enabled:
            return before
        after = replace(before, enabled=enabled, version=before.version + 1)
        _change(work, before, after, action="user.enable" if enabled else "user.disable", by=by, now=now)
        work.users.end_sessions(name)
        work.users.take_link(name)
    return after


def invite(services: Services, name: str, *, by: Principal) -> Invitation:
    """A new link for somebody who has lost theirs, or their password; an older one is not good any more.

    Raises:
        NotFound: there is no such person.
        Conflict: they come by the identity provider, or have left.
        Forbidden: they may not.
    """
    by.require(Permission.ADMINISTER, EVERYWHERE)
    now = services.clock.now()
    with services.store.transaction() as work:
        user = work.users.get(name)
        if user.subject is not None:
            raise Conflict(f"{name!r} signs in at the identity provider and has no password here")
        if not user.enabled:
            raise Conflict(f"{name!r} is disabled; enable them first")
        _note(work, "user.link", user, by=by, now=now)
        return _invite(work, user, now=now)


def invited(services: Services, secret: str) -> User:
    """Whose link this is; it stays good.

    Raises:
        SignInRefused: it is not good.
    """
    with services.store.transaction() as work:
        return _invited(work, secret, now=services.clock.now())


def accept(services: Services, secret: str, password: str) -> User:
    """Choose a password by a link, which is used up by that; whoever was signed in as this person is no more.

    Raises:
        SignInRefused: the link is not good.
        Invalid: the password is guessed too soon; the link stays good.
    """
    now = services.clock.now()
    user = invited(services, secret)
    check_password("password", password, name=user.name)
    hashed = services.passwords.hash(password)
    with services.store.transaction() as work:
        user = _invited(work, secret, now=now)
        if not work.users.take_link(user.name):
            raise SignInRefused(_BAD_LINK)
        return _set_password(work, user, hashed, by=user.principal, now=now)


def has_password(services: Services, *, by: Principal) -> bool:
    """Whether it is here that they show who they are."""
    with services.store.transaction() as work:
        return work.users.get(by.name).password_hash is not None


def change_password(services: Services, current: str, password: str, *, keep: str | None, by: Principal) -> None:
    """Somebody's own; all of their sessions end but the one to keep.

    Raises:
        Invalid: the current one is another, or the new one is guessed too soon.
        NotFound: they have no account.
    """
    now = services.clock.now()
    with services.store.transaction() as work:
        user = work.users.get(by.name)
    if not services.passwords.fits(current, user.password_hash):
        raise Invalid("current password", "is another one", "the password that you signed in with")
    check_password("password", password, name=user.name)
    hashed = services.passwords.hash(password)
    with services.store.transaction() as work:
        _set_password(work, work.users.get(by.name), hashed, by=by, now=now, keep=keep)


def check_free(work: UnitOfWork, name: str) -> None:
    """Refuse a person's name that a token signs with.

    Raises:
        Conflict: it is taken.
    """
    tokens = work.credentials.list(Kind.API_TOKEN)
    if any(each.owner is None and each.revoked_at is None and each.name.lower() == name.lower() for each in tokens):
        raise Conflict(f"there is a token {name!r}, which signs with this name")


def is_last_admin(work: UnitOfWork, user: User) -> bool:
    """Whether nobody could give anybody anything without them; `work` holds the people."""
    return user.is_admin_of_all and [each.name for each in work.users.list() if each.is_admin_of_all] == [user.name]


def _set_password(
    work: UnitOfWork, user: User, hashed: str, *, by: Principal, now: datetime, keep: str | None = None
) -> User:
    after = replace(user, password_hash=hashed, version=user.version + 1)
    work.users.save(after)
    work.users.end_sessions(user.name, but=keep)
    _note(work, "user.password", user, by=by, now=now)
    return after


def _invite(work: UnitOfWork, user: User, *, now: datetime) -> Invitation:
    secret = Kind.LINK + secrets.token_urlsafe(32)
    link = Link(secret_hash=hash_of(secret), user=user.name, expires_at=now + LINK_LIFETIME)
    work.users.set_link(link)
    return Invitation(user=user, secret=secret, expires_at=link.expires_at)


def _invited(work: UnitOfWork, secret: str, *, now: datetime) -> User:
    link = work.users.link(hash_of(secret))
    if link is None or link.expires_at <= now:
        raise SignInRefused(_BAD_LINK)
    user = work.users.get(link.user)
    if not user.enabled:
        raise SignInRefused(_BAD_LINK)
    return user


def _change(work: UnitOfWork, before: User, after: User, *, action: str, by: Principal, now: datetime) -> None:
    if not after.is_admin_of_all and is_last_admin(work, before):
        raise Conflict(f"{before.name!r} is the last one who is admin everywhere; make somebody else one first")
    work.users.save(after)
    _note(work, action, after, by=by, now=now, before=_shown(before), after=_shown(after))


def _check_environments(work: UnitOfWork, roles: Roles) -> None:
    known = {each.name for each in work.environments.list()}
    for place in roles:
        if place != EVERYWHERE and place not in known:
            raise NotFound("environment", place)


def _shown(user: User) -> dict[str, Any]:
    """What the audit keeps of an account."""
    return {"roles": dict(user.roles), "enabled": user.enabled, "version": user.version}


def _note(work: UnitOfWork, action: str, user: User, *, by: Principal, now: datetime, **change: Any) -> None:
    note(work, by=by, action=action, subject=user.name, environment="", now=now, **change)
