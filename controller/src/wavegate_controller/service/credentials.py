"""API tokens and SDK keys: made, shown once, rotated, and ended."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from wavegate_controller.domain.access import EVERYWHERE, Permission, Principal, Roles
from wavegate_controller.domain.access import Kind as PrincipalKind
from wavegate_controller.domain.credential import Credential, Kind, common, hash_of, hint_of
from wavegate_controller.domain.errors import Conflict, Forbidden, Invalid, NotFound
from wavegate_controller.ports import KEYS, UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.services import Services

#: Longest time that a rotated secret may stay good beside its successor.
_LONGEST_OVERLAP: Final = timedelta(days=30)
_ID_BYTES: Final = 6
#: Kind to the first of the audit's dotted words.
_THING: Final = {Kind.API_TOKEN: "token", Kind.SDK_KEY: "key"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A token or key and its secret, which is shown this once and kept nowhere."""

    credential: Credential
    secret: str


def create_token(
    services: Services,
    name: str,
    roles: Roles,
    *,
    personal: bool = False,
    expires_in: timedelta | None = None,
    by: Principal,
) -> Made:
    """A new API token.

    Args:
        services: the world.
        name: what it is called; signs what is done with it, unless it is somebody's own.
        roles: what it may do where; at most what they may do who make it.
        personal: it belongs to who makes it, signs with their name, and never may do more than they. Others are an
            admin's to make.
        expires_in: how long it is good; None for always.
        by: who asks.

    Raises:
        Invalid: a field is wrong.
        NotFound: there is no such environment.
        Conflict: the name is a person's, or another token's that nobody owns.
        Forbidden: they may not, or may not give so much.
    """
    if not personal:
        by.require_all(Permission.ADMINISTER, roles)
    by.require_giving(roles)
    now = services.clock.now()
    made = _make(
        Kind.API_TOKEN,
        name,
        roles=dict(roles),
        owner=by.name if personal else None,
        expires_at=_ending(expires_in, now=now, capped_by=by if personal else None),
        created_at=now,
        created_by=by.name,
    )
    with services.store.transaction() as work:
        for place in sorted({*roles} - {EVERYWHERE}):
            work.environments.get(place)
        _check_owner(work, made.credential)
        work.credentials.add(made.credential)
        _note(work, "create", made.credential, by=by, now=now, after=_shown(made.credential))
    return made


def create_key(services: Services, name: str, *, expires_in: timedelta | None = None, by: Principal) -> Made:
    """A new SDK key, for the services' environment.

    Raises:
        Invalid: a field is wrong.
        Forbidden: they may not.
    """
    by.require(Permission.ADMINISTER, services.environment)
    now = services.clock.now()
    made = _make(
        Kind.SDK_KEY,
        name,
        roles={},
        environment=services.environment,
        expires_at=_ending(expires_in, now=now),
        created_at=now,
        created_by=by.name,
    )
    with services.store.transaction() as work:
        work.environments.get(services.environment)
        work.credentials.add(made.credential)
        _note(work, "create", made.credential, by=by, now=now, after=_shown(made.credential))
        work.notify(KEYS, services.environment)
    return made


def list_tokens(services: Services, *, by: Principal) -> Sequence[Credential]:
    """Their own, and those whose every environment they administer."""
    with services.store.transaction() as work:
        return [
            each
            for each in work.credentials.list(Kind.API_TOKEN)
            if each.owner == by.name or all(by.may(Permission.ADMINISTER, place) for place in each.places)
        ]


def list_keys(services: Services, *, by: Principal) -> Sequence[Credential]:
    """Those of the services' environment; nothing of their secrets but how they begin.

    Raises:
        Forbidden: they may not.
    """
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return [each for each in work.credentials.list(Kind.SDK_KEY) if each.environment == services.environment]


def rotate(services: Services, kind: Kind, credential_id: str, *, overlap: timedelta, by: Principal) -> Made:
    """A successor with a secret of its own, good as long as this one was meant to be; this one goes on for the overlap.

    Raises:
        NotFound: there is no such token or key.
        Conflict: it is not good any more.
        Invalid: the overlap is too long.
        Forbidden: they may not, or may not give so much.
    """
    if not timedelta(0) <= overlap <= _LONGEST_OVERLAP:
        raise Invalid("overlap", "is longer than a month", "30d or less")
    now = services.clock.now()
    with services.store.transaction() as work:
        before = work.credentials.get(kind, credential_id)
        _require_managing(before, by)
        owner = None if before.owner is None else work.users.get(before.owner)
        by.require_giving(before.roles if owner is None else common(before.roles, owner.roles))
        if not before.is_good(now=now):
            raise Conflict(f"{_THING[kind]} {credential_id!r} is not good any more; create a new one")
        lifetime = None if before.expires_at is None else before.expires_at - before.created_at
        made = _make(
            kind,
            before.name,
            roles=before.roles,
            owner=before.owner,
            environment=before.environment,
            expires_at=_ending(lifetime, now=now, capped_by=by if before.owner else None),
            created_at=now,
            created_by=by.name,
        )
        work.credentials.add(made.credential)
        work.credentials.save(before.ending(now + overlap))
        change = {"before": {"id": before.id}, "after": _shown(made.credential) | {"overlap_until": now + overlap}}
        _note(work, "rotate", before, by=by, now=now, **change)
        if kind is Kind.SDK_KEY:
            work.notify(KEYS, before.environment or "")
    return made


