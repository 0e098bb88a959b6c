"""What all pages have in common: who looks, the environment they speak of, the words, the headers, the refusals."""

from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for

from wavegate_controller.domain.errors import Forbidden, NotFound
from wavegate_controller.identity import Identity, csrf, principal
from wavegate_controller.service.environments import list_environments
from wavegate_controller.service.services import Services
from wavegate_controller.web import sentences
from wavegate_controller.web.assets import CHART_SCRIPTS, CHART_STYLES, SCRIPTS, STYLES
from wavegate_controller.web.compression import compress
from wavegate_controller.web.headers import harden
from wavegate_controller.web.navigation import has_page, navigation
from wavegate_controller.web.pages import PAGES
from wavegate_controller.web.pages.account import add_account
from wavegate_controller.web.signing import add_signing, given_name

#: Where the command line looks for a controller unless it is told.
_DEFAULT_URL: Final = "http://127.0.0.1:8080"
#: The longest form holds a plan.
_MAX_BODY: Final = 256 * 1024


def make_web(services: Services, identity: Identity) -> Blueprint:
    """The pages, to be mounted at the root."""
    web = Blueprint("web", __name__, template_folder="templates", static_folder="static", static_url_path="/assets")
    web.after_request(compress)
    web.after_request(harden)
    web.before_request(partial(_identify, identity))
    for words in sentences.FILTERS:
        web.add_app_template_filter(words)
    web.add_app_template_global(csrf, "csrf_word")
    web.add_app_template_global(has_page)

    @web.url_defaults
    def stay_in_the_environment(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint != "web.static" and (named := request.args.get("environment")):
            values.setdefault("environment", named)

    @web.app_context_processor
    def files() -> dict[str, object]:
        return {"styles": STYLES, "scripts": SCRIPTS, "chart_styles": CHART_STYLES, "chart_scripts": CHART_SCRIPTS}

    @web.context_processor
    def common() -> dict[str, object]:
        url = request.host_url.rstrip("/")
        return {
            "say": sentences,
            "environment": request.args.get("environment", services.environment),
            "environments": [each.name for each in list_environments(services, by=principal())],
            "navigation": navigation(),
            "person": principal(),
            "is_open": identity.is_open,
            "given_name": given_name(),
            "notice": services.provider.notice,
            "now": services.clock.now(),
            "controller_url": None if url == _DEFAULT_URL else url,
        }

    for add_page in PAGES:
        add_page(web, services)
    add_account(web, services, identity)
    add_signing(web)

    @web.errorhandler(Forbidden)
    def forbidden(refusal: Forbidden) -> tuple[str, int]:
        return render_template("web/forbidden.html", refusal=refusal), HTTPStatus.FORBIDDEN

    @web.errorhandler(NotFound)
    def not_found(refusal: NotFound) -> tuple[str, int]:
        return render_template("web/not_found.html", refusal=refusal), HTTPStatus.NOT_FOUND

    return web


def _identify(identity: Identity) -> Response | None:
    """Let in whom we know, and show others where to sign in."""
    request.max_content_length = _MAX_BODY
    if "\0" in request.path or "\0" in request.args.get("environment", ""):
        abort(HTTPStatus.NOT_FOUND)
    if request.endpoint == "web.static" or identity.identify() is not None:
        return None
    if request.method != "GET":
        abort(HTTPStatus.UNAUTHORIZED)
    then = request.full_path.rstrip("?")
    return cast("Response", redirect(url_for("door.login", next=None if then == "/" else then)))
