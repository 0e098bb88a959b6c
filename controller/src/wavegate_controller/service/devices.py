"""Letting a command line in with a browser: it waits under a code, and whoever has signed in says that it is theirs.

However people sign in, by password or at an identity provider, on this machine or on another: the command line sees no
password, and the browser no token.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from wavegate_controller.domain.access import Kind as PrincipalKind
from wavegate_controller.domain.access import Principal
from wavegate_controller.domain.account import DeviceLogin
from wavegate_controller.domain.credential import Kind, hash_of
from wavegate_controller.domain.errors import NotFound, SignInRefused, Throttled
from wavegate_controller.domain.flag import check_name
from wavegate_controller.service import credentials
from wavegate_controller.service.auditing import note
from wavegate_controller.service.credentials import Made
from wavegate_controller.service.services import Services

#: Time to sign in.
PATIENCE: Final = timedelta(minutes=10)
#: How long the token is good, as that of a password.
_LIFETIME: Final = timedelta(days=30)
#: Nobody has shown who they are: so many wait at once and no more.
_MOST_WAITING: Final = 1000
#: Without vowels, which make words, and without what looks alike.
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
_HALF: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """A command line that waits; the secret is its alone."""

    login: DeviceLogin
    secret: str


def begin(services: Services, token_name: str) -> Begun:
    """Let a command line wait for somebody who lets it in.

    Raises:
        Invalid: the name is none.
        Throttled: too many wait.
    """
    check_name("token_name", token_name)
    now = services.clock.now()
    secret = Kind.LINK + secrets.token_urlsafe(32)
    login = DeviceLogin(
        secret_hash=hash_of(secret),
        code="-".join("".join(secrets.choice(_LETTERS) for _ in range(_HALF)) for _ in range(2)),
        token_name=token_name,
        expires_at=now + PATIENCE,
    )
    with services.store.transaction() as work:
        if work.device_logins.prune(now=now) >= _MOST_WAITING:
            raise Throttled(60)
        work.device_logins.add(login)
    return Begun(login=login, secret=secret)


def waiting(services: Services, code: str) -> DeviceLogin:
    """The command line that shows this code.

    Raises:
        NotFound: none does, or its time is over, or it was let in already.
    """
    spelled = "".join(each for each in code.upper() if each.isalpha())
    with services.store.transaction() as work:
        found = work.device_logins.by_code(f"{spelled[:_HALF]}-{spelled[_HALF:]}")
    if found is None or found.expires_at <= services.clock.now() or found.approved_by is not None:
        raise NotFound("command line that waits under the code", code)
    return found


def let_in(services: Services, code: str, *, by: Principal) -> DeviceLogin:
    """Say that the command line is one's own; it may do what one may.

    Raises:
        NotFound: none waits under this code.
        SignInRefused: a program asks, or nobody whom the controller knows.
    """
    if by.kind is not PrincipalKind.USER:
        raise SignInRefused("only a person who has signed in lets a command line in")
    found = waiting(services, code)
    with services.store.transaction() as work:
        work.device_logins.approve(found.code, by=by.name)
        note(
            work,
            by=by,
            action="session.let_in",
            subject=by.name,
            environment="",
            now=services.clock.now(),
            after={"token": found.token_name},
        )
    return found


def token_of(services: Services, secret: str) -> Made | None:
    """The token of a command line that was let in, once; None while it waits.

    Raises:
        NotFound: it does not wait: its time is over, or it has its token.
        SignInRefused: who let it in has left.
    """
    now = services.clock.now()
    with services.store.transaction() as work:
        found = work.device_logins.by_secret(hash_of(secret))
        if found is None or found.expires_at <= now:
            raise NotFound("command line that waits", "with this secret")
        if found.approved_by is None:
            return None
        # Of two that ask at once one has it.
        if not work.device_logins.drop(found.secret_hash):
            raise NotFound("command line that waits", "with this secret")
        user = work.users.get(found.approved_by)
    if not user.enabled:
        raise SignInRefused(f"{user.name!r} is disabled here")
    return credentials.create_token(
        services, found.token_name, user.roles, personal=True, expires_in=_LIFETIME, by=user.principal
    )
