"""A rollout to create, as a document."""

from pydantic import Field

from wavegate_controller.documents.plans import PlanDocument
from wavegate_controller.documents.reading import Document, examples
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.plan import Plan


class PlanChange(Document):
    """Another plan for a draft."""

    model_config = examples(
        {"plan": {"waves": [{"percent": 5, "bake": "1h"}, {"percent": 100}]}}, {"template": "careful"}
    )

    plan: PlanDocument | None = Field(default=None, description="The whole plan; what it leaves out is the default.")
    template: str | None = Field(
        default=None, description="Instead of a plan: a template of the environment, such as careful or careful@3."
    )

    def plan_to_domain(self) -> Plan | None:
        """The plan; None where it is a template's.

        Raises:
            Invalid: naming the field by its path in this document.
        """
        if (self.plan is None) == (self.template is None):
            what = "is missing" if self.plan is None else "stands beside template"
            raise Invalid("plan", what, "one of the two: a plan, or a template, which is a whole plan")
        try:
            return None if self.plan is None else self.plan.to_domain()
        except Invalid as refusal:
            raise refusal.under("plan") from None


class RolloutDocument(Document):
    """Which flag moves from which variant to which, and how."""

    model_config = examples(
        {"flag": "ai-summaries"},
        {"flag": "answer-model", "candidate": "large", "plan": {"waves": [{"percent": 10, "bake": "10m"}]}},
    )

    flag: str = Field(description="Flag key.")
    candidate: str = Field(default="on", description="Variant that is rolled out.")
    stable: str | None = Field(default=None, description="Variant that it replaces; by default what is served now.")
    plan: PlanDocument = Field(default_factory=PlanDocument)
    template: str | None = Field(
        default=None, description="Instead of a plan: a template of the environment, such as careful or careful@3."
    )

    def plan_to_domain(self) -> Plan:
        """The plan.

        Raises:
            Invalid: naming the field by its path in this document.
        """
        if self.template is not None and "plan" in self.model_fields_set:
            raise Invalid("plan", "stands beside template", "one of the two: a template is a whole plan")
        try:
            return self.plan.to_domain()
        except Invalid as refusal:
            raise refusal.under("plan") from None
