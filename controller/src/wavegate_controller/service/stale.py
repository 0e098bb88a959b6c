"""The report of flags that have done their work."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.measurement import Broken, Value
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.staleness import Stale, staleness
from wavegate_controller.service.services import Services


@dataclass(frozen=True, kw_only=True, slots=True)
class StaleFlag:
    """A flag, and why it is stale."""

    flag: Flag
    reasons: Sequence[Stale]


@dataclass(frozen=True, kw_only=True, slots=True)
class StaleReport:
    """All stale flags of an environment.

    Attributes:
        unasked: why nobody could say which flags are evaluated; empty when somebody could.
    """

    flags: Sequence[StaleFlag]
    unasked: str


def stale_flags(services: Services, *, by: Principal, after: timedelta) -> StaleReport:
    """Flags that have been at one variant for so long, or that no app evaluates; archived ones aside."""
    by.require(Permission.READ, services.environment)
    now = services.clock.now()
    with services.store.transaction() as work:
        flags = work.flags.list(services.environment)
        newest: dict[str, Rollout] = {}
        for rollout in work.rollouts.list(services.environment):
            newest.setdefault(rollout.flag_key, rollout)
    found, unasked = [], ""
    for flag in flags:
        evaluated = None
        if not unasked and flag.created_at <= now - after:
            evaluated, unasked = _is_evaluated(services, flag, now)
        reasons = staleness(flag, newest.get(flag.key), evaluated=evaluated, after=after, now=now)
        if reasons:
            found.append(StaleFlag(flag=flag, reasons=reasons))
    return StaleReport(flags=found, unasked=unasked)


def _is_evaluated(services: Services, flag: Flag, now: datetime) -> tuple[bool | None, str]:
    """Whether any app has counted an evaluation, and else why nobody knows: an outage is no silence."""
    answer = services.provider.query(f'sum(wavegate_evaluations_total{{flag="{flag.key}"}})', at=now)
    if isinstance(answer, Broken):
        return None, answer.detail
    return isinstance(answer, Value) and answer.value > 0, ""
