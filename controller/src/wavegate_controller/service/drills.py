"""Drills of the way back. A flag of its own stands in for the feature, so that no user sees anything of it.

The breach is what somebody says at a manual gate; from there on everything is as always: the reconciler finds it at its
next look, decides, records and publishes, and the connected apps are told and say what they have.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from wavegate_controller.documents import FlagDocument, RolloutDocument, parse
from wavegate_controller.domain.access import SYSTEM, Permission, Principal
from wavegate_controller.domain.drill import Drill, DrillState, is_shadow, shadow_of
from wavegate_controller.domain.errors import Conflict, NotFound
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.rollout import ENDED, WATCHED, Rollout, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.domain.verdict import VerdictKind
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service import flags, rollouts
from wavegate_controller.service.auditing import note
from wavegate_controller.service.readiness import DRILLED
from wavegate_controller.service.services import Services

_GATE = "drill"
_PLAN = {
    "waves": [{"percent": 1, "bake": "1h"}],
    "gates": [{"type": "manual", "name": _GATE, "question": "A drill: is there a breach?"}],
    "interval": "1s",
}


def begin_drill(services: Services, key: str, *, by: Principal) -> Drill:
    """Report a breach that is made up, to a flag that stands in for this one.

    Raises:
        NotFound: there is no such flag.
        Conflict: a drill is under way, a true breach is, no app is connected, or a freeze window holds.
        Forbidden: they may not.
    """
    by.require(Permission.EDIT, services.environment)
    now = services.clock.now()
    with services.store.transaction() as work:
        work.flags.get(services.environment, key)
        if (under_way := _shadow(work, services.environment, key)) is not None:
            raise Conflict(f"drill {under_way!r} of flag {key!r} is under way; end it first")
        _check_no_breach(work, services.environment, key)
    if not services.fleets.clients(services.environment):
        raise Conflict("no app is connected, so nobody could be taken off")
    shadow = shadow_of(key, now=now)
    why = f"a drill of {key} by {by.name}"
    flags.create_flag(services, parse(FlagDocument, {"key": shadow, "description": why}), by=SYSTEM, exempt=why)
    try:
        rollout = rollouts.create_rollout(services, parse(RolloutDocument, {"flag": shadow, "plan": _PLAN}), by=SYSTEM)
        rollouts.act(services, rollout.id, Event.START, by=SYSTEM, comment=why)
        rollouts.judge_wave(services, rollout.id, _GATE, VerdictKind.BREACH, by=SYSTEM, comment=why)
    except Conflict:
        _put_away(services, shadow)
        raise
    with services.store.transaction() as work:
        after = {"shadow": shadow}
        note(work, by=by, action="drill.begin", subject=key, environment=services.environment, now=now, after=after)
        return _drill(services, work, key, work.rollouts.get(rollout.id))


def look_at_drill(services: Services, key: str, *, by: Principal) -> Drill:
    """How far the drill of a flag is. Whoever sees it done writes that down, and its stand-in is put away.

    Raises:
        NotFound: there is no drill under way.
        Forbidden: they may not.
    """
    drill = _under_way(services, key, by=by)
    if drill.state is DrillState.PASSED:
        _put_away(services, drill.shadow)
        _write_down(services, drill, DRILLED, by=by)
    return drill


def abort_drill(services: Services, key: str, *, by: Principal) -> Drill:
    """End the drill of a flag: what stood in for it is taken back and put away.

    Raises:
        NotFound: there is no drill under way.
        Forbidden: they may not.
    """
    drill = replace(_under_way(services, key, by=by), state=DrillState.ABORTED)
    _put_away(services, drill.shadow)
    _write_down(services, drill, "drill.abort", by=by)
    return drill


def _under_way(services: Services, key: str, *, by: Principal) -> Drill:
    by.require(Permission.EDIT, services.environment)
    with services.store.transaction() as work:
        shadow = _shadow(work, services.environment, key)
        if shadow is None:
            raise NotFound("drill under way of flag", key)
        return _drill(services, work, key, _newest(work, services.environment, shadow))


def _drill(services: Services, work: UnitOfWork, key: str, rollout: Rollout) -> Drill:
    moves = work.decisions.list(rollout.id, limit=10, moves_only=True)
    started = _of(moves, Event.START)
    drill = Drill(
        flag_key=key,
        shadow=rollout.flag_key,
        state=DrillState.INJECTED,
        injected_at=started.at if started else rollout.created_at,
    )
    back = _of(moves, Event.ROLL_BACK)
    if back is None:
        return drill
    drill = replace(drill, state=DrillState.DECIDED, decided_at=back.at)
    revisions = services.fleets.revisions(services.environment)
    revision = next((each for each in reversed(revisions) if each.revision >= back.revision), None)
    if revision is None:
        return drill
    drill = replace(drill, published_at=revision.since, delivered=revision.delivered, of=revision.of)
    if not revision.of or not revision.is_complete:
        return drill
    slowest = timedelta(seconds=revision.slowest_seconds or 0)
    return replace(drill, state=DrillState.PASSED, last_off_at=revision.since + slowest)


def _of(moves: Sequence[DecisionRecord], event: Event) -> DecisionRecord | None:
    return next((each for each in moves if each.event is event), None)


def _shadow(work: UnitOfWork, environment: str, key: str) -> str | None:
    """The flag that stands in for this one now."""
    return next((each.key for each in work.flags.list(environment) if is_shadow(each.key, key)), None)


def _newest(work: UnitOfWork, environment: str, key: str) -> Rollout:
    return max(work.rollouts.list(environment, flag_key=key), key=lambda each: each.created_at)


def _check_no_breach(work: UnitOfWork, environment: str, key: str) -> None:
    for rollout in work.rollouts.list(environment, flag_key=key, states=frozenset(WATCHED)):
        latest = next(iter(work.decisions.list(rollout.id, limit=1)), None)
        if latest and any(each.get("kind") == VerdictKind.BREACH for each in latest.verdicts):
            raise Conflict(f"rollout {rollout.id!r} has a true breach now; a drill would be in its way")


def _put_away(services: Services, shadow: str) -> None:
    with services.store.transaction() as work:
        open_ones = [
            each for each in work.rollouts.list(services.environment, flag_key=shadow) if each.state not in ENDED
        ]
    for rollout in open_ones:
        event = Event.CANCEL if rollout.state is State.DRAFT else Event.ROLL_BACK
        rollouts.act(services, rollout.id, event, by=SYSTEM, comment="the drill is over")
    flags.archive_flag(services, shadow, by=SYSTEM, comment="the drill is over")


def _write_down(services: Services, drill: Drill, action: str, *, by: Principal) -> None:
    with services.store.transaction() as work:
        note(
            work,
            by=by,
            action=action,
            subject=drill.flag_key,
            environment=services.environment,
            now=services.clock.now(),
            after={"shadow": drill.shadow, "state": drill.state},
            evidence=timings(drill),
        )


def timings(drill: Drill) -> dict[str, float | int | None]:
    """Seconds from the breach to each step, and whom it reached."""
    return {
        "decided_seconds": drill.seconds(drill.decided_at),
        "published_seconds": drill.seconds(drill.published_at),
        "last_off_seconds": drill.seconds(drill.last_off_at),
        "delivered": drill.delivered,
        "of": drill.of,
    }
