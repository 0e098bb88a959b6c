"""Reading the review of a wave, in the transaction of whoever shows it or signs it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from wavegate_controller.documents.gate_rules import gate_rule
from wavegate_controller.documents.plans import plan_to_document
from wavegate_controller.documents.reviews import review_to_document, without_words
from wavegate_controller.domain.errors import Conflict, NotFound
from wavegate_controller.domain.forecast import forecast
from wavegate_controller.domain.record import DecisionRecord, as_it_was
from wavegate_controller.domain.review import (
    MOST_COMMENTS,
    STRETCHES,
    Answers,
    GateReview,
    Review,
    Stay,
    by_variant,
    check_read,
    costs,
    incidents,
    read_up_to,
    stays,
)
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.transitions import Event
from wavegate_controller.ports import FeedbackFilter, UnitOfWork

_MOST_MOVES: Final = 1000
_MOST_ALERTS: Final = 200
#: Decisions among which the newest is that has verdicts: those of people have none.
_LATELY: Final = 50


def find_stay(work: UnitOfWork, rollout: Rollout, wave: int | None = None) -> Stay:
    """The latest time in the wave of that index, or in any.

    Raises:
        Conflict: it has not started.
        NotFound: it was never in that wave.
    """
    moves = work.decisions.list(rollout.id, limit=_MOST_MOVES, moves_only=True)
    found = stays(reversed(moves))
    if not found:
        raise Conflict(f"rollout {rollout.id!r} has not started: there is no wave to review")
    mine = [each for each in found if wave is None or each.wave == wave]
    if not mine:
        raise NotFound(f"review of rollout {rollout.id!r}, wave", str((wave or 0) + 1))
    return mine[-1]


def read_review(
    work: UnitOfWork,
    rollout: Rollout,
    stay: Stay,
    *,
    now: datetime,
    through: int | None = None,
    users: float | None = None,
) -> Review:
    """What there is to be seen of a wave.

    Args:
        work: the transaction.
        rollout: as it is.
        stay: the time in the wave.
        now: aware UTC time.
        through: id of the newest comment that counts; None for all.
        users: that were seen with the candidate so far; None where nobody has counted them.
    """
    judged = _judged(work, rollout, stay)
    verdicts = {} if judged is None else {each["gate"]: each for each in judged.verdicts}
    figures = {name: each["figures"] for name, each in verdicts.items()}
    wanted = FeedbackFilter(
        rollout_id=rollout.id, wave=stay.wave, with_comment=True, since=stay.since, until=stay.until
    )
    before = None if through is None else through + 1
    comments = work.feedback.list(rollout.environment, rollout.flag_key, wanted, limit=MOST_COMMENTS, before=before)
    holds = work.decisions.holds(rollout.id, STRETCHES, since=stay.since, until=stay.until or now)
    alerts = work.alerts.list(rollout.environment, limit=_MOST_ALERTS, flag=rollout.flag_key)
    return Review(
        rollout=rollout,
        stay=stay,
        plan=plan_to_document(rollout.plan),
        gates=tuple(_gate(rollout, place, verdicts.get(gate.name)) for place, gate in enumerate(rollout.plan.gates)),
        judged_at=None if judged is None else judged.at,
        judged_by=None if judged is None else judged.id,
        incidents=incidents(stay, holds, alerts, interval=rollout.plan.interval, now=now),
        answers=tuple(_answers(work, rollout, stay, each) for each in (rollout.candidate, rollout.stable)),
        comments=tuple(comments),
        further=max(0, work.feedback.count(rollout.environment, rollout.flag_key, wanted) - len(comments)),
        costs=costs(rollout.plan.gates, figures),
        next=None if judged is None else forecast(as_it_was(rollout, judged), figures, now=judged.at, users=users),
        at=now,
    )


def seen_then(
    work: UnitOfWork, rollout: Rollout, event: Event, *, review: str | None, now: datetime
) -> Mapping[str, Any]:
    """What a person had before them who decides about the next wave, as it is kept with their decision.

    Comments are kept by their numbers: where the words of one are taken away, they are nowhere any more.

    Raises:
        Invalid: `review` is no digest.
        Conflict: it is an approval of another review than that.
    """
    through = None if review is None else read_up_to(review)
    seen = read_review(work, rollout, find_stay(work, rollout), now=now, through=through)
    if review is not None and event is Event.APPROVE:
        check_read(review, seen)
    return {
        "digest": seen.digest,
        "read": review == seen.digest,
        "document": without_words(review_to_document(seen)),
    }


def _judged(work: UnitOfWork, rollout: Rollout, stay: Stay) -> DecisionRecord | None:
    """The newest decision of this time in the wave that the gates were asked for."""
    left = stay.left_by
    lately = work.decisions.list(rollout.id, limit=_LATELY, before=None if left is None else left.id + 1)
    return next(
        (each for each in lately if each.verdicts and each.wave_before == stay.wave and each.id > stay.moves[0].id),
        None,
    )


def _gate(rollout: Rollout, place: int, verdict: Mapping[str, Any] | None) -> GateReview:
    gate = rollout.plan.gates[place]
    candidate, stable, unit = by_variant(gate, {} if verdict is None else verdict["figures"])
    return GateReview(
        name=gate.name,
        rule=gate_rule(gate, rollout.plan, candidate=rollout.candidate, stable=rollout.stable),
        verdict=verdict,
        candidate=candidate,
        stable=stable,
        unit=unit,
    )


def _answers(work: UnitOfWork, rollout: Rollout, stay: Stay, variant: str) -> Answers:
    up, down = (
        work.feedback.count(
            rollout.environment,
            rollout.flag_key,
            FeedbackFilter(
                rollout_id=rollout.id,
                wave=stay.wave,
                variant=variant,
                thumbs_up=thumbs_up,
                since=stay.since,
                until=stay.until,
            ),
        )
        for thumbs_up in (True, False)
    )
    return Answers(variant=variant, up=up, down=down)
