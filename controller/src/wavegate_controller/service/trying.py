"""A plan tried on the last days while somebody waits: a backtest that is bounded in looks and in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Final

from wavegate_controller.documents import RolloutDocument
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.errors import Conflict, HistoryLost, Invalid
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.foresight.relabelling import OTHERS, by_cohorts
from wavegate_controller.domain.foresight.replayed import Backtested
from wavegate_controller.domain.foresight.supposed import draft
from wavegate_controller.domain.plan import Plan
from wavegate_controller.domain.rollout import Rollout, check_variants
from wavegate_controller.service.backtest import backtest, replayable
from wavegate_controller.service.services import Services
from wavegate_controller.service.then import then_of

#: The longest past, and the looks at it: beyond them looks lie further apart than the plan says.
LONGEST: Final = timedelta(days=30)
_MOST_LOOKS: Final = 10_000
#: Seconds after which the page has what there is.
PATIENCE: Final = 8.0
#: Replays are all computation, beside the streams: one at a time in a process.
_one_at_a_time = Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What came of it.

    Attributes:
        said: what whoever reads it should know first.
    """

    found: Backtested
    said: Sequence[str]


class _TimeIsOver(Exception):
    """Ends a replay."""


def try_plan(
    services: Services,
    document: RolloutDocument,
    *,
    over: timedelta,
    shadow: bool,
    by: Principal,
    patience: float = PATIENCE,
) -> Tried:
    """Replay a plan up to now, a rollout behind the other; nothing is written down.

    Args:
        services: the world.
        document: the plan, with its flag and its candidate.
        over: how far back.
        shadow: there was no candidate yet, so half of stable's cohorts play its part.
        by: who asks.
        patience: seconds for it.

    Raises:
        Invalid: a field is wrong, or there is no past to be asked.
        NotFound: there is no such flag.
        Conflict: another one is under way.
        Forbidden: they may not.
    """
    by.require(Permission.EDIT, services.environment)
    if not timedelta(minutes=1) <= over <= LONGEST:
        raise Invalid("days", f"{over / timedelta(days=1):g} is out of range", f"up to {LONGEST.days}")
    if services.rewind is None:
        raise Invalid("days", "cannot be replayed: this source of metrics has no past", "a Prometheus")
    plan = replayable(document.plan_to_domain())
    with services.store.transaction() as work:
        flag = work.flags.get(services.environment, document.flag)
        elsewhere = frozenset(each.name for each in work.environments.list()) - {services.environment}
        then = then_of(work, flag)
    now = services.clock.now()
    begin, said = (now - over).replace(microsecond=0), []
    step = max(plan.interval, timedelta(seconds=-(-over.total_seconds() // _MOST_LOOKS)))
    if step > plan.interval:
        said.append(f"Looked at every {step.total_seconds():g} s instead of {plan.interval.total_seconds():g} s.")
    rollout = _rollout(document, flag, plan, shadow=shadow, at=begin)
    relabel = by_cohorts(rollout.candidate) if shadow else None
    into = Backtested(name="the plan", plan=plan, begin=begin, until=begin)
    looks = [begin + number * step for number in range((now - begin) // step + 1)]
    deadline = monotonic() + patience

    def seen(_: datetime) -> None:
        if monotonic() > deadline:
            raise _TimeIsOver

    if not _one_at_a_time.acquire(blocking=False):
        raise Conflict("another plan is being tried at this moment; try it again in some seconds")
    try:
        past = services.rewind(looks, step=step, relabel=relabel)
        backtest(past, rollout, into, repeat=True, elsewhere=elsewhere, then=then, seen=seen)
    except _TimeIsOver:
        said.append(f"Only up to {into.until:%d %b %H:%M} UTC: a page waits no longer. The command goes on.")
    except HistoryLost as lost:
        said.append(f"The past could not be had any further at {lost}")
    finally:
        _one_at_a_time.release()
    if into.first_data is None:
        said.append(_nothing(flag, rollout, shadow=shadow))
    return Tried(found=into, said=said)


def _rollout(document: RolloutDocument, flag: Flag, plan: Plan, *, shadow: bool, at: datetime) -> Rollout:
    stable = document.stable or flag.default_variant
    check_variants(flag, stable=stable, candidate=document.candidate)
    candidate, replaced = (stable, OTHERS) if shadow else (document.candidate, stable)
    return draft(flag.key, plan, candidate=candidate, stable=replaced, at=at)


def _nothing(flag: Flag, rollout: Rollout, *, shadow: bool) -> str:
    if shadow:
        return f"There is no sample of {flag.key} in that time: has the app counted anything yet?"
    return (
        f"There is no sample of {rollout.candidate} in that time. If nobody had it yet, let half of "
        f"{rollout.stable}'s users play its part."
    )
