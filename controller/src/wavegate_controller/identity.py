"""Who sends a request, and of which environment it speaks: the same for the API and for the pages.

A token counts before a cookie, and a wrong token is not made up for by one. Browsers send cookies by themselves, also
on behalf of other people's pages, so whatever is to change something must then show that it comes from a page of ours:
by its `Origin`, and by a word that only our pages know (`Wavegate-CSRF`, or the field `csrf` of a form).
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast
from urllib.parse import urlsplit

from flask import Response, g, request
from werkzeug.exceptions import Forbidden, MisdirectedRequest

from wavegate_controller.domain.access import EVERYWHERE, Kind, Principal, Role, Roles
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.service import credentials, sessions
from wavegate_controller.service.services import Services
from wavegate_controller.service.sessions import SignedIn

#: Header in which a page of ours shows that it is one.
CSRF_HEADER: Final = "Wavegate-CSRF"
CSRF_FIELD: Final = "csrf"
_COOKIE: Final = "wavegate_session"
#: Browsers take a cookie with this prefix over https only, from this very host, and for all its paths.
_SECURE_COOKIE: Final = "__Host-wavegate_session"
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_NOBODY: Final = "anybody"


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedToken:
    """A token of the settings, in the clear as it stands there."""

    token: str
    roles: Roles


class Identity:
    """Tells who sends a request.

    Args:
        services: the world.
        tokens: name to token, those of the settings.
        is_open: whoever shows no token may do everything, under any name; for one machine only.
        lifetime: of the sessions of browsers.
        public_url: where people reach the controller; with https, cookies are for https only.
    """

    def __init__(
        self,
        services: Services,
        *,
        tokens: Mapping[str, FixedToken] | None = None,
        is_open: bool = False,
        lifetime: timedelta = timedelta(hours=12),
        public_url: str = "",
    ) -> None:
        self._services = services
        self._tokens = dict(tokens or {})
        self.is_open = is_open
        self.lifetime = lifetime
        self._is_https = public_url.startswith("https:")

    def identify(self) -> Principal | None:
        """Who sends the request that is being answered; None for somebody unknown. Remembered for `principal`.

        Raises:
            Forbidden: a browser sends it, and not on behalf of a page of ours.
            MisdirectedRequest: an open controller is reached by a name that is not this machine's.
        """
        g.principal, g.csrf = self._identify(), getattr(g, "csrf", "")
        return cast("Principal | None", g.principal)

    def _identify(self) -> Principal | None:
        if "Authorization" in request.headers:
            return self._by_token(_bearer() or "")
        if self.session_secret is not None and (found := sessions.find(self._services, self.session_secret)):
            g.csrf = csrf_of(self.session_secret)
            if request.method not in _READS:
                check_origin()
                _check_csrf()
            return found[1].principal
        if not self.is_open:
            return None
        _check_host()
        if request.method not in _READS:
            check_origin()
        return unproven(_NOBODY)

    def _by_token(self, given: str) -> Principal | None:
        # All of them are compared, each in constant time: how long it takes says nothing about how near a guess is.
        known = [
            Principal(name=name, kind=Kind.TOKEN, roles=fixed.roles)
            for name, fixed in self._tokens.items()
            if hmac.compare_digest(fixed.token.encode(), given.encode())
        ]
        return known[0] if known else credentials.holder(self._services, given)

    @property
    def session_secret(self) -> str | None:
        """What the browser's cookie holds."""
        return request.cookies.get(self._cookie)

    def let_in(self, response: Response, signed_in: SignedIn) -> None:
        """Give the browser its session."""
        response.set_cookie(
            self._cookie,
            signed_in.secret,
            max_age=self.lifetime,
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="Lax",
        )

    def let_go(self, response: Response) -> None:
        """Take it away again."""
        response.delete_cookie(self._cookie, path="/", secure=self._is_secure, httponly=True, samesite="Lax")

    def remember(self, response: Response, name: str, value: str, *, seconds: int, path: str) -> None:
        """Have the browser bring something back for a while, beneath that path."""
        response.set_cookie(
            name, value, max_age=seconds, path=path, secure=self._is_secure, httponly=True, samesite="Lax"
        )

    @property
    def _cookie(self) -> str:
        return _SECURE_COOKIE if self._is_secure else _COOKIE

    @property
    def _is_secure(self) -> bool:
        return self._is_https or request.is_secure


def principal() -> Principal:
    """Who sends the request, once they were identified."""
    return cast("Principal", g.principal)


def signer(given: str | None) -> Principal:
    """Who signs an act: who sends it, in whose name alone they may sign; where nobody is known, the name given.

    Raises:
        Invalid: no name, or another one than theirs.
    """
    sender = principal()
    if sender.kind is Kind.UNPROVEN:
        if given is None:
            raise Invalid("actor", "is missing", "the name of the person who asks")
        return unproven(given)
    if given not in (None, sender.name):
        raise Invalid("actor", f"{given!r} is not who sends this", f"{sender.name!r}, or no actor at all")
    return sender


def unproven(name: str) -> Principal:
    """Somebody who says a name, where that is enough."""
    return Principal(name=name, kind=Kind.UNPROVEN, roles={EVERYWHERE: Role.ADMIN})


def here(services: Services) -> Services:
    """The services of the environment that the request names; by default that of the controller.

    Raises:
        NotFound: there is no such environment.
    """
    named = request.args.get("environment")
    return services if named is None else services.within(named)


def csrf() -> str:
    """The word by which a page of this session shows that it is one of ours; empty without a session."""
    return cast("str", g.get("csrf", ""))


def csrf_of(session_secret: str) -> str:
    """It follows from the session, so there is nothing to keep; the session does not follow from it."""
    return hashlib.sha256(b"csrf " + session_secret.encode()).hexdigest()


def check_origin() -> None:
    """Refuse what a browser sends on behalf of another site's page.

    Raises:
        Forbidden: it says so.
    """
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise Forbidden(f"this comes from a page of {origin}, which may not act here")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("this comes from a page of another site, which may not act here")


def _check_csrf() -> None:
    given = request.headers.get(CSRF_HEADER) or request.form.get(CSRF_FIELD, "")
    if not hmac.compare_digest(given.encode(), g.csrf.encode()):
        raise Forbidden(f"a browser must show `{CSRF_HEADER}`, which the page has; load the page again")


def _check_host() -> None:
    """A page elsewhere may have its name lead to this machine, and would then be of the same origin."""
    host = urlsplit(f"//{request.host}").hostname or ""
    try:
        is_here = host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        raise MisdirectedRequest(f"this controller is open, and reached as {host!r} it is not on this machine")


def _bearer() -> str | None:
    given = request.authorization
    return given.token if given and given.type == "bearer" else None
