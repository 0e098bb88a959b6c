"""The closed loop: for each rollout that is due, measure, judge, decide, record, publish."""

from concurrent.futures import Executor
from datetime import datetime
from typing import Final

from wavegate_controller.domain.analysis import judge
from wavegate_controller.domain.decision import Decision, decide
from wavegate_controller.domain.errors import StaleVersion
from wavegate_controller.domain.measurement import Measurement
from wavegate_controller.domain.record import RECONCILER
from wavegate_controller.domain.rollout import WATCHED, Rollout
from wavegate_controller.domain.transitions import apply
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.measure import measure
from wavegate_controller.service.rollouts import commit
from wavegate_controller.service.services import Services

#: How many due rollouts one claim takes.
BATCH: Final = 50


def tick(services: Services, executor: Executor) -> int:
    """Look at every rollout that is due; returns how many.

    One rollout's failure is recorded and does not touch the others.
    """
    done = 0
    while True:
        now = services.clock.now()
        with services.store.transaction() as work:
            due = work.rollouts.claim_due(now=now, limit=BATCH)
        looks = [executor.submit(reconcile, services, rollout.id) for rollout in due]
        for rollout, look in zip(due, looks, strict=True):
            if error := look.exception():
                if not isinstance(error, Exception):
                    raise error
                services.recorder.failed(rollout.id, error)
        done += len(due)
        if len(due) < BATCH:
            return done


def reconcile(services: Services, rollout_id: str) -> Decision | None:
    """One look at one rollout; None when somebody else moved it meanwhile or there is nothing to watch.

    The metrics server is asked outside of any transaction. What it said counts only if the rollout is still the one
    that was asked about; otherwise nothing is kept, and since the cursor stays too, the next look counts it again.
    """
    now = services.clock.now()
    with services.store.transaction() as work:
        rollout = work.rollouts.get(rollout_id)
        cursor = work.evidence.cursor(rollout_id)
    if rollout.state not in WATCHED:
        return None
    look = measure(services.provider, rollout, cursor, now=now)
    try:
        with services.store.transaction() as work:
            moved = work.rollouts.get(rollout_id).version != rollout.version
            if moved or work.evidence.cursor(rollout_id) != cursor:
                return None
            work.evidence.add(rollout_id, look.measurements)
            if look.cursor is not None:
                work.evidence.save_cursor(rollout_id, look.cursor)
            decision = decide_now(work, rollout, now=now)
            after = apply(rollout, decision.event, now=now, pause_reason=decision.pause_reason)
            ruleset = commit(work, decision, before=rollout, after=after, now=now, actor=RECONCILER)
    except StaleVersion:
        return None
    if ruleset:
        services.sink.publish(ruleset)
    services.recorder.decided(after, decision)
    return decision


def decide_now(work: UnitOfWork, rollout: Rollout, *, now: datetime) -> Decision:
    """Judge each gate on the stored evidence, and decide: from the log, so that a restart decides the same."""
    since = rollout.evidence_since or rollout.created_at
    evidence: dict[str, list[Measurement]] = {gate.name: [] for gate in rollout.plan.gates}
    for measurement in work.evidence.since(rollout.id, since):
        evidence.setdefault(measurement.gate, []).append(measurement)
    verdicts = [judge(gate, evidence[gate.name], rollout=rollout, now=now) for gate in rollout.plan.gates]
    return decide(rollout, verdicts, now=now)
