"""What this controller serves, over HTTP."""

from importlib.metadata import version

from flask import Blueprint
from flask.typing import ResponseReturnValue

from wavegate_controller.api.reading import Query, read_query
from wavegate_controller.service import queries
from wavegate_controller.service.services import Services


def make_status(services: Services) -> Blueprint:
    """The path /status."""
    blueprint = Blueprint("status", __name__)
    controller_version = version("wavegate-controller")

    @blueprint.get("/status")
    def status() -> ResponseReturnValue:
        read_query(Query)
        ruleset = queries.ruleset_in_force(services)
        return {
            "environment": services.environment,
            "revision": ruleset.revision if ruleset else 0,
            "published_at": ruleset.published_at.isoformat() if ruleset else None,
            "version": controller_version,
            "notice": services.provider.notice,
        }

    return blueprint
