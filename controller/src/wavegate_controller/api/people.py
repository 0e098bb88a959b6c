"""People, tokens, keys and environments over HTTP."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask import request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.paging import Page, PageQuery, page
from wavegate_controller.api.reading import ChangedEnvironment, NewEnvironment
from wavegate_controller.documents.people import (
    CredentialShown,
    DeviceDocument,
    DeviceLoginDocument,
    DeviceLoginShown,
    DeviceStateShown,
    EnvironmentShown,
    InvitationShown,
    KeyDocument,
    LoginDocument,
    MadeShown,
    NothingDocument,
    PrincipalShown,
    RolesDocument,
    RotationDocument,
    TokenDocument,
    UserDocument,
    UserShown,
    credential_to_document,
    environment_to_document,
    principal_to_document,
    to_roles,
    user_to_document,
)
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.credential import Credential, Kind
from wavegate_controller.domain.errors import Conflict, NotFound, SignInRefused, Throttled
from wavegate_controller.service import accounts, credentials, devices, environments, sessions
from wavegate_controller.service.accounts import Invitation
from wavegate_controller.service.credentials import Made
from wavegate_controller.service.services import Services

_GIVE: Final = Permission.ADMINISTER

login: Final = Operations("login", "From a name and a password to a token.", is_open=True)
users: Final = Operations("users", "People, and what they are where.")
tokens: Final = Operations("tokens", "API tokens, of people and of programs.")
keys: Final = Operations("keys", "SDK keys: each reads the ruleset of one environment.")
environments_of: Final = Operations("environments", "Each with flags, rollouts, revisions and keys of its own.")


@login.post(
    "/login",
    "Get a token for a password",
    answer=MadeShown,
    status=201,
    problems=[SignInRefused, Throttled, Conflict],
    is_secret=True,
)
def log_in(services: Services, body: LoginDocument) -> ResponseReturnValue:
    """A personal token with all that the person may do. Who fails too often must wait."""
    user = sessions.check_password_of(services, body.name, body.password, address=request.remote_addr or "")
    made = credentials.create_token(
        services, body.token_name, user.roles, personal=True, expires_in=body.expires_in, by=user.principal
    )
    return _made(services, made), 201


@login.post(
    "/login/device",
    "Let a command line wait to be let in with a browser",
    answer=DeviceLoginShown,
    status=201,
    problems=[Throttled],
    is_secret=True,
)
def begin_device_login(services: Services, body: DeviceLoginDocument) -> ResponseReturnValue:
    """For ten minutes: somebody opens the page, signs in, however they do, and says that it is theirs."""
    begun = devices.begin(services, body.token_name)
    return {
        "secret": begun.secret,
        "code": begun.login.code,
        "page": f"/login/device?code={begun.login.code}",
        "expires_at": begun.login.expires_at.isoformat(),
    }, 201


@login.post(
    "/login/device/token",
    "Get the token once a command line was let in",
    answer=DeviceStateShown,
    is_secret=True,
    problems=[NotFound],
)
def finish_device_login(services: Services, body: DeviceDocument) -> ResponseReturnValue:
    """Ask every other second. The token is personal, with all that the person may do, and given once."""
    made = devices.token_of(services, body.secret)
    return {"state": "waiting" if made is None else "let_in", "secret": made and made.secret}


@users.get("/me", "Say who asks", answer=PrincipalShown, permission=None)
def show_me(by: Principal) -> ResponseReturnValue:
    """With the roles that count for this request."""
    return principal_to_document(by)


@users.get("/users", "List the people, by name", answer=Page[UserShown], permission=_GIVE)
def list_users(services: Services, by: Principal, query: PageQuery) -> ResponseReturnValue:
    """All that ever were: their names stand in the audit."""
    return _page({(each.name,): user_to_document(each) for each in accounts.list_users(services, by=by)}, query)


@users.post(
    "/users",
    "Let somebody in",
    answer=InvitationShown,
    status=201,
    problems=[Conflict],
    is_secret=True,
    permission=_GIVE,
)
def create_user(services: Services, by: Principal, body: UserDocument) -> ResponseReturnValue:
    """The answer has the link by which they choose a password, once, within a day."""
    return _invitation(accounts.create_user(services, body.name, to_roles(body.roles), by=by)), 201


@users.put("/users/{user}/roles", "Change what somebody is", answer=UserShown, problems=[Conflict], permission=_GIVE)
def set_roles(services: Services, by: Principal, user: str, body: RolesDocument) -> ResponseReturnValue:
    """From their next request on. The last one who is admin everywhere stays so."""
    return user_to_document(accounts.set_roles(services, user, to_roles(body.roles), by=by))


@users.post(
    "/users/{user}/link",
    "Make a new link for somebody",
    answer=InvitationShown,
    status=201,
    is_secret=True,
    permission=_GIVE,
)
def invite_user(services: Services, by: Principal, user: str, body: NothingDocument) -> ResponseReturnValue:  # noqa: ARG001
    """For who has lost it, or their password; an older link is not good any more."""
    return _invitation(accounts.invite(services, user, by=by)), 201


@users.post("/users/{user}/disable", "Let somebody go", answer=UserShown, problems=[Conflict], permission=_GIVE)
def disable_user(services: Services, by: Principal, user: str, body: NothingDocument) -> ResponseReturnValue:  # noqa: ARG001
    """With their sessions and tokens, at once. May be repeated."""
    return user_to_document(accounts.set_user_enabled(services, user, enabled=False, by=by))


@users.post("/users/{user}/enable", "Let somebody come back", answer=UserShown, permission=_GIVE)
def enable_user(services: Services, by: Principal, user: str, body: NothingDocument) -> ResponseReturnValue:  # noqa: ARG001
    """May be repeated."""
    return user_to_document(accounts.set_user_enabled(services, user, enabled=True, by=by))


@tokens.get("/tokens", "List the tokens, by name", answer=Page[CredentialShown], permission=None)
def list_tokens(services: Services, by: Principal, query: PageQuery) -> ResponseReturnValue:
    """Your own, and those whose every environment you administer; revoked ones, too."""
    return _credentials(services, credentials.list_tokens(services, by=by), query)


@tokens.post(
    "/tokens", "Make a token", answer=MadeShown, status=201, problems=[Conflict], is_secret=True, permission=_GIVE
)
def create_token(services: Services, by: Principal, body: TokenDocument) -> ResponseReturnValue:
    """It may do at most what you may. One that is not personal is an admin's to make."""
    roles = to_roles(body.roles)
    made = credentials.create_token(
        services, body.name, roles, personal=body.personal, expires_in=body.expires_in, by=by
    )
    return _made(services, made), 201


