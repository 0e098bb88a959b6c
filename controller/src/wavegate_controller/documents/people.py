"""People, tokens, keys and environments as documents."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from wavegate_controller.documents.reading import Document, Duration, examples
from wavegate_controller.documents.shown import Shown
from wavegate_controller.domain.access import EVERYWHERE, Principal, Role, Roles
from wavegate_controller.domain.account import User
from wavegate_controller.domain.credential import Credential
from wavegate_controller.domain.environment import Environment

RoleName = Literal["reporter", "viewer", "engineer", "approver", "admin"]
RolesField = Annotated[
    dict[str, RoleName],
    Field(description="Environment, or `*` for all, to the role there.", examples=[{"*": "viewer"}]),
]
_EXPIRES: Any = Field(default=None, description="How long it is good, such as 90d; left out for always.")


class UserDocument(Document):
    """A person to let in."""

    model_config = examples({"name": "ada", "roles": {"*": "engineer"}})

    name: str = Field(description="Signs what they do; never changes. An e-mail address will do.")
    roles: RolesField


class RolesDocument(Document):
    """What somebody is from now on."""

    model_config = examples({"roles": {"*": "viewer", "staging": "engineer"}})

    roles: RolesField


class TokenDocument(Document):
    """An API token to make."""

    model_config = examples({"name": "ci", "roles": {"staging": "engineer"}, "expires_in": "90d"})

    name: str = Field(description="What it is called; signs what is done with it, unless it is personal.")
    roles: RolesField
    personal: bool = Field(default=False, description="Your own: it signs with your name and ends with your account.")
    expires_in: Duration | None = _EXPIRES


class KeyDocument(Document):
    """An SDK key to make, for the environment of the request."""

    model_config = examples({"name": "shop", "expires_in": "365d"})

    name: str = Field(description="What it is called, such as the app that holds it.")
    expires_in: Duration | None = _EXPIRES


class RotationDocument(Document):
    """A successor to make."""

    model_config = examples({"overlap": "1h"})

    overlap: Duration = Field(
        default="1h", validate_default=True, description="How long the old secret stays good beside the new one."
    )


class LoginDocument(Document):
    """A name and a password, for a token."""

    model_config = examples({"name": "ada", "password": "some words that she remembers"})

    name: str
    password: str = Field(json_schema_extra={"format": "password"})
    token_name: str = Field(default="cli", description="What to call the token.")
    expires_in: Duration = Field(default="30d", validate_default=True, description="How long it is good.")


class DeviceLoginDocument(Document):
    """A command line that wants to be let in with a browser."""

    model_config = examples({"token_name": "cli-laptop"})

    token_name: str = Field(default="cli", description="What to call its token.")


class DeviceDocument(Document):
    """What a command line was given when it began to wait."""

    model_config = examples({"secret": "wgl_wB0lEH2fT5oZc1s4Jc8mQe9Vq1x2y3z4A5b6C7d8E9f"})

    secret: str = Field(max_length=200, json_schema_extra={"format": "password"})


class NothingDocument(Document):
    """Nothing more to say."""

    model_config = examples({})


class PrincipalShown(Shown):
    """Who asks."""

    name: str
    kind: Literal["user", "token", "unproven", "system"]
    roles: dict[str, RoleName]
    until: datetime | None = Field(description="When what they showed ends.")


class UserShown(Shown):
    """A person."""

    name: str
    roles: dict[str, RoleName]
    enabled: bool
    signs_in_by: Literal["password", "link", "identity provider"] = Field(
        description="A link: they have not chosen a password yet."
    )
    created_at: datetime
    created_by: str


class InvitationShown(Shown):
    """A person and the way in; the link is shown this once."""

    user: UserShown
    link: str = Field(description="Path of the page where they choose a password, once.")
    expires_at: datetime


class DeviceLoginShown(Shown):
    """A command line that waits; the secret is shown this once."""

    secret: str = Field(description="To ask for the token with.")
    code: str = Field(description="What the page shows, too.")
    page: str = Field(description="Path of the page where it is let in.")
    expires_at: datetime


class DeviceStateShown(Shown):
    """Whether a command line was let in; then with its token, this once."""

    state: Literal["waiting", "let_in"]
    secret: str | None = Field(default=None, description="The token.")


class CredentialShown(Shown):
    """A token or a key, without its secret."""

    id: str
    name: str
    hint: str = Field(description="How its secret begins.")
    roles: dict[str, RoleName] = Field(description="Of a token; a key has none.")
    environment: str | None = Field(description="Of a key.")
    owner: str | None = Field(description="Whose token it is, if it is somebody's own.")
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None
    is_good: bool = Field(description="Whether it lets anybody in.")


class MadeShown(Shown):
    """A new token or key; its secret is shown this once and kept nowhere."""

    secret: str
    credential: CredentialShown


class EnvironmentShown(Shown):
    """An environment."""

    name: str
    description: str
    created_at: datetime
    dry_run: bool = Field(description="Whether its rollouts are only judged; people move them.")


def to_roles(document: Mapping[str, str]) -> Roles:
    """Roles as the domain has them."""
    return {place: Role(role) for place, role in document.items()}


def principal_to_document(principal: Principal) -> dict[str, Any]:
    """As the API shows it."""
    return {
        "name": principal.name,
        "kind": principal.kind.value,
        "roles": roles_to_document(principal.roles),
        "until": principal.until and principal.until.isoformat(),
    }


def user_to_document(user: User) -> dict[str, Any]:
    """As the API shows it."""
    local = "password" if user.password_hash else "link"
    return {
        "name": user.name,
        "roles": roles_to_document(user.roles),
        "enabled": user.enabled,
        "signs_in_by": "identity provider" if user.subject else local,
        "created_at": user.created_at.isoformat(),
        "created_by": user.created_by,
    }


def credential_to_document(credential: Credential, *, now: datetime) -> dict[str, Any]:
    """As the API shows it."""
    return {
        "id": credential.id,
        "name": credential.name,
        "hint": credential.hint,
        "roles": roles_to_document(credential.roles),
        "environment": credential.environment,
        "owner": credential.owner,
        "created_at": credential.created_at.isoformat(),
        "created_by": credential.created_by,
        "expires_at": credential.expires_at and credential.expires_at.isoformat(),
        "last_used_at": credential.last_used_at and credential.last_used_at.isoformat(),
        "revoked_at": credential.revoked_at and credential.revoked_at.isoformat(),
        "is_good": credential.is_good(now=now),
    }


def environment_to_document(environment: Environment) -> dict[str, Any]:
    """As the API shows it."""
    return {
        "name": environment.name,
        "description": environment.description,
        "created_at": environment.created_at.isoformat(),
        "dry_run": environment.dry_run,
    }


def roles_to_document(roles: Roles) -> dict[str, str]:
    """All environments last."""
    return {place: roles[place].value for place in sorted(roles, key=lambda place: (place == EVERYWHERE, place))}
