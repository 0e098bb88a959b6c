"""Signing in at an identity provider by OpenID Connect; the only door to Authlib.

The authorization code flow with PKCE, state and nonce. What must come back unseen goes into a cookie of the browser
that left, so that nobody else's browser can be made to arrive with it. Every failure is a SignInRefused that says which
step failed.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hmac import compare_digest
from typing import Any, Final

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from wavegate_controller.domain.access import EVERYWHERE, Role, Roles
from wavegate_controller.domain.account import check_person
from wavegate_controller.domain.errors import Invalid, SignInRefused
from wavegate_controller.ports import Arrival, Departure

_TIMEOUT_SECONDS: Final = 10.0
#: How far the two clocks may be apart.
_LEEWAY_SECONDS: Final = 60
#: With a secret that both know, whoever can verify could sign: only pairs of keys.
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


class OidcProvider:
    """Fulfils `ports.IdentityProvider`.

    Args:
        issuer: who alone may say who people are.
        client_id: by which it knows this controller.
        client_secret: by which this controller shows itself; None for a public client.
        scopes: what to ask for.
        claims: names of the claims with the name and with the groups of somebody.
        roles: group, or `*` for everybody, to the roles that follow.
        label: what people call it.
    """

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        client_secret: str | None,
        scopes: Sequence[str],
        claims: tuple[str, str],
        roles: Mapping[str, Roles],
        label: str,
    ) -> None:
        self.label = label
        self._issuer = issuer
        self._client = client_id, client_secret
        self._scopes = " ".join(scopes)
        self._name_claim, self._groups_claim = claims
        self._roles = roles

    def depart(self, *, back_to: str) -> Departure:
        """Send a browser there.

        Raises:
            SignInRefused: the provider cannot be reached, or is not the one of the settings.
        """
        verifier, nonce = generate_token(64), generate_token(32)
        with self._session(back_to) as session:
            url, state = session.create_authorization_url(
                self._discovered()["authorization_endpoint"], code_verifier=verifier, nonce=nonce
            )
        memory = json.dumps({"state": state, "nonce": nonce, "verifier": verifier})
        return Departure(url=url, memory=base64.urlsafe_b64encode(memory.encode()).decode())

    def arrive(self, query: Mapping[str, str], *, memory: str, back_to: str, now: datetime) -> Arrival:
        """Understand what a browser brings back.

        Raises:
            SignInRefused: naming what is wrong with it.
        """
        remembered = _remembered(memory)
        if not compare_digest(query.get("state", "").encode(), remembered["state"].encode()):
            raise SignInRefused("this sign-in was not begun in this browser, or took too long; begin again")
        if query.get("iss", self._issuer) != self._issuer:
            raise SignInRefused(f"the answer comes from {query['iss']!r}, not from the issuer of the settings")
        if "error" in query:
            raise SignInRefused(f"{self.label} refused: {query.get('error_description') or query['error']}")
        if not query.get("code"):
            raise SignInRefused(f"{self.label} sent no code back")
        discovered = self._discovered()
        id_token = self._redeemed(discovered, query["code"], remembered["verifier"], back_to)
        claims = self._verified(discovered, id_token, nonce=remembered["nonce"], now=now)
        return self._arrival(claims)

    def _redeemed(self, discovered: Mapping[str, Any], code: str, verifier: str, back_to: str) -> str:
        try:
            with self._session(back_to) as session:
                token = session.fetch_token(
                    discovered["token_endpoint"], code=code, code_verifier=verifier, timeout=_TIMEOUT_SECONDS
                )
        except (AuthlibBaseError, requests.RequestException, ValueError) as error:
            raise SignInRefused(f"{self.label} does not redeem its code: {error}") from None
        if not isinstance(token.get("id_token"), str):
            raise SignInRefused(f"{self.label} sent no ID token; is `openid` among oidc_scopes?")
        return str(token["id_token"])

    def _verified(
        self, discovered: Mapping[str, Any], id_token: str, *, nonce: str, now: datetime
    ) -> Mapping[str, Any]:
        options = {"iss": {"essential": True, "value": self._issuer}}
        params = {"nonce": nonce, "client_id": self._client[0]}
        try:
            keys = KeySet.import_key_set(self._fetched(discovered["jwks_uri"]))  # type: ignore[arg-type]
            token = jwt.decode(id_token, keys, algorithms=list(_ALGORITHMS))
            claims = CodeIDToken(token.claims, token.header, options, params)
            claims.validate(now=int(now.timestamp()), leeway=_LEEWAY_SECONDS)
        except (JoseError, AuthlibBaseError, ValueError, KeyError, TypeError) as error:
            raise SignInRefused(f"the ID token of {self.label} does not hold: {error}") from None
        return dict(token.claims)

    def _arrival(self, claims: Mapping[str, Any]) -> Arrival:
        if self._name_claim == "email" and claims.get("email_verified") is False:
            raise SignInRefused(f"{self.label} has not verified the e-mail address {claims.get('email')!r}")
        name = claims.get(self._name_claim)
        if not isinstance(name, str):
            raise SignInRefused(f"{self.label} does not say {self._name_claim!r}, which people sign with here")
        try:
            check_person(self._name_claim, name)
        except Invalid as refusal:
            raise SignInRefused(str(refusal)) from None
        given = claims.get(self._groups_claim, ())
        groups = [given] if isinstance(given, str) else [each for each in given if isinstance(each, str)]
        return Arrival(subject=f"{self._issuer} {claims['sub']}", name=name, roles=self._roles_of(groups))

    def _roles_of(self, groups: Sequence[str]) -> Roles:
        """All that their groups are given; the stronger where two say something of one environment."""
        roles: dict[str, Role] = {}
        for group in (EVERYWHERE, *groups):
            for place, role in self._roles.get(group, {}).items():
                if place not in roles or role.covers(roles[place]):
                    roles[place] = role
        return roles

    def _discovered(self) -> Mapping[str, Any]:
        found = self._fetched(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._issuer:
            raise SignInRefused(f"{self._issuer} calls itself {found.get('issuer')!r}; oidc_issuer must say the same")
        for needed in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(found.get(needed), str):
                raise SignInRefused(f"{self._issuer} does not say its {needed}")
        return found

    def _fetched(self, url: str) -> Mapping[str, Any]:
        try:
            response = requests.get(url, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
            response.raise_for_status()
            document = response.json()
        except (requests.RequestException, ValueError) as error:
            raise SignInRefused(f"{self.label} cannot be asked: {error}") from None
        if not isinstance(document, dict):
            raise SignInRefused(f"{self.label} cannot be asked: {url} is no JSON object")
        return document

    def _session(self, back_to: str) -> OAuth2Session:
        client_id, client_secret = self._client
        return OAuth2Session(
            client_id,
            client_secret,
            scope=self._scopes,
            redirect_uri=back_to,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if client_secret else "none",
        )


def _remembered(memory: str) -> Mapping[str, str]:
    try:
        found = json.loads(base64.urlsafe_b64decode(memory.encode()))
        return {name: str(found[name]) for name in ("state", "nonce", "verifier")}
    except (ValueError, KeyError, TypeError):
        raise SignInRefused("this sign-in was not begun in this browser, or took too long; begin again") from None
