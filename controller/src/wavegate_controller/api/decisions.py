"""Single decisions over HTTP."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from wavegate_controller.api.reading import Query, read_query
from wavegate_controller.documents import assessment_to_document, decision_to_document
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.domain.record import verdict_to_document
from wavegate_controller.service.explain import explain_decision
from wavegate_controller.service.services import Services

_LARGEST_ID = 2**63 - 1


def make_decisions(services: Services) -> Blueprint:
    """The paths beneath /decisions."""
    blueprint = Blueprint("decisions", __name__, url_prefix="/decisions")

    @blueprint.get("/<int:decision_id>/explanation")
    def explanation(decision_id: int) -> ResponseReturnValue:
        read_query(Query)
        if decision_id > _LARGEST_ID:
            raise NotFound("decision", str(decision_id))
        explained = explain_decision(services, decision_id)
        again, assessment = explained.again, explained.assessment
        return {
            "decision": decision_to_document(explained.record),
            "again": again
            and {
                "event": again.event.value,
                "reason": again.reason.value,
                "sentence": again.sentence,
                "verdicts": [verdict_to_document(each) for each in again.verdicts],
            },
            "agrees": explained.agrees,
            "guardrail": assessment and assessment_to_document(assessment),
        }

    return blueprint
