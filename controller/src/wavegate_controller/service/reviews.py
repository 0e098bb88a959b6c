"""The review of a wave, as somebody wants to see it: of the present wave as it is, of a past one as it was seen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from wavegate_controller.documents.reviews import decided_to_document, review_to_document, with_words
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.review import decided_in
from wavegate_controller.domain.rollout import WATCHED, Rollout
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.reviewing import find_stay, read_review
from wavegate_controller.service.services import Services
from wavegate_controller.service.traffic import thumbs_seen, users_seen


def get_review(
    services: Services, rollout_id: str, *, by: Principal, wave: int | None = None, decision: int | None = None
) -> Mapping[str, Any]:
    """The document of a review.

    A wave that a person opened the next one from is shown as they saw it; else it is read from what is kept of it.

    Args:
        services: the world.
        rollout_id: whose.
        by: who asks.
        wave: number of the wave, from 1 on; the newest by default.
        decision: instead of a wave: id of a decision about the next wave, to show what that person saw.

    Raises:
        NotFound: there is no such rollout, it was never in that wave, or that decision has no review.
        Conflict: it has not started.
        Forbidden: they may not see it.
    """
    now = services.clock.now()
    with services.store.transaction() as work:
        rollout = work.rollouts.get(rollout_id)
        by.require(Permission.READ, rollout.environment)
        if decision is not None:
            record = work.decisions.get(decision)
            if record.rollout_id != rollout.id or record.review is None:
                raise NotFound(f"review of rollout {rollout.id!r}, decision", str(decision))
            return _as_seen(work, rollout, record, [record])
        stay = find_stay(work, rollout, None if wave is None else wave - 1)
        left_by = stay.left_by
        if left_by is not None and left_by.review is not None:
            shown = _as_seen(work, rollout, left_by, decided_in(stay))
            return {**shown, "wave": {**shown["wave"], "until": left_by.at.isoformat()}}
        if stay.until is not None or rollout.state not in WATCHED:
            return review_to_document(read_review(work, rollout, stay, now=now))
    # The metrics server is asked while no transaction is open.
    users = users_seen(services.provider, rollout, at=now)
    thumbs = thumbs_seen(services.provider, rollout, since=stay.since, at=now)
    with services.store.transaction() as work:
        review = read_review(work, rollout, stay, now=now, users=users)
    return review_to_document(replace(review, thumbs=thumbs))


def _as_seen(
    work: UnitOfWork, rollout: Rollout, record: DecisionRecord, decided: Sequence[DecisionRecord]
) -> Mapping[str, Any]:
    kept = (record.review or {})["document"]
    shown = with_words(kept, lambda number: work.feedback.get(rollout.environment, number))
    return {**shown, "is_open": False, "approvals": None, "decided": [decided_to_document(each) for each in decided]}
