"""The blueprint: what stands at which path, and what guards it."""

from collections.abc import Mapping
from typing import Final

from flask import Blueprint, Response, request

from wavegate_controller.api import errors
from wavegate_controller.api.decisions import make_decisions
from wavegate_controller.api.flags import make_flags
from wavegate_controller.api.health import make_health
from wavegate_controller.api.presets import make_presets
from wavegate_controller.api.rollouts import make_rollouts
from wavegate_controller.api.signing import sign
from wavegate_controller.api.status import make_status
from wavegate_controller.service.services import Services

#: The largest document is a plan of some kilobytes.
MAX_BODY: Final = 1024 * 1024


def make_api(services: Services, *, tokens: Mapping[str, str]) -> Blueprint:
    """The API at /api/v1, and /healthz and /readyz beside it.

    Args:
        services: the world.
        tokens: person's name to API token; with none, nobody is asked for one.
    """
    v1 = Blueprint("v1", __name__, url_prefix="/api/v1")

    @v1.before_request
    def guard() -> None:
        request.max_content_length = MAX_BODY
        sign(tokens)

    @v1.after_request
    def never_stored(response: Response) -> Response:
        response.cache_control.no_store = True
        return response

    parts = (
        make_flags(services),
        make_rollouts(services),
        make_decisions(services),
        make_presets(),
        make_status(services),
    )
    for part in parts:
        v1.register_blueprint(part)
    api = Blueprint("api", __name__)
    api.register_blueprint(v1)
    api.register_blueprint(make_health(services))
    errors.register(v1, api)
    return api
