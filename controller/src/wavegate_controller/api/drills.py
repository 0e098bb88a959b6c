"""Drills of the way back, over HTTP."""

from datetime import datetime
from typing import Any, Final

from flask.typing import ResponseReturnValue
from pydantic import Field

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.reading import Act
from wavegate_controller.documents.shown import Shown
from wavegate_controller.domain.access import Principal
from wavegate_controller.domain.drill import Drill, DrillState
from wavegate_controller.domain.errors import Conflict
from wavegate_controller.service import drills as service
from wavegate_controller.service.services import Services

drills: Final = Operations("drills", "Whether the way back works, tried before it is needed.")


class DrillShown(Shown):
    """How far a drill is."""

    flag: str
    shadow: str = Field(description="The flag that stands in for it; apps hear of it, and nobody asks for it.")
    state: DrillState
    injected_at: datetime
    decided_seconds: float | None = Field(description="From the breach until the reconciler had rolled back.")
    published_seconds: float | None = Field(description="Until apps were offered the revision without it.")
    last_off_seconds: float | None = Field(description="Until the last of them had it.")
    delivered: int
    of: int


@drills.post("/flags/{key}/drill", "Drill the way back", answer=DrillShown, status=201, problems=[Conflict])
def begin_drill(services: Services, by: Principal, key: str, body: Act) -> ResponseReturnValue:  # noqa: ARG001 - signs
    """A breach that is made up, on a flag that stands in for this one; all else is as always."""
    return _shown(service.begin_drill(services, key, by=by)), 201


@drills.post("/flags/{key}/drill/look", "Look how far a drill is", answer=DrillShown)
def look_at_drill(services: Services, by: Principal, key: str, body: Act) -> ResponseReturnValue:  # noqa: ARG001 - signs
    """Once everybody is off it is written down, and what stood in for the flag is put away."""
    return _shown(service.look_at_drill(services, key, by=by))


@drills.post("/flags/{key}/drill/abort", "End a drill", answer=DrillShown)
def abort_drill(services: Services, by: Principal, key: str, body: Act) -> ResponseReturnValue:  # noqa: ARG001 - signs
    """What stood in for the flag is put away."""
    return _shown(service.abort_drill(services, key, by=by))


def _shown(drill: Drill) -> dict[str, Any]:
    return {
        "flag": drill.flag_key,
        "shadow": drill.shadow,
        "state": drill.state,
        "injected_at": drill.injected_at.isoformat(),
        **service.timings(drill),
    }
