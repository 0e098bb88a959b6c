"""What somebody may ask of a rollout where it stands, and why not where they may not: what a page offers."""

from dataclasses import dataclass

from wavegate_controller.domain.access import LEAST_ROLE, Permission, Principal
from wavegate_controller.domain.passport import Stage
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.transitions import Event, possible
from wavegate_controller.service.rollouts import GOES_ON, NEEDS_A_COMMENT, goes_past_approvers, permission_for


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """One act.

    Attributes:
        needs_comment: whether it is signed with a reason.
        why_not: why this person may not, as a sentence; empty where they may.
    """

    event: Event
    needs_comment: bool
    why_not: str

    @property
    def is_open(self) -> bool:
        """Whether they may."""
        return not self.why_not


def offers(rollout: Rollout, *, by: Principal, stage: Stage | None = None) -> dict[Event, Offer]:
    """What the rollout takes where it stands.

    Args:
        rollout: it.
        by: who wants to know.
        stage: of its feature; None where stages do not count for it.
    """
    return {
        event: Offer(event=event, needs_comment=event in NEEDS_A_COMMENT, why_not=_why_not(rollout, event, by, stage))
        for event in possible(rollout)
    }


def _why_not(rollout: Rollout, event: Event, by: Principal, stage: Stage | None) -> str:
    permission = Permission.ADMINISTER if goes_past_approvers(rollout, event) else permission_for(event)
    if not by.may(permission, rollout.environment):
        return f"takes the role {LEAST_ROLE[permission]} or a stronger one"
    if event in GOES_ON and stage not in (None, Stage.SCALE):
        return f"takes a feature in stage scale, and it is in stage {stage}"
    if event is Event.APPROVE and by.name == rollout.created_by:
        return "takes an approver other than its author"
    if event is Event.APPROVE and by.name in {each.by for each in rollout.approvals}:
        return "takes another approver: you have approved this wave"
    return ""
