"""What an A/A rollout on real traffic shows of its plan, of the split, and of the counters."""

import re
from datetime import datetime
from typing import Final

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.counts import EXPOSED_METRIC
from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.errors import Conflict
from wavegate_controller.domain.foresight.calibration import Arms, Calibration, gates_of, is_aa
from wavegate_controller.domain.foresight.independence import overlap
from wavegate_controller.domain.measurement import Value
from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.promql import escape, matchers
from wavegate_controller.domain.rollout import ENDED, WATCHED, Rollout
from wavegate_controller.domain.transitions import Event
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.queries import rollout_view
from wavegate_controller.service.services import Services

#: Moves of one rollout that are looked at; more have none.
_MOST_MOVES: Final = 1000


def calibrate(services: Services, reference: str, *, by: Principal) -> Calibration:
    """What the A/A rollout says.

    Raises:
        NotFound: there is no such rollout.
        Conflict: its two variants are not the same.
        Forbidden: they may not.
    """
    view = rollout_view(services, reference, by=by)
    rollout = view.rollout
    by.require(Permission.READ, rollout.environment)
    if not view.is_aa:
        raise Conflict(
            f"rollout {rollout.id!r} is no A/A: variants {rollout.candidate!r} and {rollout.stable!r} differ; "
            f"`wavegate aa start {rollout.flag_key}` begins one"
        )
    with services.store.transaction() as work:
        serving = work.rollouts.serving(rollout.environment)
        ended, alarms = _ended(work, rollout)
    gates, requests = gates_of(view.latest.verdicts if view.latest else (), rollout)
    others = sorted(key for key, each in serving.items() if key != rollout.flag_key and each.state in WATCHED)
    wave = rollout.current_wave
    return Calibration(
        rollout=rollout,
        planned=None if wave is None else percent(wave.weight) / 100,
        users=_users(services, rollout, at=services.clock.now()),
        requests=requests,
        gates=gates,
        overlaps=[overlap(rollout.flag_key, other) for other in others],
        ended=ended,
        alarms=alarms,
        promised=rollout.plan.guardrail.alpha,
    )


def _ended(work: UnitOfWork, rollout: Rollout) -> tuple[int, int]:
    """A/A rollouts of the environment that have ended by themselves, and those that a gate ended."""
    ended = [
        each
        for each in work.rollouts.list(rollout.environment, states=frozenset(ENDED))
        if is_aa(work.flags.get(each.environment, each.flag_key), each)
    ]
    moves = [
        [(move.event, move.reason) for move in work.decisions.list(each.id, limit=_MOST_MOVES, moves_only=True)]
        for each in ended
    ]
    alarms = sum(any(reason is DecisionReason.BREACH for _, reason in each) for each in moves)
    passed = sum(any(event is Event.COMPLETE for event, _ in each) for each in moves)
    return alarms + passed, alarms


def _users(services: Services, rollout: Rollout, *, at: datetime) -> Arms | None:
    """Newly exposed in this wave, as the metrics server has counted them; each process counts its own."""
    since = rollout.wave_since
    if since is None or rollout.state not in WATCHED or at <= since:
        return None
    seconds = max(round((at - since).total_seconds()), 60)
    counted = []
    for variant in (rollout.candidate, rollout.stable):
        # What a controller counted for its other environments has their name; any other series has none.
        scope = matchers({"flag": rollout.flag_key, "variant": variant})
        scope += f',environment=~"|{escape(re.escape(rollout.environment))}"'
        answer = services.provider.query(f"sum(increase({EXPOSED_METRIC}{{{scope}}}[{seconds}s]))", at=at)
        if not isinstance(answer, Value):
            return None
        counted.append(round(answer.value))
    return Arms(candidate=counted[0], stable=counted[1])
