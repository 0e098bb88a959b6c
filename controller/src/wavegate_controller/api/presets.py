"""Ready-made gates over HTTP."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from wavegate_controller.api.reading import Query, read_query
from wavegate_controller.documents import presets_to_documents


def make_presets() -> Blueprint:
    """The path /presets."""
    blueprint = Blueprint("presets", __name__, url_prefix="/presets")

    @blueprint.get("")
    def overview() -> ResponseReturnValue:
        read_query(Query)
        return {"items": presets_to_documents()}

    return blueprint
