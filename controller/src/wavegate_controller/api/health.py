"""Whether the process is alive and whether it can work: for load balancers and orchestrators, so without tokens."""

import logging
from typing import Final

from flask.typing import ResponseReturnValue

from wavegate_controller.api.errors import problem
from wavegate_controller.api.operations import Operations
from wavegate_controller.documents.shown import HealthShown
from wavegate_controller.domain.access import SYSTEM
from wavegate_controller.service import queries
from wavegate_controller.service.services import Services

_log: Final = logging.getLogger(__name__)

health: Final = Operations("health", "For load balancers and orchestrators.", prefix="", is_open=True)


@health.get("/healthz", "Say that the process is alive", answer=HealthShown)
def healthz() -> ResponseReturnValue:
    """Whatever its database does."""
    return {"status": "ok"}


@health.get("/readyz", "Say whether the database answers", answer=HealthShown)
def readyz(services: Services) -> ResponseReturnValue:
    """503 while it does not."""
    try:
        queries.ruleset_in_force(services, by=SYSTEM)
    except Exception:  # noqa: BLE001 - whatever the driver of the database raises, it means: not ready
        _log.exception("action=not_ready")
        return problem(503, title="Not ready", detail="The database does not answer.", kind="not-ready")
    return {"status": "ok"}
