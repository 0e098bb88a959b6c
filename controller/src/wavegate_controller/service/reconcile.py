"""The closed loop: for the rollouts that are due, measure, judge, decide, record, publish."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Final

from wavegate_controller.domain.analysis import judge
from wavegate_controller.domain.decision import Decision, decide
from wavegate_controller.domain.errors import StaleVersion
from wavegate_controller.domain.measurement import Answer, Broken, Cursor, Measurement
from wavegate_controller.domain.record import RECONCILER
from wavegate_controller.domain.rollout import WATCHED, Rollout
from wavegate_controller.domain.transitions import apply
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service import counting
from wavegate_controller.service.asking import Asking
from wavegate_controller.service.counting import Counted, Wanted
from wavegate_controller.service.measure import Look, measure, needs, numbers, rules
from wavegate_controller.service.rollouts import commit
from wavegate_controller.service.services import Services
from wavegate_controller.service.webhooks import ask_webhooks

#: How many due rollouts one claim takes.
BATCH: Final = 200
#: How many groups of counters are read ahead of what is judged: enough to keep the server busy, not the memory full.
_AHEAD: Final = 3


def tick(services: Services, executor: Executor) -> int:
    """Look at every rollout that is due; returns how many.

    One rollout's failure is recorded and does not touch the others.

    Args:
        services: the world.
        executor: what the metrics server is asked in; bounds how many questions are open at once.
    """
    now = services.clock.now()
    due: list[Rollout] = []
    while True:
        with services.store.transaction() as work:
            claimed = work.rollouts.claim_due(now=now, limit=BATCH)
        due.extend(claimed)
        if len(claimed) < BATCH:
            break
    for rollout, result in _look(services, [each for each in due if each.state in WATCHED], executor, now=now):
        if isinstance(result, Exception):
            services.recorder.failed(rollout.id, result)
    return len(due)


def reconcile(services: Services, rollout_id: str) -> Decision | None:
    """One look at one rollout, due or not; None when somebody else moved it meanwhile or there is nothing to watch."""
    with services.store.transaction() as work:
        rollout = work.rollouts.get(rollout_id)
    if rollout.state not in WATCHED:
        return None
    with ThreadPoolExecutor(1) as executor:
        ((_, result),) = _look(services, [rollout], executor, now=services.clock.now())
    if isinstance(result, Exception):
        raise result
    return result


def _look(
    services: Services, rollouts: Sequence[Rollout], executor: Executor, *, now: datetime
) -> Iterator[tuple[Rollout, Decision | Exception | None]]:
    """Ask for all at once and at one evaluation time, outside of any transaction; conclude one by one."""
    with services.store.transaction() as work:
        stored = work.evidence.cursors([rollout.id for rollout in rollouts])
    asking = Asking(services.provider, executor, at=now)
    answers = {promql: asking.number(promql) for rollout in rollouts for promql in numbers(rollout, now=now)}
    alerts = {name: asking.rule(name) for rollout in rollouts for name in rules(rollout)}
    counting_rollouts = [(rollout, wanted) for rollout in rollouts if (wanted := needs(rollout))]
    groups = counting.group(
        (
            Wanted(
                rollout=rollout,
                needs=wanted,
                cursor=counting.still_valid(stored.get(rollout.id), rollout, now=now),
            )
            for rollout, wanted in counting_rollouts
        ),
        now=now,
    )
    by_id = {rollout.id: rollout for rollout in rollouts}
    ahead = deque(executor.submit(counting.read, asking, group) for group in islice(groups, _AHEAD))
    while ahead:
        counted = ahead.popleft().result()
        ahead.extend(executor.submit(counting.read, asking, group) for group in islice(groups, 1))
        for rollout_id, each in counted.items():
            rollout = by_id.pop(rollout_id)
            yield rollout, _conclude(services, rollout, each, answers, alerts, stored.get(rollout_id), now=now)
    for rollout in by_id.values():
        yield rollout, _conclude(services, rollout, None, answers, alerts, None, now=now)


def _conclude(
    services: Services,
    rollout: Rollout,
    counted: Counted | Broken | Exception | None,
    answers: Mapping[str, Future[Answer]],
    alerts: Mapping[str, Future[Broken | None]],
    cursor: Cursor | None,
    *,
    now: datetime,
) -> Decision | Exception | None:
    """Judge, decide and commit; what goes wrong is returned, since the others go on."""
    try:
        if isinstance(counted, Exception):
            return counted
        look = measure(
            rollout,
            counted,
            lambda promql: answers[promql].result(),
            lambda name: alerts[name].result(),
            now=now,
        )
        asked = ask_webhooks(services, rollout, now=now)
        look = replace(look, measurements=(*look.measurements, *asked))
        return _commit(services, rollout, look, cursor, now=now)
    except StaleVersion:
        return None
    except CancelledError:  # the controller is stopping
        raise
    except Exception as error:  # noqa: BLE001 - recorded by the caller, with its traceback
        return error


def _commit(
    services: Services, rollout: Rollout, look: Look, cursor: Cursor | None, *, now: datetime
) -> Decision | None:
    """Keep what the look gave, and act on it, in one transaction.

    What the metrics server said counts only if the rollout is still the one that was asked about and nobody else has
    counted from the same cursor. Otherwise nothing is kept, and since the cursor stays, the next look counts it again.
    """
    with services.store.transaction() as work:
        if work.rollouts.version(rollout.id) != rollout.version:
            return None
        if look.cursor is not None:
            work.evidence.save_cursor(rollout.id, look.cursor, before=cursor)
        decision = decide_now(work, rollout, look.measurements, now=now)
        work.evidence.add(rollout.id, look.measurements)
        after = apply(rollout, decision.event, now=now, pause_reason=decision.pause_reason)
        ruleset = commit(work, decision, before=rollout, after=after, now=now, actor=RECONCILER)
    if ruleset:
        services.sink.publish(ruleset)
    services.recorder.decided(after, decision)
    return decision


def decide_now(work: UnitOfWork, rollout: Rollout, latest: Sequence[Measurement], *, now: datetime) -> Decision:
    """Judge each gate on the log and the latest, which joins it, and decide: after a restart the same."""
    since = rollout.evidence_since or rollout.created_at
    evidence: dict[str, list[Measurement]] = {gate.name: [] for gate in rollout.plan.gates}
    for measurement in (*work.evidence.since(rollout.id, since), *latest):
        if measurement.at > since:
            evidence.setdefault(measurement.gate, []).append(measurement)
    verdicts = [judge(gate, evidence[gate.name], rollout=rollout, now=now) for gate in rollout.plan.gates]
    return decide(rollout, verdicts, now=now)
