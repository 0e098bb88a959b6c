"""People: their accounts, the sessions of their browsers, and the links that let them in once."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from wavegate_controller.domain.access import EVERYWHERE, Kind, Principal, Role, Roles
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.flag import check_name

#: A name signs what its owner does, and stands in addresses; e-mail addresses are names.
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._@+-]{0,98}[A-Za-z0-9])?")
_NAME_RULE: Final = "1 to 100 letters, digits and any of . _ @ + -, beginning and ending with a letter or digit"
#: As NIST SP 800-63B has it for a password beside nothing else; the upper bound keeps hashing from being work for all.
_SHORTEST, _LONGEST = 15, 1024
#: How long a link that lets somebody in once is good for.
LINK_LIFETIME: Final = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A person with an account. Valid, or not constructed.

    Attributes:
        name: signs what they do; never given to somebody else.
        password_hash: None for who has not chosen a password, or comes by an identity provider.
        subject: issuer and subject at the identity provider that says who they are and what their roles are; None
            for a local account.
        enabled: False for who has left: the account stays, since its name stands in the audit.
        version: counts the changes.
    """

    name: str
    roles: Roles
    created_at: datetime
    created_by: str
    password_hash: str | None = None
    subject: str | None = None
    enabled: bool = True
    version: int = 1

    def __post_init__(self) -> None:
        check_person("name", self.name)
        check_roles("roles", self.roles)

    @property
    def principal(self) -> Principal:
        """They themselves, asking for something."""
        return Principal(name=self.name, kind=Kind.USER, roles=self.roles)

    @property
    def is_admin_of_all(self) -> bool:
        """Whether they may give anybody anything."""
        return self.enabled and self.roles.get(EVERYWHERE) is Role.ADMIN


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A browser that somebody is signed in with.

    Attributes:
        secret_hash: of what the browser's cookie holds.
    """

    secret_hash: str
    user: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """Lets somebody in once, to choose a password."""

    secret_hash: str
    user: str
    expires_at: datetime


def check_person(field: str, name: str) -> None:
    """Refuse a name that could not sign.

    Raises:
        Invalid: naming the field.
    """
    if not _NAME.fullmatch(name):
        raise Invalid(field, f"{name!r} is not a valid name", _NAME_RULE)
    if name.casefold() in _RESERVED:
        raise Invalid(field, f"{name!r} is taken by the controller itself", "another name")


def check_roles(field: str, roles: Roles) -> None:
    """Refuse roles for what cannot be an environment.

    Raises:
        Invalid: naming the field.
    """
    for environment in roles:
        if environment != EVERYWHERE:
            check_name(f"{field}.{environment}", environment)


def check_password(field: str, password: str, *, name: str) -> None:
    """Refuse a password that is guessed too soon.

    Raises:
        Invalid: without saying what it was.
    """
    if len(password) < _SHORTEST:
        raise Invalid(field, f"has {len(password)} characters", f"{_SHORTEST} or more; some words that you remember")
    if len(password) > _LONGEST:
        raise Invalid(field, "is very long", f"at most {_LONGEST} characters")
    rest = password.casefold().replace(name.casefold(), "")
    if len(set(password)) < _LEAST_DIFFERENT or len(rest) < _SHORTEST:
        raise Invalid(field, "is easily guessed", "more than your name and no repetition; some words that you remember")


_RESERVED: Final = frozenset({"wavegate", "anybody"})
_LEAST_DIFFERENT: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceLogin:
    """A command line that waits to be let in by somebody who signs in with a browser.

    Attributes:
        secret_hash: what the command line is recognised by.
        code: what both show, so that a person can tell that it is theirs.
        token_name: what its token will be called.
        approved_by: who let it in; None until somebody does.
    """

    secret_hash: str
    code: str
    token_name: str
    expires_at: datetime
    approved_by: str | None = None
