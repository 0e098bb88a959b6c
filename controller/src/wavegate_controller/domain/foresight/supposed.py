"""A rollout that nobody asked for: to see what its gates would ask and say."""

from datetime import datetime

from wavegate_controller.domain.plan import Plan
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.transitions import Event, apply


def draft(flag: str, plan: Plan, *, stable: str, candidate: str, at: datetime) -> Rollout:
    """The rollout of this plan, not started."""
    return Rollout(
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


def supposed(flag: str, plan: Plan, *, stable: str, candidate: str, at: datetime) -> Rollout:
    """The rollout of this plan, in its first wave since then."""
    return apply(draft(flag, plan, stable=stable, candidate=candidate, at=at), Event.START, now=at)
