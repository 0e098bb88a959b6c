"""The record of what happened to a rollout: who or what moved it, why, on what evidence."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from wavegate_controller.domain.decision import Decision, DecisionReason
from wavegate_controller.domain.rollout import Rollout, State
from wavegate_controller.domain.transitions import Event

#: Who signs what the reconciler decides.
RECONCILER: Final = "wavegate"


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
    id: int = 0


def record(
    decision: Decision,
    *,
    before: Rollout,
    after: Rollout,
    now: datetime,
    actor: str,
    comment: str,
    revision: int,
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
        verdicts=tuple(
            {
                "gate": each.gate,
                "kind": each.kind.value,
                "reason": str(each.reason),
                "sentence": each.sentence,
                "value": each.value,
                "limit": each.limit,
                "figures": dict(each.figures),
                "query": each.query,
            }
            for each in decision.verdicts
        ),
    )
