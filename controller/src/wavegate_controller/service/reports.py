"""The report of a rollout: its waves, its gates over time, who decided and signed, and what people said."""

from typing import Final

from wavegate_controller.documents.gate_rules import gate_rule
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.report import RolloutReport, history_of
from wavegate_controller.domain.review import stays
from wavegate_controller.ports import FeedbackFilter
from wavegate_controller.service.services import Services

_MOST_MOVES: Final = 1000
#: The newest looks: what came before them is in the moves alone.
_MOST_LOOKS: Final = 3000
_MOST_COMMENTS: Final = 10


def get_report(services: Services, rollout_id: str, *, by: Principal) -> RolloutReport:
    """How a rollout went so far.

    Raises:
        NotFound: there is no such rollout.
        Forbidden: they may not see it.
    """
    with services.store.transaction() as work:
        rollout = work.rollouts.get(rollout_id)
        by.require(Permission.READ, rollout.environment)
        moves = list(reversed(work.decisions.list(rollout.id, limit=_MOST_MOVES, moves_only=True)))
        looks = [each for each in reversed(work.decisions.list(rollout.id, limit=_MOST_LOOKS)) if each.verdicts]
        passport = work.passports.find(rollout.environment, rollout.flag_key)
        up, down = (
            work.feedback.count(
                rollout.environment, rollout.flag_key, FeedbackFilter(rollout_id=rollout.id, thumbs_up=thumb)
            )
            for thumb in (True, False)
        )
        wanted = FeedbackFilter(rollout_id=rollout.id, with_comment=True)
        comments = work.feedback.list(rollout.environment, rollout.flag_key, wanted, limit=_MOST_COMMENTS)
    variants = {"candidate": rollout.candidate, "stable": rollout.stable}
    return RolloutReport(
        rollout=rollout,
        stays=stays(moves),
        moves=moves,
        gates=[history_of(gate, gate_rule(gate, rollout.plan, **variants), looks) for gate in rollout.plan.gates],
        seen_since=looks[0].at if looks else None,
        signed=passport.decisions if passport else (),
        thumbs=(up, down),
        comments=comments,
        at=services.clock.now(),
    )
