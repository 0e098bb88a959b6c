"""A drill as the database keeps it."""

from datetime import datetime
from typing import Any

from wavegate_controller.documents.reading import Document, parse
from wavegate_controller.domain.access import Kind
from wavegate_controller.domain.drill import Drill, DrillState


class DrillDocument(Document, strict=False):
    """All of a drill."""

    flag_key: str
    environment: str
    shadow: str | None
    rollout_id: str
    begun_by: str
    begun_as: Kind
    injected_at: datetime
    ends_by: datetime
    state: DrillState
    decided_at: datetime | None
    published_at: datetime | None
    delivered: int
    of: int
    last_off_at: datetime | None
    restored: bool | None
    version: int


def drill_to_document(drill: Drill) -> dict[str, Any]:
    """The drill as JSON."""
    values = {name: getattr(drill, name) for name in DrillDocument.model_fields}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def drill_from_document(document: object) -> Drill:
    """The drill that `drill_to_document` wrote down."""
    return Drill(**dict(parse(DrillDocument, document)))
