"""A rollout that nobody started: to see what its gates would ask and say."""

from datetime import datetime

from wavegate_controller.domain.plan import Plan
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.transitions import Event, apply


def supposed(flag: str, plan: Plan, *, stable: str, candidate: str, at: datetime) -> Rollout:
    """The rollout of this plan, in its first wave since then."""
    draft = Rollout(
        id=f"{flag}:0",
        flag_key=flag,
        environment="supposed",
        stable=stable,
        candidate=candidate,
        plan=plan,
        created_by="nobody",
        created_at=at,
        updated_at=at,
    )
    return apply(draft, Event.START, now=at)
