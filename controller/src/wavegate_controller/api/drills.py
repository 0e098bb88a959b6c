"""Drills of the way back, over HTTP."""

from datetime import datetime, timedelta
from typing import Any, Final

from flask.typing import ResponseReturnValue
from pydantic import Field

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.reading import Act
from wavegate_controller.documents.reading import examples
from wavegate_controller.documents.shown import Shown
from wavegate_controller.domain.access import Principal
from wavegate_controller.domain.drill import PATIENCE, Drill, DrillState, timings
from wavegate_controller.domain.errors import Conflict
from wavegate_controller.service import drills as service
from wavegate_controller.service.services import Services

drills: Final = Operations("drills", "Whether the way back works, tried before it is needed.")


class BeginDrill(Act):
    """What is drilled, signed."""

    model_config = examples({"patience_seconds": 60, "actor": "ada"})

    real: bool = Field(default=False, description="Take the feature itself from its users; an approver's.")
    patience_seconds: float = Field(
        default=PATIENCE.total_seconds(),
        ge=5,
        le=600,
        allow_inf_nan=False,
        description="After which it is given up and everything put back.",
    )


class DrillShown(Shown):
    """How far a drill is."""

    flag: str
    shadow: str | None = Field(
        description="The flag that stands in for it; apps hear of it, and nobody asks for it. Null for a real one."
    )
    rollout: str = Field(description="What is rolled back.")
    state: DrillState
    begun_by: str
    ends_by: datetime = Field(description="When it is given up, whatever became of whoever began it.")
    restored: bool | None = Field(description="Of a real one that took anybody off: whether its rollout stands again.")
    injected_at: datetime
    decided_seconds: float | None = Field(description="From the breach until the reconciler had rolled back.")
    published_seconds: float | None = Field(description="Until apps were offered the revision without it.")
    last_off_seconds: float | None = Field(description="Until the last of them had it.")
    delivered: int
    of: int


@drills.post("/flags/{key}/drill", "Drill the way back", answer=DrillShown, status=201, problems=[Conflict])
def begin_drill(services: Services, by: Principal, key: str, body: BeginDrill) -> ResponseReturnValue:
    """A breach that is made up, on a flag that stands in for this one or on itself; all else is as always."""
    patience = timedelta(seconds=body.patience_seconds)
    begun = service.begin_drill(services, key, by=by, real=body.real, patience=patience, comment=body.comment)
    return _shown(begun), 201


@drills.post("/flags/{key}/drill/look", "Look how far a drill is", answer=DrillShown)
def look_at_drill(services: Services, by: Principal, key: str, body: Act) -> ResponseReturnValue:  # noqa: ARG001 - signs
    """Once everybody is off it is written down, and everything is put back. One that is over stays as it ended."""
    return _shown(service.look_at_drill(services, key, by=by))


@drills.post("/flags/{key}/drill/abort", "End a drill", answer=DrillShown)
def abort_drill(services: Services, by: Principal, key: str, body: Act) -> ResponseReturnValue:  # noqa: ARG001 - signs
    """What stood in for the flag is put away, and what was taken from its users is given back."""
    return _shown(service.abort_drill(services, key, by=by))


def _shown(drill: Drill) -> dict[str, Any]:
    return {
        "flag": drill.flag_key,
        "shadow": drill.shadow,
        "rollout": drill.rollout_id,
        "state": drill.state,
        "begun_by": drill.begun_by,
        "ends_by": drill.ends_by.isoformat(),
        "restored": drill.restored,
        "injected_at": drill.injected_at.isoformat(),
        **timings(drill),
    }
