"""Drills of the way back: with a flag that stands in for the feature, so that no user sees anything of it, or for real.

The breach of a stand-in is what somebody says at a manual gate, that of the feature itself one more gate that is
breached; from there on everything is as always: the reconciler finds it at its next look, decides, records and
publishes, and the connected apps are told and say what they have. Afterwards the stand-in is archived, and the
feature's rollout stands again where it stood.

One row for each flag says which drill is under way, so that there is one at a time, and that one whose beginner is
gone ends all the same.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from wavegate_controller.documents import FlagDocument, RolloutDocument, parse
from wavegate_controller.domain.access import SYSTEM, Permission, Principal
from wavegate_controller.domain.decision import Decision, DecisionReason
from wavegate_controller.domain.drill import PATIENCE, Drill, DrillState, check_patience, shadow_of, timings
from wavegate_controller.domain.errors import Conflict, ControllerError, EventRefused, NotFound, StaleVersion
from wavegate_controller.domain.plan import OnBreach
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.rollout import ENDED, WATCHED, Rollout, State
from wavegate_controller.domain.transitions import Event, apply
from wavegate_controller.domain.verdict import VerdictKind
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service import flags, rollouts
from wavegate_controller.service.auditing import note
from wavegate_controller.service.circumstances import Surroundings
from wavegate_controller.service.readiness import DRILLED
from wavegate_controller.service.services import Services
from wavegate_controller.service.stages import check_may_scale

_GATE = "drill"
_PLAN = {
    "waves": [{"percent": 1, "bake": "1h"}],
    "gates": [{"type": "manual", "name": _GATE, "question": "A drill: is there a breach?"}],
    "interval": "1s",
}
_OVER: Final = "the drill is over"
#: Somebody else may end a drill at the same moment, which is seen at the second look.
_ATTEMPTS: Final = 3


def begin_drill(
    services: Services,
    key: str,
    *,
    by: Principal,
    real: bool = False,
    patience: timedelta = PATIENCE,
    comment: str = "",
) -> Drill:
    """Report a breach that is made up.

    Args:
        services: the world.
        key: of the flag.
        by: who asks, and signs.
        real: take the feature itself from its users, instead of a flag that stands in for it; an approver's.
        patience: after which it is given up.
        comment: why.

    Raises:
        NotFound: there is no such flag.
        Invalid: the patience is out of range.
        Conflict: a drill is under way, a true breach is, no app is connected, or a freeze window holds; for a real one
            also whatever else would keep its rollout from being rolled back and standing again as it stood.
        Forbidden: they may not.
    """
    by.require(Permission.APPROVE if real else Permission.EDIT, services.environment)
    check_patience(patience)
    drill = _claim(services, key, by=by, real=real, patience=patience, comment=comment)
    if drill.is_real:
        return drill
    try:
        drill = _stand_in(services, drill)
    except ControllerError:
        _end(services, drill, DrillState.ABORTED, by=by)
        raise
    return _seen(services, drill)


def look_at_drill(services: Services, key: str, *, by: Principal) -> Drill:
    """How far the drill of a flag is; one that is over stays as it ended until the next one.

    Whoever sees it done writes that down, and everything is put back.

    Raises:
        NotFound: there has been no drill.
        Forbidden: they may not.
    """
    by.require(Permission.EDIT, services.environment)
    return _tend(services, _found(services, key))


def show_drill(services: Services, key: str, *, by: Principal) -> Drill | None:
    """How far the newest drill of a flag is, if there has been one; changes nothing.

    Raises:
        NotFound: there is no such flag.
        Forbidden: they may not see it.
    """
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        work.flags.get(services.environment, key)
        drill = work.drills.find(services.environment, key)
    return None if drill is None else _seen(services, drill)


def abort_drill(services: Services, key: str, *, by: Principal) -> Drill:
    """End the drill of a flag: what stood in for it is put away, and what was taken from its users is given back.

    Raises:
        NotFound: there is no drill under way.
        Forbidden: they may not.
    """
    by.require(Permission.EDIT, services.environment)
    drill = _found(services, key)
    if drill.is_over:
        raise NotFound("drill under way of flag", key)
    return _end(services, _seen(services, drill), DrillState.ABORTED, by=by)


def tend_drills(services: Services) -> int:
    """End the drills that are done or given up, whatever became of those who began them; gives how many."""
    with services.store.transaction() as work:
        drills = work.drills.under_way()
    return sum(_tend(services.within(each.environment), each).is_over for each in drills)


def real_refusal(services: Services, key: str) -> str | None:
    """Why the feature itself cannot be drilled now, as a sentence; None when it can."""
    with services.store.transaction() as work:
        try:
            _drillable(work, services, key)
        except Conflict as refusal:
            return str(refusal)
    return None


def _claim(services: Services, key: str, *, by: Principal, real: bool, patience: timedelta, comment: str) -> Drill:
    """Be the only one who drills this flag, and write that down."""
    now, environment = services.clock.now(), services.environment
    if not services.fleets.clients(environment):
        raise Conflict("no app is connected, so nobody could be taken off")
    with services.store.transaction() as work:
        rollouts.check_not_archived(work.flags.get(environment, key))
        _check_no_breach(work, environment, key)
        before = work.drills.find(environment, key)
        if before is not None and not before.is_over:
            raise _under_way(before)
        drill = Drill(
            flag_key=key,
            environment=environment,
            shadow=None if real else shadow_of(key, now=now),
            rollout_id=_drillable(work, services, key).id if real else "",
            begun_by=by.name,
            begun_as=by.kind,
            injected_at=now,
            ends_by=now + patience,
            version=before.version + 1 if before else 1,
        )
        try:
            if before is None:
                work.drills.add(drill)
            else:
                work.drills.save(drill)
        except StaleVersion:
            raise _under_way(drill) from None
        told = {"shadow": drill.shadow, "rollout": drill.rollout_id} if real else {"shadow": drill.shadow}
        note(
            work,
            by=by,
            action="drill.begin",
            subject=key,
            environment=environment,
            now=now,
            after=told,
            reason=comment.strip(),
        )
    return drill


def _under_way(drill: Drill) -> Conflict:
    return Conflict(f"a drill of flag {drill.flag_key!r} is under way; end it first")


def _drillable(work: UnitOfWork, services: Services, key: str) -> Rollout:
    """The rollout that a real drill takes back, and that stands again as it stood afterwards."""
    environment = services.environment
    rollout = work.rollouts.serving(environment).get(key)
    if rollout is None or not rollout.weight or rollout.state not in WATCHED:
        raise Conflict(f"no rollout of flag {key!r} serves anybody and is watched; drill with a flag that stands in")
    if rollout.state is State.AWAITING_APPROVAL:
        raise Conflict(f"rollout {rollout.id!r} waits for an approval; sign it, or decline, before it is drilled")
    if rollout.state is State.PAUSED or rollout.pin is not None:
        how = "pinned" if rollout.pin else "paused"
        raise Conflict(f"rollout {rollout.id!r} is {how}, and stays as people left it; resume it before it is drilled")
    if rollout.plan.on_breach is not OnBreach.ROLL_BACK:
        raise Conflict(f"a breach of rollout {rollout.id!r} does not roll back: on_breach is {rollout.plan.on_breach}")
    surroundings = Surroundings(work, services.clock.now())
    if rollout.plan.dry_run or surroundings.in_dry_run(environment):
        raise Conflict(f"rollout {rollout.id!r} is in dry run, so nothing would move")
    if frozen := surroundings.frozen(environment, rollout.plan.freeze_windows):
        raise Conflict(f"what is rolled back could not be given again: {frozen.sentence}")
    if not work.flags.get(environment, key).enabled:
        raise Conflict(f"flag {key!r} is stopped, so nobody could be taken off")
    return rollout


def _check_no_breach(work: UnitOfWork, environment: str, key: str) -> None:
    for rollout in work.rollouts.list(environment, flag_key=key, states=frozenset(WATCHED)):
        latest = next(iter(work.decisions.list(rollout.id, limit=1)), None)
        if latest and any(each.get("kind") == VerdictKind.BREACH for each in latest.verdicts):
            raise Conflict(f"rollout {rollout.id!r} has a true breach now; a drill would be in its way")


def _stand_in(services: Services, drill: Drill) -> Drill:
    """A flag of its own with a rollout that is breached at once."""
    why = f"a drill of {drill.flag_key} by {drill.begun_by}"
    document = parse(FlagDocument, {"key": drill.shadow, "description": why})
    flags.create_flag(services, document, by=SYSTEM, exempt=why)
    begun = parse(RolloutDocument, {"flag": drill.shadow, "plan": _PLAN})
    rollout = rollouts.create_rollout(services, begun, by=SYSTEM)
    rollouts.act(services, rollout.id, Event.START, by=SYSTEM, comment=why)
    rollouts.judge_wave(services, rollout.id, _GATE, VerdictKind.BREACH, by=SYSTEM, comment=why)
    with services.store.transaction() as work:
        stored = work.drills.find(drill.environment, drill.flag_key)
        if stored is None or stored.is_over or stored.shadow != drill.shadow:
            raise Conflict(f"the drill of flag {drill.flag_key!r} was ended meanwhile")
        drill = replace(stored, rollout_id=rollout.id, injected_at=services.clock.now(), version=stored.version + 1)
        work.drills.save(drill)
    return drill


def _found(services: Services, key: str) -> Drill:
    with services.store.transaction() as work:
        drill = work.drills.find(services.environment, key)
    if drill is None:
        raise NotFound("drill of flag", key)
    return drill


def _tend(services: Services, drill: Drill) -> Drill:
    """The drill as it is now, and ended if it is done or given up."""
    seen = _seen(services, drill)
    if seen.is_over and not drill.is_over:
        return _end(services, seen, seen.state, by=_beginner(drill))
    if not seen.is_over and services.clock.now() >= seen.ends_by:
        return _end(services, seen, DrillState.ABORTED, by=_beginner(drill))
    return seen


def _seen(services: Services, drill: Drill) -> Drill:
    """How far it is by what was decided and what clients say; what is over stays as it was."""
    if drill.is_over or not drill.rollout_id:
        return drill
    with services.store.transaction() as work:
        back = _roll_back(work, drill)
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


def _roll_back(work: UnitOfWork, drill: Drill) -> DecisionRecord | None:
    """The decision of this drill. One that a true breach, or a person, has brought about is another one."""
    moves = work.decisions.list(drill.rollout_id, limit=10, moves_only=True)
    return next((each for each in moves if _is_of(drill, each)), None)


def _is_of(drill: Drill, move: DecisionRecord) -> bool:
    reason = DecisionReason.DRILL if drill.is_real else DecisionReason.BREACH
    return move.event is Event.ROLL_BACK and move.reason is reason and move.at >= drill.injected_at


def _end(services: Services, drill: Drill, state: DrillState, *, by: Principal) -> Drill:
    """Put everything back, and write down how it went; whoever comes second finds that done."""
    if drill.shadow is not None:
        _put_away(services, drill.shadow)
    for _ in range(_ATTEMPTS):
        with suppress(StaleVersion):
            return _write_down(services, replace(drill, state=state), by=by)
    raise Conflict(f"the drill of flag {drill.flag_key!r} is changed by others all the time; try again")


def _write_down(services: Services, drill: Drill, *, by: Principal) -> Drill:
    now, ruleset = services.clock.now(), None
    with services.store.transaction() as work:
        stored = work.drills.find(drill.environment, drill.flag_key)
        if stored is None or stored.is_over or stored.ends_by != drill.ends_by:
            return stored or drill
        if drill.is_real:
            ruleset, restored = _restore(work, services, drill, by=by, now=now)
            drill = replace(drill, restored=restored)
        drill = replace(drill, version=stored.version + 1)
        work.drills.save(drill)
        after = {"shadow": drill.shadow, "state": drill.state, "restored": drill.restored}
        note(
            work,
            by=by,
            action=DRILLED if drill.state is DrillState.PASSED else "drill.abort",
            subject=drill.flag_key,
            environment=drill.environment,
            now=now,
            after={name: value for name, value in after.items() if value is not None},
            evidence=timings(drill),
        )
    if ruleset:
        services.sink.publish(ruleset)
    return drill


def _restore(
    work: UnitOfWork, services: Services, drill: Drill, *, by: Principal, now: datetime
) -> tuple[PublishedRuleset | None, bool | None]:
    """Let the feature's rollout stand again where it stood, unless somebody or something else has moved it since."""
    newest = next(iter(work.decisions.list(drill.rollout_id, limit=1, moves_only=True)), None)
    before = work.rollouts.get(drill.rollout_id)
    if newest is None or not _is_of(drill, newest):
        # Nobody was taken off yet, or not by the drill: there is nothing of ours to restore.
        return None, None if before.weight else False
    if not _may_stand_again(work, services, before):
        return None, False
    after = apply(before, Event.RESTORE, now=now)
    sentence = f"restore: {_OVER} that {drill.begun_by} began"
    decision = Decision(event=Event.RESTORE, reason=DecisionReason.DRILL, sentence=sentence)
    ruleset = rollouts.commit(work, decision, before=before, after=after, now=now, by=by, comment=_OVER)
    services.recorder.decided(after, decision)
    return ruleset, True


