"""Who may do what: four roles, each with all that the one before it has, given for one environment or for all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from wavegate_controller.domain.errors import Forbidden, Invalid

#: In the place of an environment's name: all of them, those to come included.
EVERYWHERE: Final = "*"


class Permission(StrEnum):
    """What may be allowed."""

    #: See flags, rollouts, what was measured and what was decided.
    READ = "read"
    #: Read the audit log and export it.
    AUDIT = "audit"
    #: Create and change flags and rollouts; start, stop, pause, and take back.
    EDIT = "edit"
    #: Report alerts, which may pause, take back or stop a rollout as far as the settings say.
    REPORT_ALERTS = "report_alerts"
    #: Say that users may have more than the gates have let through: approve, reject, promote, judge a wave.
    APPROVE = "approve"
    #: Give and take: people, their roles, tokens, SDK keys, environments.
    ADMINISTER = "administer"


class Role(StrEnum):
    """What somebody is in an environment, weakest first; only a reporter stands beside the others."""

    #: A program that reports alerts and may do nothing else, not even read.
    REPORTER = "reporter"
    VIEWER = "viewer"
    ENGINEER = "engineer"
    APPROVER = "approver"
    ADMIN = "admin"

    def covers(self, other: "Role") -> bool:
        """Whether this role has every permission of the other one."""
        return all(self.allows(each) for each in Permission if other.allows(each))

    def allows(self, permission: Permission) -> bool:
        """Whether this role has the permission."""
        if self is Role.REPORTER:
            return permission is Permission.REPORT_ALERTS
        return _RANK[self] >= _RANK[LEAST_ROLE[permission]]


#: The weakest role that has the permission, among those that may read.
LEAST_ROLE: Final[Mapping[Permission, Role]] = {
    Permission.READ: Role.VIEWER,
    Permission.AUDIT: Role.ENGINEER,
    Permission.EDIT: Role.ENGINEER,
    Permission.REPORT_ALERTS: Role.ENGINEER,
    Permission.APPROVE: Role.APPROVER,
    Permission.ADMINISTER: Role.ADMIN,
}
_RANK: Final = {role: rank for rank, role in enumerate(Role)}
#: Environment, or `*`, to the role there.
Roles = Mapping[str, Role]


class Kind(StrEnum):
    """How somebody showed who they are."""

    #: A person with an account, by their password or their identity provider.
    USER = "user"
    #: Whoever holds an API token.
    TOKEN = "token"  # noqa: S105 - a kind, no secret
    #: A name that nothing proves, where the controller runs open on one machine.
    UNPROVEN = "unproven"
    #: The controller itself.
    SYSTEM = "system"


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Somebody who asks for something, and what they are where.

    Attributes:
        name: signs what they do.
        until: when what they showed ends; None when it does not.
    """

    name: str
    kind: Kind
    roles: Roles
    until: datetime | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise Invalid("actor", "is empty", "the name of the person who asks")
        if self.name == _RECONCILER and self.kind is not Kind.SYSTEM:
            raise Invalid("actor", f"{self.name!r} is how the controller itself signs", "another name")

    def role(self, environment: str) -> Role | None:
        """Their role in an environment: the stronger of what they are there and everywhere; None for none."""
        return role_in(self.roles, environment)

    def may(self, permission: Permission, environment: str) -> bool:
        """Whether they may; for `*`, whether they may in all environments."""
        role = self.role(environment)
        return role is not None and role.allows(permission)

    def require(self, permission: Permission, environment: str) -> None:
        """Let them pass, or refuse.

        Raises:
            Forbidden: saying what they would need.
        """
        if not self.may(permission, environment):
            role = self.role(environment)
            raise Forbidden(
                self.name,
                permission=permission,
                environment=environment,
                role=role,
                needed=LEAST_ROLE[permission],
            )

    def require_all(self, permission: Permission, places: Iterable[str]) -> None:
        """Let them pass if they may in all of these places.

        Raises:
            Forbidden: naming the first place where they may not.
        """
        for place in sorted(places):
            self.require(permission, place)

    def require_giving(self, roles: Roles) -> None:
        """Let them pass if nothing among these roles is more than they have themselves.

        Raises:
            Forbidden: naming the first role that is.
        """
        for place, role in sorted(roles.items()):
            own = self.role(place)
            if own is None or not own.covers(role):
                raise Forbidden(self.name, permission="give", environment=place, role=own, needed=role)


def role_in(roles: Roles, environment: str) -> Role | None:
    """The role that applies in an environment: what is given for it or for all, whichever is stronger."""
    given = [roles[place] for place in {environment, EVERYWHERE} if place in roles]
    return max(given, key=_RANK.__getitem__, default=None)


def covers(stronger: Roles, weaker: Roles) -> bool:
    """Whether the one set of roles has, in each environment, at least what the other one has."""
    return all(
        (own := role_in(stronger, place)) is not None and (other := role_in(weaker, place)) and own.covers(other)
        for place in weaker
    )


_RECONCILER: Final = "wavegate"
#: What the controller does by itself: the reconciler's decisions, what it does at its start.
SYSTEM: Final = Principal(name=_RECONCILER, kind=Kind.SYSTEM, roles={EVERYWHERE: Role.ADMIN})
