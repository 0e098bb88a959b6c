"""The pages by which people come in: sign in, choose a password by a link, go out."""

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.domain.errors import Invalid, NotFound, SignInRefused, Throttled
from wavegate_controller.identity import Identity, check_origin
from wavegate_controller.ports import IdentityProvider
from wavegate_controller.service import accounts, devices, sessions
from wavegate_controller.service.services import Services
from wavegate_controller.service.sessions import SignedIn
from wavegate_controller.web.headers import harden

#: A name and two passwords.
_MAX_BODY: Final = 16 * 1024
_MEMORY: Final = "wavegate_oidc"
_MEMORY_PATH: Final = "/login/oidc"
#: Time to sign in at the identity provider, in seconds.
_MEMORY_SECONDS: Final = 600


def make_door(
    services: Services, identity: Identity, provider: IdentityProvider | None = None, *, public_url: str = ""
) -> Blueprint:
    """The pages beneath /login, to be mounted at the root.

    Args:
        services: the world.
        identity: gives browsers their sessions.
        provider: where people may sign in besides.
        public_url: where people reach the controller, as the identity provider knows it.
    """
    blueprint = Blueprint("door", __name__)
    blueprint.before_request(_bound)
    blueprint.after_request(harden)
    door = _Door(services, identity, provider)
    blueprint.register_error_handler(SignInRefused, door.refused)
    blueprint.register_error_handler(Throttled, door.throttled)
    blueprint.add_url_rule("/login", "login", door.login)
    blueprint.add_url_rule("/login", "sign_in", door.sign_in, methods=["POST"])
    blueprint.add_url_rule("/login/link/<secret>", "link", door.link)
    blueprint.add_url_rule("/login/link/<secret>", "choose", door.choose, methods=["POST"])
    blueprint.add_url_rule("/login/device", "device", door.device)
    blueprint.add_url_rule("/login/device", "let_in", door.let_in, methods=["POST"])
    if provider is not None:
        away = _Away(services, identity, provider, public_url)
        blueprint.add_url_rule("/login/oidc", "depart", away.depart)
        blueprint.add_url_rule("/login/oidc/callback", "arrive", away.arrive)
    return blueprint


class _Door:
    """The views of those who come by password or link."""

    def __init__(self, services: Services, identity: Identity, provider: IdentityProvider | None) -> None:
        self._services = services
        self._identity = identity
        self._provider = provider

    def login(self) -> ResponseReturnValue:
        if self._identity.identify() is not None:
            return redirect(_then(request.args.get("next")))
        return self._login_page("", HTTPStatus.OK)

    def sign_in(self) -> ResponseReturnValue:
        signed_in = sessions.sign_in(
            self._services,
            request.form.get("name", ""),
            request.form.get("password", ""),
            address=request.remote_addr or "",
            lifetime=self._identity.lifetime,
            replaces=self._identity.session_secret,
        )
        return self._arrive(signed_in, _then(request.form.get("next")))

    def link(self, secret: str) -> ResponseReturnValue:
        return self._page("link", user=accounts.invited(self._services, secret))

    def choose(self, secret: str) -> ResponseReturnValue:
        user = accounts.invited(self._services, secret)
        try:
            accounts.accept(self._services, secret, new_password())
        except Invalid as refusal:
            return self._page("link", status=HTTPStatus.UNPROCESSABLE_ENTITY, problem=wrong(refusal), user=user)
        return self._begin(user.name)

    def device(self) -> ResponseReturnValue:
        code = request.args.get("code", "")
        if self._identity.identify() is None:
            return redirect(url_for("door.login", next=url_for("door.device", code=code)), HTTPStatus.SEE_OTHER)
        return self._device_page(code)

    def let_in(self) -> ResponseReturnValue:
        by, code = self._identity.identify(), request.form.get("code", "")
        if by is None:
            return redirect(url_for("door.login", next=url_for("door.device", code=code)), HTTPStatus.SEE_OTHER)
        try:
            let_in = devices.let_in(self._services, code, by=by)
        except (NotFound, SignInRefused) as refusal:
            return self._device_page("", problem=_sentence(refusal), status=HTTPStatus.UNPROCESSABLE_ENTITY)
        return self._page("device", who=by, waiting=None, let_in=let_in, code="")

    def _device_page(self, code: str, *, problem: str = "", status: int = HTTPStatus.OK) -> tuple[str, int]:
        found = None
        if code:
            try:
                found = devices.waiting(self._services, code)
            except NotFound as refusal:
                problem, status = _sentence(refusal), HTTPStatus.NOT_FOUND
        who = self._identity.identify()
        return self._page("device", who=who, waiting=found, let_in=None, code=code, problem=problem, status=status)

    def refused(self, refusal: SignInRefused) -> ResponseReturnValue:
        return self._login_page(_sentence(refusal), HTTPStatus.UNAUTHORIZED)

    def throttled(self, refusal: Throttled) -> ResponseReturnValue:
        text, status = self._login_page(_sentence(refusal), HTTPStatus.TOO_MANY_REQUESTS)
        return text, status, {"Retry-After": str(refusal.seconds)}

    def _login_page(self, problem: str, status: int) -> tuple[str, int]:
        name, then = request.form.get("name", ""), _then(request.values.get("next"))
        return self._page("login", problem=problem, status=status, name=name, then=then)

    def _begin(self, name: str) -> Response:
        replaces = self._identity.session_secret
        lifetime = self._identity.lifetime
        signed_in = sessions.begin(self._services, name, lifetime=lifetime, how="link", replaces=replaces)
        return self._arrive(signed_in, url_for("web.overview"))

    def _arrive(self, signed_in: SignedIn, where: str) -> Response:
        response = make_response(redirect(where, HTTPStatus.SEE_OTHER))
        self._identity.let_in(response, signed_in)
        return response

    def _page(self, template: str, *, status: int = HTTPStatus.OK, problem: str = "", **values: Any) -> tuple[str, int]:
        return render_template(f"web/{template}.html", problem=problem, provider=self._provider, **values), status


