"""Whether the process is alive and whether it can work: for load balancers and orchestrators, so without tokens."""

import logging
from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from wavegate_controller.api.errors import problem
from wavegate_controller.service import queries
from wavegate_controller.service.services import Services

_log: Final = logging.getLogger(__name__)


def make_health(services: Services) -> Blueprint:
    """The paths /healthz and /readyz."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def healthz() -> ResponseReturnValue:
        return {"status": "ok"}

    @blueprint.get("/readyz")
    def readyz() -> ResponseReturnValue:
        try:
            queries.ruleset_in_force(services)
        except Exception:  # noqa: BLE001 - whatever the driver of the database raises, it means: not ready
            _log.exception("action=not_ready")
            return problem(503, title="Not ready", detail="The database does not answer.", kind="not-ready")
        return {"status": "ok"}

    return blueprint
