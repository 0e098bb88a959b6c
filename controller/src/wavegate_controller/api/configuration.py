"""Configuration as people keep it in Git, over HTTP."""

from typing import Any, Final

from flask.typing import ResponseReturnValue
from pydantic import Field

from wavegate_controller.api.operations import Operations
from wavegate_controller.documents.configuration import AnyObject
from wavegate_controller.documents.outlooks import findings_to_documents
from wavegate_controller.documents.reading import Document, examples
from wavegate_controller.documents.shown import ConfigurationShown, OutcomeShown
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.configuration import Change
from wavegate_controller.domain.errors import Conflict, EventRefused, StaleVersion
from wavegate_controller.domain.foresight.findings import LintRefused
from wavegate_controller.service import configuration as service
from wavegate_controller.service.configuration import Outcome, Wish
from wavegate_controller.service.services import Services

configuration: Final = Operations("configuration", "What people keep in Git: planned, applied and exported as a whole.")

_EXAMPLE: Final = {"documents": [{"apiVersion": "wavegate/v1", "kind": "Flag", "spec": {"key": "ai-summaries"}}]}


class Wanted(Document):
    """Objects as they are wanted."""

    model_config = examples(_EXAMPLE)

    documents: list[AnyObject] = Field(max_length=5000, description="In any order.")
    collection: str = Field(
        default="default", min_length=1, max_length=200, description="Whose files they are; others' are not pruned."
    )
    prune: bool = Field(default=False, description="Archive what was applied from there and is not among them.")

    def wish(self) -> Wish:
        """The same in the words of the service."""
        return Wish(objects=self.documents, collection=self.collection, prune=self.prune)


class Applying(Wanted):
    """Objects to apply."""

    model_config = examples(_EXAMPLE | {"actor": "ada", "comment": "from the main branch"})

    fingerprint: str | None = Field(default=None, description="Of the plan that was agreed to; refused if it changed.")
    actor: str | None = Field(default=None, description="Who asks; left out where a token says it.")
    comment: str = Field(default="", description="Why.")
    despite_lint: str = Field(
        default="", description="Why to start rollouts although lint finds errors in their gates."
    )


@configuration.post(
    "/configuration/plan", "Say what applying would change", answer=OutcomeShown, permission=Permission.READ
)
def plan_configuration(services: Services, by: Principal, body: Wanted) -> ResponseReturnValue:
    """Three ways: as it was applied last, as it is, as it is wanted. Nothing is changed."""
    return _outcome(service.plan(services, body.wish(), by=by))


@configuration.post(
    "/configuration/apply",
    "Make everything as it is wanted, or nothing",
    answer=OutcomeShown,
    problems=[Conflict, EventRefused, LintRefused, StaleVersion],
)
def apply_configuration(services: Services, by: Principal, body: Applying) -> ResponseReturnValue:
    """In one transaction. A rollout that is under way is never changed: then nothing is applied, and it says why."""
    return _outcome(
        service.apply(
            services,
            body.wish(),
            by=by,
            comment=body.comment,
            fingerprint=body.fingerprint,
            despite_lint=body.despite_lint,
        )
    )


@configuration.get("/configuration", "Export an environment", answer=ConfigurationShown)
def export_configuration(services: Services, by: Principal) -> ResponseReturnValue:
    """Documents that make an environment like this one, in the order in which they can be applied."""
    return {"documents": list(service.export(services, by=by))}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "applied": outcome.is_applied,
        "fingerprint": outcome.fingerprint,
        "changes": [_change(each) for each in outcome.changes],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.object.kind,
        "environment": change.object.environment,
        "name": change.object.name,
        "action": change.action.value,
        "fields": [
            {
                "field": each.field,
                "applied": each.applied,
                "live": each.live,
                "wanted": each.wanted,
                "cause": each.cause.value,
            }
            for each in change.fields
        ],
        "blocked": change.blocked,
        "remark": change.remark,
        "findings": findings_to_documents(str(change.object), change.findings),
    }