def revoke(services: Services, kind: Kind, credential_id: str, *, by: Principal) -> Credential:
    """It lets nobody in from now on. Idempotent.

    Raises:
        NotFound: there is no such token or key.
        Forbidden: they may not.
    """
    now = services.clock.now()
    with services.store.transaction() as work:
        before = work.credentials.get(kind, credential_id)
        _require_managing(before, by)
        if before.revoked_at is not None:
            return before
        after = replace(before, revoked_at=now)
        work.credentials.save(after)
        _note(work, "revoke", after, by=by, now=now, before=_shown(before))
        if kind is Kind.SDK_KEY:
            work.notify(KEYS, before.environment or "")
    return after


def holder(services: Services, secret: str) -> Principal | None:
    """Who holds this API token; None when it is none, or not good any more."""
    if not secret.startswith(Kind.API_TOKEN):
        return None
    now = services.clock.now()
    with services.store.transaction() as work:
        credential = work.credentials.by_secret(Kind.API_TOKEN, hash_of(secret))
        if credential is None or not credential.is_good(now=now):
            return None
        owner = None if credential.owner is None else work.users.get(credential.owner)
        if owner is not None and not owner.enabled:
            return None
        if credential.is_used_anew(now=now):
            work.credentials.used(credential.id, at=now)
    return credential.principal(owner)


def good_keys(services: Services) -> Mapping[str, Credential]:
    """The SDK keys of all environments that are good now, by the hash of their secret."""
    now = services.clock.now()
    with services.store.transaction() as work:
        keys = work.credentials.list(Kind.SDK_KEY)
    return {each.secret_hash: each for each in keys if each.is_good(now=now)}


def keys_used(services: Services, key_ids: Iterable[str]) -> None:
    """Apps have shown these keys lately."""
    now = services.clock.now()
    used = sorted(set(key_ids))
    if used:
        with services.store.transaction() as work:
            for key_id in used:
                work.credentials.used(key_id, at=now)


def _make(kind: Kind, name: str, **values: Any) -> Made:
    secret = kind + secrets.token_urlsafe(32)
    credential = Credential(
        id=secrets.token_hex(_ID_BYTES),
        kind=kind,
        name=name,
        secret_hash=hash_of(secret),
        hint=hint_of(secret),
        **values,
    )
    return Made(credential=credential, secret=secret)


def _ending(lifetime: timedelta | None, *, now: datetime, capped_by: Principal | None = None) -> datetime | None:
    """When it ends; a personal token that is made with a token does not outlive that one, or a leak had no end."""
    try:
        ending = None if lifetime is None else now + lifetime
    except OverflowError:
        raise Invalid("expires_in", "is beyond the calendar", "some years at most") from None
    until = capped_by.until if capped_by is not None and capped_by.kind is PrincipalKind.TOKEN else None
    if until is not None and (ending is None or ending > until):
        raise Invalid(
            "expires_in",
            "is longer than the token is good that asks for it",
            f"an end not after {until.isoformat(timespec='seconds')}; or sign in by password",
        )
    return ending


def _check_owner(work: UnitOfWork, credential: Credential) -> None:
    """A token signs with one name, and nobody else may have that name."""
    if credential.owner is not None:
        try:
            work.users.get(credential.owner)
        except NotFound:
            raise Invalid("personal", f"{credential.owner!r} has no account to own it", "false") from None
        return
    names = [each.name for each in work.users.list()]
    names += [each.name for each in work.credentials.list(Kind.API_TOKEN) if each.owner is None and not each.revoked_at]
    if credential.name.lower() in (each.lower() for each in names):
        raise Conflict(f"{credential.name!r} is the name of a person or of another token, and would sign for both")


def _require_managing(credential: Credential, by: Principal) -> None:
    """Whose it is, or an admin of every environment that it reaches into."""
    if credential.owner == by.name and by.kind in (PrincipalKind.USER, PrincipalKind.TOKEN):
        return
    try:
        by.require_all(Permission.ADMINISTER, credential.places)
    except Forbidden:
        # Whoever may not see it is not told whether it exists.
        if not any(by.may(Permission.ADMINISTER, place) for place in credential.places):
            raise NotFound(credential.kind.called, credential.id) from None
        raise


def _shown(credential: Credential) -> dict[str, Any]:
    """What the audit keeps of it."""
    return {
        "id": credential.id,
        "name": credential.name,
        "roles": dict(credential.roles),
        "environment": credential.environment,
        "owner": credential.owner,
        "expires_at": credential.expires_at,
    }


def _note(work: UnitOfWork, verb: str, credential: Credential, *, by: Principal, now: datetime, **change: Any) -> None:
    action = f"{_THING[credential.kind]}.{verb}"
    note(work, by=by, action=action, subject=credential.id, environment=credential.environment or "", now=now, **change)
