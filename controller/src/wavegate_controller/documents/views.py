"""Rollouts and decisions as the API shows them; the CLI, the demo and scripts read these."""

from datetime import datetime
from typing import Any

from wavegate_controller.documents.explanations import assessment_to_document
from wavegate_controller.documents.plans import plan_to_document
from wavegate_controller.domain.delivery import DeliveredRevision
from wavegate_controller.domain.foresight.dry_run import DryRun
from wavegate_controller.domain.guardrail import Assessment
from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.rollout import Pin, Rollout, State
from wavegate_controller.domain.transitions import possible


def rollout_to_document(
    rollout: Rollout,
    *,
    latest: DecisionRecord | None,
    moved: DecisionRecord | None,
    flag_enabled: bool,
    is_aa: bool,
    guardrail: Assessment | None = None,
    delivered: DeliveredRevision | None = None,
    dry_run: DryRun | None = None,
) -> dict[str, Any]:
    """A rollout, why it is where it is, and what may be asked of it now.

    `percent` is the share of the users that the rollout gives the candidate, `hold_out` the share of all that it is
    kept from; a flag that is disabled serves nobody all the same, so `flag_enabled` stands beside them.
    """
    return {
        "id": rollout.id,
        "flag": rollout.flag_key,
        "environment": rollout.environment,
        "stable": rollout.stable,
        "candidate": rollout.candidate,
        "state": rollout.state.value,
        "pause_reason": rollout.pause_reason and rollout.pause_reason.value,
        "percent": percent(rollout.weight),
        "hold_out": percent(rollout.hold_out),
        "flag_enabled": flag_enabled,
        "aa": is_aa,
        "wave": _wave_to_document(rollout),
        "approvals": _approvals_to_document(rollout),
        "pin": rollout.pin and _pin_to_document(rollout.pin),
        "possible": [event.value for event in possible(rollout)],
        "created_by": rollout.created_by,
        "created_at": rollout.created_at.isoformat(),
        "started_at": _time(rollout.started_at),
        "updated_at": rollout.updated_at.isoformat(),
        "next_look_at": _time(rollout.next_look_at),
        "version": rollout.version,
        "latest_decision": latest and decision_to_document(latest),
        "moved_by": moved and decision_to_document(moved),
        "guardrail": guardrail and assessment_to_document(guardrail),
        "delivery": delivered and delivered_to_document(delivered),
        "dry_run": dry_run and dry_run.value,
        "template": rollout.template,
        "plan": plan_to_document(rollout.plan),
    }


def delivered_to_document(delivered: DeliveredRevision) -> dict[str, Any]:
    """How far a revision has come."""
    return {
        "revision": delivered.revision,
        "since": delivered.since.isoformat(),
        "delivered": delivered.delivered,
        "of": delivered.of,
        "gone": delivered.gone,
        "slowest_seconds": delivered.slowest_seconds,
        "sentence": delivered.sentence,
    }


def decision_to_document(record: DecisionRecord) -> dict[str, Any]:
    """One decision with its evidence."""
    return {
        "id": record.id,
        "rollout": record.rollout_id,
        "at": record.at.isoformat(),
        "actor": record.actor,
        "event": record.event.value,
        "reason": record.reason.value,
        "sentence": record.sentence,
        "comment": record.comment,
        "state_before": record.state_before.value,
        "state": record.state.value,
        "wave": None if record.wave is None else record.wave + 1,
        "percent": percent(record.weight),
        "revision": record.revision,
        "verdicts": [dict(verdict) for verdict in record.verdicts],
        "would": None if record.would is None else record.would.value,
        "review": None if record.review is None else record.review["digest"],
    }


def _wave_to_document(rollout: Rollout) -> dict[str, Any] | None:
    wave = rollout.current_wave
    until = rollout.bakes_until
    if wave is None or rollout.wave is None or rollout.wave_since is None or until is None:
        return None
    return {
        "number": rollout.wave + 1,
        "of": len(rollout.plan.waves),
        "percent": percent(wave.weight),
        "since": rollout.wave_since.isoformat(),
        "baked_at": until.isoformat(),
        "final_bake_since": _time(rollout.final_bake_since),
        "overdue_at": _time(rollout.overdue_at),
    }


def _approvals_to_document(rollout: Rollout) -> dict[str, Any] | None:
    """What is needed and what is given for the wave that waits; None while none does."""
    wave = rollout.current_wave
    if rollout.state is not State.AWAITING_APPROVAL or wave is None:
        return None
    given = [{"by": each.by, "at": each.at.isoformat(), "comment": each.comment} for each in rollout.approvals]
    return {"needed": wave.approvers, "given": given}


def _pin_to_document(pin: Pin) -> dict[str, Any]:
    return {
        "by": pin.by,
        "at": pin.at.isoformat(),
        "reason": pin.reason,
        "breached_at": _time(pin.breached_at),
    }


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
