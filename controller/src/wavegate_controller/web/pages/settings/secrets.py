"""API tokens and SDK keys: each secret is shown once, in the answer to the form that made it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from wavegate_controller.documents.people import KeyDocument, RotationDocument, TokenDocument, to_roles
from wavegate_controller.documents.reading import parse
from wavegate_controller.domain.access import Kind as PrincipalKind
from wavegate_controller.domain.access import Permission
from wavegate_controller.domain.credential import Credential, Kind
from wavegate_controller.identity import here, principal
from wavegate_controller.service import credentials
from wavegate_controller.service.credentials import Made
from wavegate_controller.service.services import Services
from wavegate_controller.web.pages.settings.frame import form, frame, given_roles, made, places, role_options, tried
from wavegate_controller.web.refusals import Refused
from wavegate_controller.web.signing import signer

_TOKENS: Final = "settings_tokens"
_KEYS: Final = "settings_keys"


def add_tokens(web: Blueprint, services: Services) -> None:
    """The page /settings/tokens."""

    def page(problem: Refused, new: Made | None = None) -> str:
        where, who = here(services), principal()
        return frame(
            where,
            "web/settings/tokens.html",
            _TOKENS,
            found=_in_order(credentials.list_tokens(where, by=who)),
            places=places(where, who),
            roles=role_options(with_reporter=True),
            may_be_anybody_s=any(who.may(Permission.ADMINISTER, place) for place in who.roles),
            may_be_personal=who.kind is PrincipalKind.USER,
            refused=problem,
            new=new,
        )

    @web.get("/settings/tokens")
    def settings_tokens() -> str:
        return page(Refused())

    @web.post("/settings/tokens")
    def create_token() -> ResponseReturnValue:
        def make() -> ResponseReturnValue:
            fields = _named() | {"roles": given_roles(), "personal": request.form.get("personal") == "true"}
            document = parse(TokenDocument, fields)
            new = credentials.create_token(
                here(services),
                document.name,
                to_roles(document.roles),
                personal=document.personal,
                expires_in=document.expires_in,
                by=signer(),
            )
            return page(Refused(), new), 201

        return made(page, make, ("name", "roles", "personal", "expires_in"))

    _add_ends(web, services, Kind.API_TOKEN, "tokens", page)


def add_keys(web: Blueprint, services: Services) -> None:
    """The page /settings/keys."""

    def page(problem: Refused, new: Made | None = None) -> str:
        where, who = here(services), principal()
        return frame(
            where,
            "web/settings/keys.html",
            _KEYS,
            found=_in_order(credentials.list_keys(where, by=who)),
            may_create=who.may(Permission.ADMINISTER, where.environment),
            refused=problem,
            new=new,
        )

    @web.get("/settings/keys")
    def settings_keys() -> str:
        return page(Refused())

    @web.post("/settings/keys")
    def create_key() -> ResponseReturnValue:
        def make() -> ResponseReturnValue:
            document = parse(KeyDocument, _named())
            new = credentials.create_key(here(services), document.name, expires_in=document.expires_in, by=signer())
            return page(Refused(), new), 201

        return made(page, make, ("name", "expires_in"))

    _add_ends(web, services, Kind.SDK_KEY, "keys", page)


def _add_ends(web: Blueprint, services: Services, kind: Kind, tab: str, page: Callable[..., str]) -> None:
    """A successor, and the end."""

    def rotate(credential: str) -> ResponseReturnValue:
        def make() -> ResponseReturnValue:
            document = parse(RotationDocument, {"overlap": form("overlap")["overlap"] or "0s"})
            new = credentials.rotate(here(services), kind, credential, overlap=document.overlap, by=signer())
            return page(Refused(), new), 201

        return made(page, make, ())

    def revoke(credential: str) -> ResponseReturnValue:
        return tried(page, lambda: credentials.revoke(here(services), kind, credential, by=signer()), f"settings_{tab}")

    base = f"/settings/{tab}/<credential>"
    web.add_url_rule(f"{base}/rotate", f"rotate_{tab}", rotate, methods=["POST"])
    web.add_url_rule(f"{base}/revoke", f"revoke_{tab}", revoke, methods=["POST"])


def _named() -> dict[str, Any]:
    """Name and lifetime; left empty for always."""
    given: Mapping[str, str] = form("name", "expires_in")
    return {"name": given["name"]} | ({"expires_in": given["expires_in"]} if given["expires_in"] else {})


def _in_order(found: Sequence[Credential]) -> list[Credential]:
    """Those that let somebody in first, by name."""
    return sorted(found, key=lambda each: (each.revoked_at is not None, each.name, each.created_at))
