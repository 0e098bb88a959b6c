"""The blueprint: what stands at which path, and what guards it."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from wavegate_controller.api import errors
from wavegate_controller.api.alerts import alerts
from wavegate_controller.api.audit import audit
from wavegate_controller.api.catalog import freezes, plans, segments
from wavegate_controller.api.configuration import configuration
from wavegate_controller.api.decisions import decisions
from wavegate_controller.api.delivery import delivery
from wavegate_controller.api.drills import drills
from wavegate_controller.api.events import events
from wavegate_controller.api.feedback import feedback
from wavegate_controller.api.flags import flags
from wavegate_controller.api.health import health
from wavegate_controller.api.notifications import notifications
from wavegate_controller.api.openapi import describe
from wavegate_controller.api.operations import Operations
from wavegate_controller.api.passports import passports
from wavegate_controller.api.people import environments_of, keys, login, tokens, users
from wavegate_controller.api.presets import presets
from wavegate_controller.api.rollouts import rollouts
from wavegate_controller.api.status import status
from wavegate_controller.documents.shown import AnyShown
from wavegate_controller.identity import Identity
from wavegate_controller.service.services import Services

#: The largest document is a plan of some kilobytes.
MAX_BODY: Final = 1024 * 1024

document: Final = Operations("document", "This description of the API.", is_open=True)

#: All that the API can do, in the order in which it is documented.
OPERATIONS: Final = (
    flags,
    passports,
    drills,
    feedback,
    segments,
    rollouts,
    plans,
    freezes,
    decisions,
    environments_of,
    users,
    tokens,
    keys,
    login,
    audit,
    events,
    notifications,
    alerts,
    configuration,
    presets,
    delivery,
    status,
    document,
    health,
)
#: What every process answers, whatever its role.
HEALTH: Final = (health,)


@document.get("/openapi.json", "Describe the API", answer=AnyShown)
def show_openapi() -> ResponseReturnValue:
    """As an OpenAPI 3.1 document, from which clients can be generated."""
    return _described()


@cache
def _described() -> dict[str, Any]:
    return describe(OPERATIONS)


def make_api(services: Services, identity: Identity, *, parts: Sequence[Operations] = OPERATIONS) -> Blueprint:
    """The API at /api/v1, and /healthz and /readyz beside it.

    Args:
        services: the world.
        identity: tells who sends a request.
        parts: of the API; for a process that is not the control plane, `HEALTH` alone.
    """
    api = Blueprint("api", __name__)
    v1 = Blueprint("v1", __name__)

    @api.before_request
    def bound() -> None:
        request.max_content_length = MAX_BODY

    @v1.before_request
    def guard() -> None:
        if identity.identify() is None:
            raise Unauthorized(
                "send a token of this controller as `Authorization: Bearer <token>`",
                www_authenticate=WWWAuthenticate("bearer", {"realm": "wavegate"}),
            )

    @v1.url_defaults
    def stay_in_the_environment(_endpoint: str, values: dict[str, Any]) -> None:
        if named := request.args.get("environment"):
            values.setdefault("environment", named)

    @api.after_request
    def never_stored(response: Response) -> Response:
        response.cache_control.no_store = True
        return response

    for part in parts:
        part.register(api if part.is_open else v1, services)
    api.register_blueprint(v1)
    errors.register(api)
    return api
