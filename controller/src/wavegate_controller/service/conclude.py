"""Keeping what looks gave, and acting on it: judge, decide, record, publish."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wavegate_controller.domain.analysis import judge
from wavegate_controller.domain.decision import Decision, decide
from wavegate_controller.domain.errors import StaleVersion
from wavegate_controller.domain.measurement import Cursor, Measurement
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.record import RECONCILER
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.transitions import apply
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.measure import Look
from wavegate_controller.service.rollouts import commit
from wavegate_controller.service.services import Services

#: How many rollouts that go on as they are share a transaction: a flush to the disk takes longer than all else, and
#: on SQLite everybody else waits while it is open.
_TOGETHER: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """One rollout and what the look at it gave.

    Attributes:
        cursor: that was stored when its counters were read.
    """

    rollout: Rollout
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
                for each in waiting[:_TOGETHER]:
                    done.append(_try(work, each, now=now))
                    if isinstance(done[-1], _Kept) and done[-1].ruleset:
                        break
        except Exception as error:  # noqa: BLE001 - recorded by the caller
            # The database itself is locked, full or away: nothing was kept, and the next look counts all of it again.
            done = [error] * len(waiting)
        for each, kept in zip(waiting, done, strict=False):
            yield each.rollout, _tell(services, kept) if isinstance(kept, _Kept) else kept
        waiting = waiting[len(done) :]


def _try(work: UnitOfWork, looked: Looked, *, now: datetime) -> _Kept | Exception | None:
    try:
        with work.attempt():
            return _keep(work, looked, now=now)
    except StaleVersion:
        return None
    except Exception as error:  # noqa: BLE001 - recorded by the caller, with its traceback
        return error


def _keep(work: UnitOfWork, looked: Looked, *, now: datetime) -> _Kept | None:
    """Keep what the look gave, and act on it, in one part of the transaction.

    What the metrics server said counts only if the rollout is still the one that was asked about and nobody else has
    counted from the same cursor. Otherwise nothing is kept, and since the cursor stays, the next look counts it again.
    """
    rollout, look = looked.rollout, looked.look
    if work.rollouts.version(rollout.id) != rollout.version:
        return None
    if look.cursor is not None:
        work.evidence.save_cursor(rollout.id, look.cursor, before=looked.cursor)
    decision = decide_now(work, rollout, look.measurements, now=now)
    work.evidence.add(rollout.id, look.measurements)
    after = apply(rollout, decision.event, now=now, pause_reason=decision.pause_reason)
    ruleset = commit(work, decision, before=rollout, after=after, now=now, actor=RECONCILER)
    return _Kept(after=after, decision=decision, ruleset=ruleset)


def decide_now(work: UnitOfWork, rollout: Rollout, latest: Sequence[Measurement], *, now: datetime) -> Decision:
    """Judge each gate on the log and the latest, which joins it, and decide: after a restart the same."""
    since = rollout.evidence_since or rollout.created_at
    evidence: dict[str, list[Measurement]] = {gate.name: [] for gate in rollout.plan.gates}
    for measurement in (*work.evidence.since(rollout.id, since), *latest):
        if measurement.at > since:
            evidence.setdefault(measurement.gate, []).append(measurement)
    verdicts = [judge(gate, evidence[gate.name], rollout=rollout, now=now) for gate in rollout.plan.gates]
    return decide(rollout, verdicts, now=now)


def _tell(services: Services, kept: _Kept) -> Decision:
    if kept.ruleset:
        services.sink.publish(kept.ruleset)
    services.recorder.decided(kept.after, kept.decision)
    return kept.decision
