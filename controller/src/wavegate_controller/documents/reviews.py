"""The review of a wave as a document: what the API shows, what a decision keeps, what pages and texts are made of."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from wavegate_controller.documents.outlooks import forecast_to_document
from wavegate_controller.domain.answers import FeedbackAnswer
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.review import GateReview, Incident, Review, decided_in
from wavegate_controller.domain.rollout import State

#: Of a comment that is no longer kept.
_GONE: Final = {"comment": "", "is_erased": True}


def review_to_document(review: Review) -> dict[str, Any]:
    """All of it."""
    rollout, stay = review.rollout, review.stay
    return {
        "rollout": rollout.id,
        "flag": rollout.flag_key,
        "environment": rollout.environment,
        "candidate": rollout.candidate,
        "stable": rollout.stable,
        "state": rollout.state.value,
        "wave": {
            "number": review.number,
            "of": len(rollout.plan.waves),
            "percent": review.percent,
            "since": stay.since.isoformat(),
            "until": stay.until and stay.until.isoformat(),
        },
        "is_open": review.is_open,
        "plan": review.plan,
        "gates": [_gate(each) for each in review.gates],
        "judged_at": review.judged_at and review.judged_at.isoformat(),
        "judged_by": review.judged_by,
        "incidents": [_incident(each) for each in review.incidents],
        "thumbs": [asdict(each) for each in review.thumbs],
        "answers": [{"variant": each.variant, "up": each.up, "down": each.down} for each in review.answers],
        "comments": [_comment(each) for each in review.comments],
        "further_comments": review.further,
        "costs": [
            {"gate": each.gate, "what": each.what, "candidate": each.candidate, "more": each.more}
            for each in review.costs
        ],
        "next": review.next and forecast_to_document(rollout, review.next),
        "approvals": _approvals(review),
        "decided": [decided_to_document(each) for each in decided_in(stay)],
        "digest": review.digest,
        "at": review.at.isoformat(),
        "is_kept": False,
    }


def without_words(document: Mapping[str, Any]) -> dict[str, Any]:
    """As it is kept: comments without what they say, which stands where it can be taken away."""
    comments = [{name: each[name] for name in each if name not in _GONE} for each in document["comments"]]
    return {**document, "comments": comments, "is_kept": True}


def with_words(document: Mapping[str, Any], find: Callable[[int], FeedbackAnswer | None]) -> dict[str, Any]:
    """As it is shown again, with the words that are still there."""
    comments = []
    for each in document["comments"]:
        found = find(each["id"])
        words = _GONE if found is None else {"comment": found.comment, "is_erased": found.is_erased}
        comments.append({**each, **words})
    return {**document, "comments": comments}


def decided_to_document(record: DecisionRecord) -> dict[str, Any]:
    """A decision and its signature."""
    review = record.review or {}
    return {
        "decision": record.id,
        "at": record.at.isoformat(),
        "actor": record.actor,
        "event": record.event.value,
        "sentence": record.sentence,
        "comment": record.comment,
        "review": review.get("digest"),
        "was_read": review.get("read", False),
    }


def _gate(gate: GateReview) -> dict[str, Any]:
    verdict = gate.verdict or {}
    return {
        "name": gate.name,
        "rule": gate.rule,
        "verdict": verdict.get("kind"),
        "reason": verdict.get("reason"),
        "sentence": verdict.get("sentence", "not looked at yet"),
        "value": verdict.get("value"),
        "limit": verdict.get("limit"),
        "candidate": gate.candidate,
        "stable": gate.stable,
        "unit": gate.unit,
        "figures": verdict.get("figures", {}),
    }


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "kind": incident.kind.value,
        "since": incident.since.isoformat(),
        "until": incident.until and incident.until.isoformat(),
        "sentence": incident.sentence,
        "by": incident.by,
    }


def _comment(said: FeedbackAnswer) -> dict[str, Any]:
    return {
        "id": said.id,
        "at": said.at.isoformat(),
        "variant": said.variant,
        "thumbs_up": said.thumbs_up,
        "comment": said.comment,
        "is_erased": said.is_erased,
    }


def _approvals(review: Review) -> dict[str, Any] | None:
    wave = review.rollout.current_wave
    if not review.is_open or review.rollout.state is not State.AWAITING_APPROVAL or wave is None:
        return None
    given = [{"by": each.by, "at": each.at.isoformat(), "comment": each.comment} for each in review.rollout.approvals]
    return {"needed": wave.approvers, "given": given}
