"""What this controller serves, over HTTP."""

from importlib.metadata import version
from typing import Final

from flask.typing import ResponseReturnValue

from wavegate_controller.api.operations import Operations
from wavegate_controller.documents.shown import StatusShown
from wavegate_controller.domain.access import Principal
from wavegate_controller.service import queries
from wavegate_controller.service.services import Services

status: Final = Operations("status", "The controller itself.")
_VERSION: Final = version("wavegate-controller")


@status.get("/status", "Say what is served", answer=StatusShown)
def show_status(services: Services, by: Principal) -> ResponseReturnValue:
    """Environment, ruleset revision in force, and version."""
    ruleset = queries.ruleset_in_force(services, by=by)
    return {
        "environment": services.environment,
        "revision": ruleset.revision if ruleset else 0,
        "published_at": ruleset.published_at.isoformat() if ruleset else None,
        "version": _VERSION,
        "notice": services.provider.notice,
    }
