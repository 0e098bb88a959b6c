"""What Wavegate sees of the checklist of production readiness by itself. Reads only, and waits for a metrics server."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from wavegate_controller.domain.audit import AuditFilter
from wavegate_controller.domain.counts import EVALUATIONS_METRIC, INFO_METRIC, CounterSelector
from wavegate_controller.domain.delivery import ConnectedClient
from wavegate_controller.domain.gates import Gate, ThresholdGate
from wavegate_controller.domain.measurement import Broken, Value
from wavegate_controller.domain.passport import (
    DRILL_HOLDS,
    FEWEST_INSTANCES,
    Check,
    Finding,
    Passport,
    ReadinessItem,
)
from wavegate_controller.domain.promql import matchers
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.ports import Fleets, UnitOfWork
from wavegate_controller.service.measure import needs_of, threshold_query
from wavegate_controller.service.services import Services

#: A drill that went through all its steps is noted under this name.
DRILLED: Final = "drill.pass"
#: Of the last 30 days in one environment; a feature that was drilled before those counts as not drilled.
_MOST_DRILLS: Final = 5000
_LOOKBACK: Final = timedelta(minutes=5)


def findings(services: Services, passport: Passport) -> Mapping[ReadinessItem, Finding]:
    """Item to what is seen of it; the others are for people to say."""
    now = services.clock.now()
    with services.store.transaction() as work:
        rollouts = work.rollouts.list(passport.environment, flag_key=passport.flag_key)
        found = at_hand(work, services.fleets, passport, now=now)
    newest = max(rollouts, key=lambda each: each.created_at, default=None)
    asking = found[ReadinessItem.INTEGRATIONS]
    found = {
        **found,
        ReadinessItem.MONITORING: _monitoring(services, newest, now),
        ReadinessItem.INTEGRATIONS: _exposed(services, passport, now) if asking.check is Check.GREEN else asking,
    }
    return {item: found[item] for item in ReadinessItem if item in found}


def at_hand(work: UnitOfWork, fleets: Fleets, passport: Passport, *, now: datetime) -> Mapping[ReadinessItem, Finding]:
    """Those for which no metrics server is asked: the gates of a rollout say by themselves when they have no answer."""
    wanted = AuditFilter(action=DRILLED, subject=passport.flag_key, environment=passport.environment)
    newest = next(iter(work.audit.list(wanted, limit=1)), None)
    drilled = None if newest is None else datetime.fromisoformat(newest.note.at)
    return _at_hand(passport, fleets.clients(passport.environment), drilled, now)


def all_at_hand(
    work: UnitOfWork, fleets: Fleets, environment: str, passports: Iterable[Passport], *, now: datetime
) -> Mapping[str, Mapping[ReadinessItem, Finding]]:
    """The same by flag, of many features at the price of one."""
    clients = fleets.clients(environment)
    wanted = AuditFilter(action=DRILLED, environment=environment, since=now - DRILL_HOLDS)
    drilled: dict[str, datetime] = {}
    for entry in work.audit.list(wanted, limit=_MOST_DRILLS):
        drilled.setdefault(entry.note.subject, datetime.fromisoformat(entry.note.at))
    return {each.flag_key: _at_hand(each, clients, drilled.get(each.flag_key), now) for each in passports}


def _at_hand(
    passport: Passport, clients: Sequence[ConnectedClient], drilled: datetime | None, now: datetime
) -> Mapping[ReadinessItem, Finding]:
    return {
        ReadinessItem.INFRASTRUCTURE: _infrastructure(clients),
        ReadinessItem.INTEGRATIONS: _integrations(clients, passport),
        ReadinessItem.SUPPORT: _support(passport),
        ReadinessItem.ROLLBACK: _rollback(drilled, now),
    }


def red_checks(work: UnitOfWork, fleets: Fleets, environment: str, flag_key: str, *, now: datetime) -> str:
    """Which have turned red since a feature came to scale, as a sentence; empty when none has."""
    passport = work.passports.find(environment, flag_key)
    if passport is None or not passport.stands_on_checks:
        return ""
    red = [
        f"{item} ({found.detail})"
        for item, found in at_hand(work, fleets, passport, now=now).items()
        if found.check is Check.RED
    ]
    return f"red since it came to scale: {', '.join(red)}" if red else ""


def _green(detail: str) -> Finding:
    return Finding(check=Check.GREEN, detail=detail)


def _red(detail: str) -> Finding:
    return Finding(check=Check.RED, detail=detail)


def _infrastructure(clients: Sequence[ConnectedClient]) -> Finding:
    seen = len({each.instance for each in clients})
    if seen >= FEWEST_INSTANCES:
        return _green(f"{seen} instances of apps are connected")
    return _red(f"{seen} instances of apps are connected, and {FEWEST_INSTANCES} are needed so that one may fail")


def _integrations(clients: Sequence[ConnectedClient], passport: Passport) -> Finding:
    wanted = passport.production_ready.apps
    if not wanted:
        return _red("no apps are named: say in `apps` which are to have it")
    connected = {each.app for each in clients}
    if away := [app for app in wanted if app not in connected]:
        return _red(f"not connected: {', '.join(away)}")
    return _green(f"connected: {', '.join(wanted)}")


def _exposed(services: Services, passport: Passport, now: datetime) -> Finding:
    """Whether the flag was asked for in each of the apps: that one is connected does not say that it uses it."""
    silent = []
    for app in passport.production_ready.apps:
        info = f"max by (job, instance) ({INFO_METRIC}{{{matchers({'app': app})}}})"
        asked = f"{EVALUATIONS_METRIC}{{{matchers({'flag': passport.flag_key})}}}"
        answer = services.provider.query(f"sum({asked} * on (job, instance) group_left () {info})", at=now)
        if isinstance(answer, Broken):
            return _red(f"cannot be seen: {answer.detail}")
        if not (isinstance(answer, Value) and answer.value > 0):
            silent.append(app)
    if silent:
        return _red(f"connected, but the metrics server has not seen the flag asked for by: {', '.join(silent)}")
    return _green(f"asked for by: {', '.join(passport.production_ready.apps)}")


def _support(passport: Passport) -> Finding:
    item = passport.production_ready.item(ReadinessItem.SUPPORT)
    if item.acknowledged_at is None or item.acknowledged_by != item.owner:
        return _red("its owner has not said that they own it: `wavegate stage acknowledge` as the owner")
    return _green(f"{item.acknowledged_by} said so on {item.acknowledged_at:%Y-%m-%d}")


def _rollback(at: datetime | None, now: datetime) -> Finding:
    if at is None:
        return _red("no drill has shown that the way back works")
    if now - at > DRILL_HOLDS:
        return _red(f"the last drill was on {at:%Y-%m-%d}, more than {DRILL_HOLDS.days} days ago")
    return _green(f"drilled on {at:%Y-%m-%d}")


def _monitoring(services: Services, rollout: Rollout | None, now: datetime) -> Finding:
    if rollout is None:
        return _red("there is no plan to look at: `wavegate rollout create` makes one that serves nobody")
    silent = [
        f"{gate.name} ({problem})"
        for gate in rollout.plan.gates
        if (problem := _silence(services, rollout, gate, now)) is not None
    ]
    if silent:
        return _red(f"gates without an answer: {', '.join(silent)}")
    return _green(f"{len(rollout.plan.gates)} gates answer")


def _silence(services: Services, rollout: Rollout, gate: Gate, now: datetime) -> str | None:
    """Why a gate has no data; None if it has, or needs none."""
    if isinstance(gate, ThresholdGate):
        answer = services.provider.query(threshold_query(gate, rollout), at=now)
        if isinstance(answer, Value):
            return None
        return answer.detail if isinstance(answer, Broken) else "no data"
    needs = needs_of(gate)
    if needs is None:
        return None
    selector = CounterSelector(flags=(rollout.flag_key,), needs=needs)
    series = services.provider.samples(selector, at=now, lookback=_LOOKBACK)
    if isinstance(series, Broken):
        return series.detail
    return None if series else "no app that counts is scraped"
