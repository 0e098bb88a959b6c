"""Single decisions over HTTP."""

import re
from typing import Final

from flask.typing import ResponseReturnValue

from wavegate_controller.api.operations import Operations
from wavegate_controller.documents import assessment_to_document, decision_to_document
from wavegate_controller.documents.shown import ExplanationShown
from wavegate_controller.domain.access import Principal
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.domain.record import verdict_to_document
from wavegate_controller.service.explain import explain_decision
from wavegate_controller.service.services import Services

#: What a database counts up to is longer by far than what it will ever reach.
_ID: Final = re.compile(r"[0-9]{1,18}")

decisions: Final = Operations("decisions", "What was decided, by the reconciler and by people.")


@decisions.get("/decisions/{decision}/explanation", "Make a decision again from its evidence", answer=ExplanationShown)
def explain(services: Services, by: Principal, decision: str) -> ResponseReturnValue:
    """With every number beside its limit, and whether it comes out the same bit by bit."""
    if not _ID.fullmatch(decision):
        raise NotFound("decision", decision)
    explained = explain_decision(services, int(decision), by=by)
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
