"""Signing in, and the sessions of browsers that come of it."""

import math
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from wavegate_controller.domain.access import EVERYWHERE, SYSTEM, Role, Roles
from wavegate_controller.domain.account import Session, User
from wavegate_controller.domain.credential import Kind, hash_of
from wavegate_controller.domain.errors import Conflict, SignInRefused, Throttled
from wavegate_controller.domain.throttle import ACCOUNT, ADDRESS, FORGOTTEN_AFTER, PAIR, Limit, failed, wait
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.accounts import check_free, is_last_admin
from wavegate_controller.service.auditing import note
from wavegate_controller.service.services import Services

#: Names and addresses that are remembered for their failures.
_MOST_REMEMBERED: Final = 10_000
#: As much of what was given for a name as is remembered.
_LONGEST_KEY: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedIn:
    """A session that has begun; its secret goes to the browser and nowhere else."""

    session: Session
    secret: str


def check_password_of(services: Services, name: str, password: str, *, address: str) -> User:
    """The person, if it is their password.

    The attempt counts as failed before it is looked at: many at once are no way around the count.

    Args:
        services: the world.
        name: as it was given.
        password: as it was given.
        address: where the attempt comes from.

    Raises:
        SignInRefused: it is not, or there is no such person; both look alike and take as long.
        Throttled: too many have failed before.
    """
    now = services.clock.now()
    counts = _counts(name, address)
    with services.store.transaction() as work:
        work.users.hold()
        known = {key: work.failures.get(key) for key in counts}
        longest = max(wait(known[key], limit, now=now) for key, limit in counts.items())
        if longest <= timedelta(0):
            for key in counts:
                work.failures.save(failed(known[key], key, now=now))
            work.failures.prune(before=now - FORGOTTEN_AFTER, most=_MOST_REMEMBERED)
        user = next((each for each in work.users.list() if each.name == name), None)
    if longest > timedelta(0):
        raise Throttled(math.ceil(longest.total_seconds()))
    fits = services.passwords.fits(password, user.password_hash if user else None)
    if user is None or not fits or not user.enabled:
        raise SignInRefused("name or password is wrong")
    with services.store.transaction() as work:
        pair, account, address_key = counts
        work.failures.forget(pair)
        work.failures.forget(account)
        # One success among many guesses does not clear the address, but is not held against it either.
        if (before := known[address_key]) is None:
            work.failures.forget(address_key)
        else:
            work.failures.save(before)
    _renew_hash(services, user, password)
    return user


def sign_in(
    services: Services, name: str, password: str, *, address: str, lifetime: timedelta, replaces: str | None = None
) -> SignedIn:
    """Begin a session by password; see `check_password_of`.

    Args:
        services: the world.
        name: as it was given.
        password: as it was given.
        address: where the attempt comes from.
        lifetime: of the session.
        replaces: secret of the session that the browser had; it ends, so that nobody who planted it gets in with it.

    Raises:
        SignInRefused: name or password is wrong.
        Throttled: too many have failed before.
    """
    user = check_password_of(services, name, password, address=address)
    return begin(services, user.name, lifetime=lifetime, how="password", replaces=replaces)


def sign_in_by_provider(
    services: Services,
    subject: str,
    name: str,
    roles: Roles,
    *,
    lifetime: timedelta,
    replaces: str | None = None,
) -> SignedIn:
    """Begin a session for somebody whom the identity provider vouches for; their roles are what it says now.

    Args:
        services: the world.
        subject: issuer and subject, which never change; what they are recognised by.
        name: to sign with, for somebody who comes for the first time.
        roles: that follow from their groups.
        lifetime: of the session.
        replaces: secret of the session that the browser had.

    Raises:
        SignInRefused: they have no role, the name belongs to somebody else, or they have left.
    """
    if not roles:
        raise SignInRefused(f"{name!r} has no role here: none of their groups is given one in oidc_roles")
    now = services.clock.now()
    with services.store.transaction() as work:
        work.users.hold()
        user = work.users.by_subject(subject)
        if user is None:
            user = User(name=name, roles=dict(roles), created_at=now, created_by=SYSTEM.name, subject=subject)
            try:
                check_free(work, name)
                work.users.add(user)
            except Conflict:
                raise SignInRefused(f"there is a user {name!r} already, who does not sign in this way") from None
            _note(work, "user.create", user, now=now, after={"roles": dict(roles), "subject": subject})
        elif dict(user.roles) != (roles := _kept(work, user, roles)):
            before, user = user, replace(user, roles=dict(roles), version=user.version + 1)
            work.users.save(user)
            change = {"before": {"roles": dict(before.roles)}, "after": {"roles": dict(roles)}}
            _note(work, "user.roles", user, now=now, **change)
    if not user.enabled:
        raise SignInRefused(f"{user.name!r} is disabled here")
    return begin(services, user.name, lifetime=lifetime, how="identity provider", replaces=replaces)


def begin(services: Services, name: str, *, lifetime: timedelta, how: str, replaces: str | None = None) -> SignedIn:
    """A session for somebody who has shown who they are."""
    now = services.clock.now()
    secret = Kind.SESSION + secrets.token_urlsafe(32)
    session = Session(secret_hash=hash_of(secret), user=name, created_at=now, expires_at=now + lifetime)
    with services.store.transaction() as work:
        user = work.users.get(name)
        work.users.prune(now=now)
        if replaces is not None:
            work.users.end_session(hash_of(replaces))
        work.users.add_session(session)
        note(
            work,
            by=user.principal,
            action="session.begin",
            subject=name,
            environment="",
            now=now,
            after={"by": how},
        )
    return SignedIn(session=session, secret=secret)


def find(services: Services, secret: str) -> tuple[Session, User] | None:
    """The session of this secret and its person; None when it is over, or they have left."""
    if not secret.startswith(Kind.SESSION):
        return None
    now = services.clock.now()
    with services.store.transaction() as work:
        session = work.users.session(hash_of(secret))
        if session is None or session.expires_at <= now:
            return None
        user = work.users.get(session.user)
    return (session, user) if user.enabled else None


def end(services: Services, secret: str) -> None:
    """Sign out."""
    with services.store.transaction() as work:
        work.users.end_session(hash_of(secret))


def _counts(name: str, address: str) -> dict[str, Limit]:
    """Pair, account and address, in this order."""
    account = name[:_LONGEST_KEY].casefold()
    return {f"pair {address} {account}": PAIR, f"account {account}": ACCOUNT, f"address {address}": ADDRESS}


def _kept(work: UnitOfWork, user: User, roles: Roles) -> dict[str, Role]:
    """The roles that the provider gives; the last one who is admin everywhere stays so, or nobody could mend it."""
    return {**roles, EVERYWHERE: Role.ADMIN} if is_last_admin(work, user) else dict(roles)


def _renew_hash(services: Services, user: User, password: str) -> None:
    if user.password_hash is None or not services.passwords.is_outdated(user.password_hash):
        return
    hashed = services.passwords.hash(password)
    with services.store.transaction() as work:
        now_stored = work.users.get(user.name)
        if now_stored.password_hash == user.password_hash:
            work.users.save(replace(now_stored, password_hash=hashed, version=now_stored.version + 1))


def _note(work: UnitOfWork, action: str, user: User, *, now: datetime, **change: Any) -> None:
    note(work, by=SYSTEM, action=action, subject=user.name, environment="", now=now, **change)
