"""The routes of the pages, and the headers that keep a browser from doing anything but showing them."""

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for

from wavegate_controller.domain.errors import Forbidden, NotFound
from wavegate_controller.domain.rollout import WATCHED
from wavegate_controller.identity import Identity, csrf, here, principal
from wavegate_controller.service import queries
from wavegate_controller.service.environments import list_environments
from wavegate_controller.service.queries import FlagView
from wavegate_controller.service.services import Services
from wavegate_controller.web import charts, sentences
from wavegate_controller.web.account import add_account
from wavegate_controller.web.confirm import confirm
from wavegate_controller.web.gates import gate_cards, request_share
from wavegate_controller.web.headers import harden
from wavegate_controller.web.history import lines, wave_times

#: Where a person must act, in the order of urgency; then what moves by itself; the rest follows.
_NEEDS_A_PERSON: Final = ("stopped", "cannot_measure", "rolled_back", "awaiting_approval", "paused")
_MOVES: Final = ("running",)
#: Where the command line looks for a controller unless it is told.
_DEFAULT_URL: Final = "http://127.0.0.1:8080"
#: The forms have few and short fields.
_MAX_BODY: Final = 64 * 1024
#: How much of a rollout's past the page of a flag reads, and how many lines of it are shown.
_LOOKS: Final = 200
_MOVES_BEYOND: Final = 50
_LINES: Final = 60


def make_web(services: Services, identity: Identity) -> Blueprint:
    """The pages, to be mounted at the root."""
    web = Blueprint("web", __name__, template_folder="templates", static_folder="static", static_url_path="/assets")
    web.after_request(harden)
    for words in sentences.FILTERS:
        web.add_app_template_filter(words)

    web.before_request(partial(_identify, identity))

    @web.url_defaults
    def stay_in_the_environment(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint != "web.static" and (named := request.args.get("environment")):
            values.setdefault("environment", named)

    @web.context_processor
    def common() -> dict[str, object]:
        url = request.host_url.rstrip("/")
        return {
            "say": sentences,
            "environment": request.args.get("environment", services.environment),
            "environments": [each.name for each in list_environments(services, by=principal())],
            "person": principal(),
            "is_open": identity.is_open,
            "csrf": csrf(),
            "notice": services.provider.notice,
            "controller_url": None if url == _DEFAULT_URL else url,
        }

    add_account(web, services, identity)

    @web.get("/")
    def overview() -> str:
        views = queries.overview(here(services), by=principal())
        return render_template(
            "web/overview.html",
            groups=_groups(views),
            total=len(views),
            now=services.clock.now(),
        )

    @web.get("/flags/<key>")
    def flag(key: str) -> str:
        story = queries.flag_story(
            here(services), key, looks=_LOOKS, moves=_MOVES_BEYOND, lookback=charts.LOOKBACK, by=principal()
        )
        rollout = story.view.rollout.rollout if story.view.rollout else None
        told = lines(story.decisions, looks=_LOOKS)
        return render_template(
            "web/flag.html",
            story=story,
            view=story.view,
            flag=story.view.flag,
            rollout=rollout,
            gates=gate_cards(story, rollout) if rollout else (),
            chart_height=charts.HEIGHT,
            share=request_share(story.measurements),
            opened=wave_times(story.decisions),
            lines=told[:_LINES],
            older=len(told) > _LINES or len(story.decisions) >= _LOOKS,
            watched=rollout is not None and rollout.state in WATCHED,
            now=story.now,
        )

    web.add_url_rule("/flags/<key>/confirm/<event>", "confirm", partial(confirm, services))

    @web.errorhandler(Forbidden)
    def forbidden(refusal: Forbidden) -> tuple[str, int]:
        page = render_template("web/forbidden.html", refusal=refusal, now=services.clock.now())
        return page, HTTPStatus.FORBIDDEN

    @web.errorhandler(NotFound)
    def not_found(refusal: NotFound) -> tuple[str, int]:
        page = render_template("web/not_found.html", refusal=refusal, now=services.clock.now())
        return page, HTTPStatus.NOT_FOUND

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


def _groups(views: Sequence[FlagView]) -> list[tuple[str, str, list[FlagView]]]:
    """Flags by who must do something next; empty groups are left out."""
    standing = {view.flag.key: sentences.standing(view) for view in views}
    urgent = sorted(
        (view for view in views if standing[view.flag.key] in _NEEDS_A_PERSON),
        key=lambda view: _NEEDS_A_PERSON.index(standing[view.flag.key]),
    )
    moving = [view for view in views if standing[view.flag.key] in _MOVES]
    rest = [view for view in views if standing[view.flag.key] not in (*_NEEDS_A_PERSON, *_MOVES)]
    groups = [("urgent", "Needs a person", urgent), ("moving", "Running", moving), ("rest", "Everything else", rest)]
    return [group for group in groups if group[2]]
