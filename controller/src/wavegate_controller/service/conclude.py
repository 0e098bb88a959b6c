"""Keeping what looks gave, and acting on it: judge, decide, record, publish."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from wavegate_controller.domain.access import SYSTEM
from wavegate_controller.domain.analysis import judge_all
from wavegate_controller.domain.circumstances import CLEAR, Circumstances
from wavegate_controller.domain.claim import Claim
from wavegate_controller.domain.decision import Decision, DecisionReason, decide
from wavegate_controller.domain.drill import DrillState
from wavegate_controller.domain.errors import StaleVersion
from wavegate_controller.domain.measurement import Cursor, Measurement
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.rollout import WATCHED, Rollout
from wavegate_controller.domain.silence import silence_of
from wavegate_controller.domain.transitions import Event, apply_automatic
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.circumstances import Surroundings
from wavegate_controller.service.folds import Folds
from wavegate_controller.service.measure import Look
from wavegate_controller.service.rollouts import commit
from wavegate_controller.service.services import Services

#: How many rollouts that go on as they are share a transaction: a flush to the disk takes longer than all else, and
#: on SQLite everybody else waits while it is open.
_TOGETHER: Final = 50
_STEP: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """One rollout and what the look at it gave.

    Attributes:
        cursor: that was stored when its counters were read.
    """

    claim: Claim
    look: Look
    cursor: Cursor | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """What was decided, to be told once it is committed."""

    after: Rollout
    decision: Decision
    ruleset: PublishedRuleset | None


#: The decision; None where somebody else moved the rollout meanwhile; or what went wrong.
Result = Decision | Exception | None


def conclude(services: Services, looked: Sequence[Looked], *, now: datetime) -> Iterator[tuple[Rollout, Result]]:
    """Judge each, decide and commit.

    Each is kept or dropped by itself; those that hold share the commit. One that moves ends the transaction, so that
    nothing keeps its new ruleset from going out.
    """
    waiting = list(looked)
    while waiting:
        done: list[_Kept | Exception | None] = []
        try:
            with services.store.transaction() as work:
                surroundings = Surroundings(work, now, services.fleets)
                for each in waiting[:_TOGETHER]:
                    done.append(_try(services.folds, work, each, surroundings, now=now))
                    if isinstance(done[-1], _Kept) and done[-1].ruleset:
                        break
        except Exception as error:  # noqa: BLE001 - recorded by the caller
            # The database itself is locked, full or away: nothing was kept, and the next look counts all of it again.
            done = [error] * len(waiting)
        for each, kept in zip(waiting, done, strict=False):
            yield each.claim.rollout, _tell(services, kept) if isinstance(kept, _Kept) else kept
        waiting = waiting[len(done) :]


def _try(
    folds: Folds, work: UnitOfWork, looked: Looked, surroundings: Surroundings, *, now: datetime
) -> _Kept | Exception | None:
    try:
        with work.attempt():
            return _keep(folds, work, looked, surroundings, now=now)
    except StaleVersion:
        return None
    except Exception as error:  # noqa: BLE001 - recorded by the caller, with its traceback
        return error


def _keep(folds: Folds, work: UnitOfWork, looked: Looked, surroundings: Surroundings, *, now: datetime) -> _Kept | None:
    """Keep what the look gave, and act on it, in one part of the transaction.

    What the metrics server said counts only if the claim still holds and nobody else has counted from the same cursor.
    Otherwise nothing is kept, and since the cursor stays, the next look counts it again. If a person has moved the
    rollout meanwhile, the look was at another wave: it is kept only if it shows a breach, which then wins.
    """
    rollout, look, clock = looked.claim.rollout, looked.look, now
    overtaken = not work.claims.settle(looked.claim)
    present = work.rollouts.get(rollout.id) if overtaken else rollout
    if overtaken and not is_same_test(present, rollout):
        return None
    now = _onward(work, rollout, folds.read_at(work, rollout), now)
    if now > clock:
        look = replace(look, measurements=tuple(replace(each, at=now) for each in look.measurements))
    circumstances = surroundings.of(present)
    decision = decide_now(folds, work, rollout, look.measurements, now=now, circumstances=circumstances)
    if overtaken and decision.reason not in (DecisionReason.BREACH, DecisionReason.DRILL):
        return None
    if look.cursor is not None:
        work.evidence.save_cursor(rollout.id, look.cursor, before=looked.cursor)
    work.evidence.add(rollout.id, look.measurements)
    if decision.event is Event.ROLL_BACK and (drill := surroundings.drill(present)):
        # Whoever ends the drill at this moment waits for that, and finds what there is to restore.
        work.drills.save(replace(drill, state=DrillState.DECIDED, decided_at=now, version=drill.version + 1))
    after = apply_automatic(present, decision.event, now=now, pause_reason=decision.pause_reason)
    if now > clock and after.next_look_at is not None:
        after = replace(after, next_look_at=clock + after.plan.interval)
    ruleset = commit(
        work,
        decision,
        before=present,
        after=after,
        now=now,
        by=SYSTEM,
        circumstances=circumstances,
        judged=rollout,
    )
    return _Kept(after=after, decision=decision, ruleset=ruleset)


def _onward(work: UnitOfWork, rollout: Rollout, read_at: datetime | None, now: datetime) -> datetime:
    """For a rollout time never runs back: evidence is in order, and what was counted once is not counted again.

    While a clock that was set back catches up, its looks follow each other by the smallest step, so nothing bakes; and
    none of them is before its wave, where no gate would take a breach for one.
    """
    begun = rollout.wave_since or now
    if now >= begun and (read_at is None or now > read_at):
        return now
    latest = max(begun, read_at or begun)
    return max([latest, *(each.at for each in work.evidence.since(rollout.id, latest))]) + _STEP


def is_same_test(present: Rollout, looked_at: Rollout) -> bool:
    """Whether a breach that was seen before a person moved the rollout still counts against it.

    It does not if the person began a new test, pinned the rollout, or has paused or ended it.
    """
    return present.is_moving and present.pin is None and present.evidence_since == looked_at.evidence_since


def decide_now(
    folds: Folds,
    work: UnitOfWork,
    rollout: Rollout,
    latest: Sequence[Measurement],
    *,
    now: datetime,
    circumstances: Circumstances = CLEAR,
) -> Decision:
    """Judge each gate on the log and the latest, which joins it, and decide: after a restart the same."""
    state = folds.state(work, rollout, latest)
    evidence = evidence_of(work, rollout, latest, now=now)
    return decide(rollout, judge_all(rollout, evidence, state, now=now), now=now, circumstances=circumstances)


def evidence_of(
    work: UnitOfWork, rollout: Rollout, latest: Sequence[Measurement], *, now: datetime
) -> Mapping[str, Sequence[Measurement]]:
    """Gate to its measurements of this wave.

    What gates that compare have counted is folded already; only where the newest look was silent it matters since when.
    """
    begin = rollout.wave_since or rollout.created_at
    heard = {each.gate for each in latest if silence_of(each.answer) is None}
    compared = {gate.name for gate in rollout.plan.compared}
    gates = [gate.name for gate in rollout.plan.gates if gate.name not in compared & heard]
    stored = work.evidence.since(rollout.id, begin, until=now, gates=gates) if gates else ()
    evidence: defaultdict[str, list[Measurement]] = defaultdict(list)
    for each in (*stored, *latest):
        evidence[each.gate].append(each)
    return evidence


def _tell(services: Services, kept: _Kept) -> Decision:
    if kept.ruleset:
        services.sink.publish(kept.ruleset)
    if kept.after.state not in WATCHED:
        services.folds.forget(kept.after.id)
    services.recorder.decided(kept.after, kept.decision)
    return kept.decision
