"""Secrets that programs show: API tokens, which act, and SDK keys, which read the ruleset of one environment.

Only a hash of each is kept. They are long and random, so that one round of SHA-256 tells nothing about them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from wavegate_controller.domain.access import EVERYWHERE, Principal, Role, Roles, role_in
from wavegate_controller.domain.access import Kind as PrincipalKind
from wavegate_controller.domain.account import User, check_person, check_roles
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.flag import check_name

#: How often a use is written down, at most.
USE_NOTED_EVERY: Final = timedelta(minutes=1)
#: How much of a secret is kept and shown, so that people can tell which one it is.
_HINT: Final = 8


class Kind(StrEnum):
    """What a secret is for; its value begins each secret of the kind, so that it is recognised where it leaks."""

    API_TOKEN = "wgt_"  # noqa: S105 - a prefix, no secret
    SDK_KEY = "wgk_"
    LINK = "wgl_"
    SESSION = "wgs_"

    @property
    def called(self) -> str:
        """What people call it."""
        return {Kind.API_TOKEN: "token", Kind.SDK_KEY: "SDK key"}.get(self, self.name.lower())


@dataclass(frozen=True, kw_only=True, slots=True)
class Credential:
    """A token or a key. Valid, or not constructed.

    Attributes:
        id: names it without being it.
        name: what people call it; signs what is done with a token that nobody owns.
        roles: of a token, what it may do where; of a key, nothing anywhere.
        environment: of a key, whose ruleset it reads.
        owner: the person whose token it is: it signs with their name, may never do more than they, and ends with them.
        secret_hash: what it is recognised by.
        hint: how its secret begins.
        expires_at: from then on it is not good any more.
        last_used_at: to the minute.
        revoked_at: when somebody ended it.
    """

    id: str
    kind: Kind
    name: str
    secret_hash: str
    hint: str
    created_at: datetime
    created_by: str
    roles: Roles
    environment: str | None = None
    owner: str | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def __post_init__(self) -> None:
        check_person("name", self.name)
        check_roles("roles", self.roles)
        if self.environment is not None:
            check_name("environment", self.environment)
        if self.kind is Kind.API_TOKEN and not self.roles:
            raise Invalid("roles", "are none", "a role for one environment at least, or for `*`")
        if self.expires_at is not None and self.expires_at <= self.created_at:
            raise Invalid("expires_in", "is over already", "more than 0, such as 90d")

    @property
    def places(self) -> frozenset[str]:
        """The environments that it reaches into; `*` for all."""
        return frozenset(self.roles) if self.environment is None else frozenset({self.environment})

    def is_good(self, *, now: datetime) -> bool:
        """Whether it lets anybody in."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def is_used_anew(self, *, now: datetime) -> bool:
        """Whether a use now is to be written down."""
        return self.last_used_at is None or now - self.last_used_at >= USE_NOTED_EVERY

    def principal(self, owner: User | None) -> Principal:
        """Who holds it; for one that somebody owns, they with what both they and the token may do."""
        roles = self.roles if owner is None else common(self.roles, owner.roles)
        name = self.name if self.owner is None else self.owner
        return Principal(name=name, kind=PrincipalKind.TOKEN, roles=roles, until=self.expires_at)

    def ending(self, at: datetime) -> "Credential":
        """The same, good until then at the latest."""
        return self if self.expires_at is not None and self.expires_at <= at else replace(self, expires_at=at)


def common(one: Roles, other: Roles) -> Roles:
    """What both sets of roles allow: the weaker role in each environment, where both have one."""
    shared: dict[str, Role] = {}
    for place in {*one, *other}:
        mine, yours = role_in(one, place), role_in(other, place)
        if mine is not None and yours is not None:
            # A reporter and a viewer have nothing in common.
            if mine.covers(yours):
                shared[place] = yours
            elif yours.covers(mine):
                shared[place] = mine
    return shared


def hash_of(secret: str) -> str:
    """What a secret is recognised by."""
    return hashlib.sha256(secret.encode()).hexdigest()


def hint_of(secret: str) -> str:
    """How it begins."""
    return secret[:_HINT]


def single_role(role: Role, environment: str | None) -> Mapping[str, Role]:
    """One role, in one environment or in all."""
    return {environment or EVERYWHERE: role}