@tokens.post(
    "/tokens/{token}/rotate",
    "Make a token's successor",
    answer=MadeShown,
    status=201,
    problems=[Conflict],
    is_secret=True,
    permission=None,
)
def rotate_token(services: Services, by: Principal, token: str, body: RotationDocument) -> ResponseReturnValue:
    """With the same name and roles, good for as long; the old one stays good for the overlap."""
    return _made(services, credentials.rotate(services, Kind.API_TOKEN, token, overlap=body.overlap, by=by)), 201


@tokens.post("/tokens/{token}/revoke", "End a token", answer=CredentialShown, permission=None)
def revoke_token(services: Services, by: Principal, token: str, body: NothingDocument) -> ResponseReturnValue:  # noqa: ARG001
    """At once. May be repeated."""
    return _shown(services, credentials.revoke(services, Kind.API_TOKEN, token, by=by))


@keys.get("/keys", "List the SDK keys of the environment, by name", answer=Page[CredentialShown])
def list_keys(services: Services, by: Principal, query: PageQuery) -> ResponseReturnValue:
    """Revoked ones, too; those of the settings are not among them."""
    return _credentials(services, credentials.list_keys(services, by=by), query)


@keys.post(
    "/keys", "Make an SDK key for the environment", answer=MadeShown, status=201, is_secret=True, permission=_GIVE
)
def create_key(services: Services, by: Principal, body: KeyDocument) -> ResponseReturnValue:
    """It reads the ruleset of this environment and counts in it, and can do nothing else."""
    return _made(services, credentials.create_key(services, body.name, expires_in=body.expires_in, by=by)), 201