def _may_stand_again(work: UnitOfWork, services: Services, rollout: Rollout) -> bool:
    """Whether what people have done to the flag meanwhile leaves it its place."""
    try:
        rollouts.check_its_turn(work, rollout, Event.UNDO)
        rollouts.check_not_archived(work.flags.get(rollout.environment, rollout.flag_key))
        check_may_scale(work, services, rollout.environment, rollout.flag_key, "to restore it after a drill")
    except Conflict:
        return False
    return True


def _beginner(drill: Drill) -> Principal:
    """Whoever began it signs how it went, also where nobody looks any more."""
    return Principal(name=drill.begun_by, kind=drill.begun_as, roles={})


def _put_away(services: Services, shadow: str) -> None:
    """End the rollout of a stand-in and archive its flag, as far as they came to be, and others have not done so."""
    with services.store.transaction() as work:
        open_ones = [
            each for each in work.rollouts.list(services.environment, flag_key=shadow) if each.state not in ENDED
        ]
    for rollout in open_ones:
        event = Event.CANCEL if rollout.state is State.DRAFT else Event.ROLL_BACK
        with suppress(EventRefused, StaleVersion):
            rollouts.act(services, rollout.id, event, by=SYSTEM, comment=_OVER)
    with suppress(StaleVersion, NotFound):
        flags.archive_flag(services, shadow, by=SYSTEM, comment=_OVER)
