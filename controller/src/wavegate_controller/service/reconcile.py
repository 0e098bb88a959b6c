"""The closed loop: for the rollouts that are due, measure, judge, decide, record, publish."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Final

from wavegate_controller.domain.claim import Claim
from wavegate_controller.domain.decision import Decision
from wavegate_controller.domain.measurement import Answer, Broken
from wavegate_controller.domain.rollout import WATCHED, Rollout
from wavegate_controller.service import counting
from wavegate_controller.service.asking import Asking
from wavegate_controller.service.conclude import Looked, Result, conclude
from wavegate_controller.service.counting import Counted, Counting, Wanted
from wavegate_controller.service.measure import Look, measure, needs, numbers, rules
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
    due: list[Claim] = []
    while True:
        with services.store.transaction() as work:
            claims = work.claims.due(now=now, limit=BATCH)
            for each in claims:
                if each.rollout.state not in WATCHED:
                    work.claims.settle(each)
        due.extend(claims)
        if len(claims) < BATCH:
            break
    if due:
        services.recorder.late(seconds=max(0.0, *((now - each.due).total_seconds() for each in due)))
    watched = [each for each in due if each.rollout.state in WATCHED]
    for rollout, result in _look_at_all(services, watched, executor, now=now):
        if isinstance(result, Exception):
            services.recorder.failed(rollout.id, result)
        elif result is None:
            services.recorder.overtaken()
    return len(due)


def reconcile(services: Services, rollout_id: str) -> Decision | None:
    """One look at one rollout, due or not; None when somebody else moved it meanwhile or there is nothing to watch."""
    now = services.clock.now()
    with services.store.transaction() as work:
        claim = work.claims.take(rollout_id, now=now)
        if claim.rollout.state not in WATCHED:
            work.claims.settle(claim)
            return None
    with ThreadPoolExecutor(1) as executor:
        ((_, result),) = _look_at_all(services, [claim], executor, now=now)
    if isinstance(result, Exception):
        raise result
    return result


def _look_at_all(
    services: Services, claims: Sequence[Claim], executor: Executor, *, now: datetime
) -> Iterator[tuple[Rollout, Result]]:
    """Ask for all at once and at one evaluation time, outside of any transaction, and conclude as answers come."""
    rollouts = [claim.rollout for claim in claims]
    with services.store.transaction() as work:
        stored = work.evidence.cursors([rollout.id for rollout in rollouts])
        environments = frozenset(each.name for each in work.environments.list())
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
                elsewhere=environments - {rollout.environment},
            )
            for rollout, wanted in counting_rollouts
        ),
        now=now,
    )
    by_id = {claim.rollout.id: claim for claim in claims}

    def finish(counted: Counting) -> Iterator[tuple[Rollout, Result]]:
        mine = [(by_id.pop(rollout_id), each) for rollout_id, each in counted.items()]
        looks = [(claim, _look(services, claim.rollout, each, answers, alerts, now=now)) for claim, each in mine]
        looked = [
            Looked(claim=claim, look=look, cursor=stored.get(claim.rollout.id))
            for claim, look in looks
            if not isinstance(look, Exception)
        ]
        yield from ((claim.rollout, look) for claim, look in looks if isinstance(look, Exception))
        yield from conclude(services, looked, now=now)

    ahead = deque(executor.submit(counting.read, asking, group) for group in islice(groups, _AHEAD))
    while ahead:
        counted = ahead.popleft().result()
        ahead.extend(executor.submit(counting.read, asking, group) for group in islice(groups, 1))
        yield from finish(counted)
    yield from finish(dict.fromkeys(by_id))


def _look(
    services: Services,
    rollout: Rollout,
    counted: Counted | Broken | Exception | None,
    answers: Mapping[str, Future[Answer]],
    alerts: Mapping[str, Future[Broken | None]],
    *,
    now: datetime,
) -> Look | Exception:
    """One rollout's measurements; what goes wrong is returned, since the others go on."""
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
        return replace(look, measurements=(*look.measurements, *asked))
    except CancelledError:  # the controller is stopping
        raise
    except Exception as error:  # noqa: BLE001 - recorded by the caller, with its traceback
        return error
