"""Why somebody did something, said afterwards: whoever stops harm is not asked first.

Decisions are never changed, so such a reason is an entry of the audit that names the decision.
"""

from collections.abc import Mapping
from typing import Final

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.audit import AuditFilter
from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.errors import Conflict, Invalid
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.services import Services

_ACTION: Final = "rollout.reason"
_MOST: Final = 100


def give_reason(services: Services, rollout_id: str, comment: str, *, by: Principal) -> Rollout:
    """Say why the rollout was last moved.

    Raises:
        NotFound: there is no such rollout.
        Invalid: the reason is empty.
        Conflict: nobody moved it without a reason: the last move was automatic, or has one.
        Forbidden: they may not.
    """
    comment = comment.strip()
    if not comment:
        raise Invalid("comment", "is empty", "why, in a few words")
    with services.store.transaction() as work:
        rollout = work.rollouts.get(rollout_id)
        by.require(Permission.EDIT, rollout.environment)
        moved = work.decisions.newest([rollout_id], moves_only=True).get(rollout_id)
        if moved is None or not lacks_reason(moved) or moved.id in reasons_given(work, rollout):
            raise Conflict(f"the last move of rollout {rollout_id!r} has its reason; a newer one may be given one")
        note(
            work,
            by=by,
            action=_ACTION,
            subject=rollout_id,
            environment=rollout.environment,
            now=services.clock.now(),
            reason=comment,
            evidence={"decision": moved.id},
        )
    return rollout


def lacks_reason(moved: DecisionRecord) -> bool:
    """Whether a person moved it and did not say why."""
    return moved.reason is DecisionReason.REQUESTED and not moved.comment


def reasons_given(work: UnitOfWork, rollout: Rollout) -> Mapping[int, str]:
    """What was said afterwards, by the id of the decision that it is about."""
    wanted = AuditFilter(action=_ACTION, subject=rollout.id, environment=rollout.environment)
    return {
        entry.note.evidence["decision"]: entry.note.reason
        for entry in work.audit.list(wanted, limit=_MOST)
        if isinstance(entry.note.evidence, Mapping)
    }
