"""The record of what happened to a rollout: who or what moved it, why, on what evidence."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from wavegate_controller.domain.access import SYSTEM
from wavegate_controller.domain.circumstances import CLEAR, Circumstances
from wavegate_controller.domain.decision import Decision, DecisionReason
from wavegate_controller.domain.rollout import PauseReason, Pin, Rollout, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.domain.verdict import Verdict

#: Who signs what the reconciler decides.
RECONCILER: Final = SYSTEM.name


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionRecord:
    """One decision, automatic or human, as it is kept.

    Attributes:
        id: rising number; 0 until stored.
        actor: who signed: a person's name, or `wavegate` for the reconciler.
        comment: the person's reason.
        weight: exposure after it, in 1/100,000.
        revision: ruleset revision in force after it.
        verdicts: as documents, so that old records outlive changes of the code.
        wave_before: index of the wave it was decided in; with what follows, what recomputing it needs.
        wave_since: when that wave began.
        evidence_since: from when on evidence counted.
        pause_reason_before: why the rollout was paused, if it was.
        pin_before: whose pin held it, if one did.
        final_bake_since: since when it was watched after its last wave, if it was.
        unwatched: how long nobody had looked.
        circumstances: what held it beside its evidence.
        would: what would have happened without a dry run.
        review: what the person had before them who decided about the next wave, as a document, its digest and
            whether they had named it; None for all other decisions.
    """

    rollout_id: str
    at: datetime
    actor: str
    event: Event
    reason: DecisionReason
    sentence: str
    comment: str
    state_before: State
    state: State
    wave: int | None
    weight: int
    revision: int
    verdicts: tuple[Mapping[str, Any], ...]
    wave_before: int | None = None
    wave_since: datetime | None = None
    evidence_since: datetime | None = None
    pause_reason_before: PauseReason | None = None
    pin_before: Pin | None = None
    final_bake_since: datetime | None = None
    unwatched: timedelta = timedelta(0)
    circumstances: Circumstances = CLEAR
    would: Event | None = None
    review: Mapping[str, Any] | None = None
    id: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """When, and why, a look moved nothing; as much of its record as a list of thousands needs."""

    at: datetime
    reason: DecisionReason
    sentence: str


def as_it_was(rollout: Rollout, record: DecisionRecord) -> Rollout:
    """The rollout as that decision found it."""
    return replace(
        rollout,
        state=record.state_before,
        pause_reason=record.pause_reason_before,
        wave=record.wave_before,
        wave_since=record.wave_since,
        evidence_since=record.evidence_since,
        pin=record.pin_before,
        final_bake_since=record.final_bake_since,
        unwatched=record.unwatched,
        plan=replace(rollout.plan, dry_run=record.circumstances.dry_run),
    )


def record(
    decision: Decision,
    *,
    before: Rollout,
    after: Rollout,
    now: datetime,
    actor: str,
    comment: str,
    revision: int,
    circumstances: Circumstances = CLEAR,
) -> DecisionRecord:
    """What is kept of a decision that took a rollout from one state to another."""
    return DecisionRecord(
        rollout_id=after.id,
        at=now,
        actor=actor,
        event=decision.event,
        reason=decision.reason,
        sentence=decision.sentence,
        comment=comment,
        state_before=before.state,
        state=after.state,
        wave=after.wave,
        weight=after.weight,
        revision=revision,
        verdicts=tuple(verdict_to_document(each) for each in decision.verdicts),
        wave_before=before.wave,
        wave_since=before.wave_since,
        evidence_since=before.evidence_since,
        pause_reason_before=before.pause_reason,
        pin_before=before.pin,
        final_bake_since=before.final_bake_since,
        unwatched=before.unwatched,
        circumstances=circumstances,
        would=decision.would,
    )


def verdict_to_document(verdict: Verdict) -> Mapping[str, Any]:
    """As it is kept."""
    return {
        "gate": verdict.gate,
        "kind": verdict.kind.value,
        "reason": str(verdict.reason),
        "sentence": verdict.sentence,
        "value": verdict.value,
        "limit": verdict.limit,
        "figures": dict(verdict.figures),
        "query": verdict.query,
    }