class _Away(_Door):
    """The views of those who come by an identity provider."""

    def __init__(self, services: Services, identity: Identity, provider: IdentityProvider, public_url: str) -> None:
        super().__init__(services, identity, provider)
        self._there = provider
        self._public_url = public_url

    def depart(self) -> ResponseReturnValue:
        departure = self._there.depart(back_to=self._back_to())
        response = make_response(redirect(departure.url, HTTPStatus.SEE_OTHER))
        value = f"{departure.memory} {_then(request.args.get('next'))}"
        self._identity.remember(response, _MEMORY, value, seconds=_MEMORY_SECONDS, path=_MEMORY_PATH)
        return response

    def arrive(self) -> ResponseReturnValue:
        memory, _, then = request.cookies.get(_MEMORY, "").partition(" ")
        now = self._services.clock.now()
        arrival = self._there.arrive(request.args.to_dict(), memory=memory, back_to=self._back_to(), now=now)
        signed_in = sessions.sign_in_by_provider(
            self._services,
            arrival.subject,
            arrival.name,
            arrival.roles,
            lifetime=self._identity.lifetime,
            replaces=self._identity.session_secret,
        )
        response = self._arrive(signed_in, _then(then))
        response.delete_cookie(_MEMORY, path=_MEMORY_PATH)
        return response

    def _back_to(self) -> str:
        return (self._public_url or request.host_url).rstrip("/") + url_for("door.arrive")


def _bound() -> None:
    request.max_content_length = _MAX_BODY
    if request.method == "POST":
        check_origin()


def new_password() -> str:
    """What the form holds in both of its fields.

    Raises:
        Invalid: they differ.
    """
    password = request.form.get("password", "")
    if password != request.form.get("again", ""):
        raise Invalid("password", "was not typed the same twice", "the same words in both fields")
    return password


def _then(given: str | None) -> str:
    """Where to go afterwards: within this site, whatever an address in somebody's mail says."""
    if not given or not given.startswith("/") or given[1:2] in ("/", "\\") or any(ord(each) < 33 for each in given):  # noqa: PLR2004
        return "/"
    parts = urlsplit(given)
    return given if not parts.scheme and not parts.netloc else "/"


def _sentence(refusal: Exception) -> str:
    text = str(refusal)
    return f"{text[:1].upper()}{text[1:]}."


def wrong(refusal: Invalid) -> str:
    """A refused field as a sentence."""
    return f"The {refusal.field} {refusal.problem}. What is needed: {refusal.expected}."