@keys.post(
    "/keys/{sdk_key}/rotate",
    "Make an SDK key's successor",
    answer=MadeShown,
    status=201,
    problems=[Conflict],
    is_secret=True,
    permission=None,
)
def rotate_key(services: Services, by: Principal, sdk_key: str, body: RotationDocument) -> ResponseReturnValue:
    """Good for as long; the old one stays good for the overlap."""
    return _made(services, credentials.rotate(services, Kind.SDK_KEY, sdk_key, overlap=body.overlap, by=by)), 201


@keys.post("/keys/{sdk_key}/revoke", "End an SDK key", answer=CredentialShown, permission=None)
def revoke_key(services: Services, by: Principal, sdk_key: str, body: NothingDocument) -> ResponseReturnValue:  # noqa: ARG001
    """Streams that it opened are cut. May be repeated."""
    return _shown(services, credentials.revoke(services, Kind.SDK_KEY, sdk_key, by=by))


@environments_of.get("/environments", "List the environments, by name", answer=Page[EnvironmentShown], permission=None)
def list_environments(services: Services, by: Principal, query: PageQuery) -> ResponseReturnValue:
    """Those that you may see."""
    found = environments.list_environments(services, by=by)
    return _page({(each.name,): environment_to_document(each) for each in found}, query)


@environments_of.post(
    "/environments", "Make an environment", answer=EnvironmentShown, status=201, problems=[Conflict], permission=_GIVE
)
def create_environment(services: Services, by: Principal, body: NewEnvironment) -> ResponseReturnValue:
    """Without flags, and ready for apps at once."""
    made = environments.create_environment(
        services, body.name, description=body.description, dry_run=body.dry_run, by=by
    )
    location = url_for(".list_flags", environment=made.name)
    return environment_to_document(made), 201, {"Location": location}


@environments_of.patch(
    "/environments/{name}",
    "Describe an environment anew, or begin or end its dry run",
    answer=EnvironmentShown,
    permission=_GIVE,
)
def change_environment(services: Services, by: Principal, name: str, body: ChangedEnvironment) -> ResponseReturnValue:
    """In a dry run nothing but people moves its rollouts; what would have been done is recorded."""
    changed = environments.change_environment(
        services, name, description=body.description, dry_run=body.dry_run, by=by, comment=body.comment
    )
    return environment_to_document(changed)


def _credentials(services: Services, found: Sequence[Credential], query: PageQuery) -> ResponseReturnValue:
    return _page({(each.name, each.id): _shown(services, each) for each in found}, query)


def _page(documents: Mapping[tuple[str, ...], Mapping[str, Any]], query: PageQuery) -> ResponseReturnValue:
    """The page behind the last one seen: there are few of each kind, and all are read anyway."""
    keys = sorted(documents)
    seen = query.after(*(str,) * len(keys[0])) if keys else None
    shown = [key for key in keys if seen is None or key > seen][: query.limit + 1]
    return page([documents[key] for key in shown], query, shown)


def _shown(services: Services, credential: Credential) -> dict[str, Any]:
    return credential_to_document(credential, now=services.clock.now())


def _made(services: Services, made: Made) -> dict[str, Any]:
    return {"secret": made.secret, "credential": _shown(services, made.credential)}


def _invitation(invitation: Invitation) -> dict[str, Any]:
    return {
        "user": user_to_document(invitation.user),
        "link": f"/login/link/{invitation.secret}",
        "expires_at": invitation.expires_at.isoformat(),
    }
