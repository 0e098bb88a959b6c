"""Flags, plans and rollouts as JSON or YAML documents: the border where untyped data becomes domain values."""

from wavegate_controller.documents.catalog import (
    CalendarDocument,
    SegmentDocument,
    TemplateDocument,
    calendar_to_document,
    segment_to_document,
    stale_to_document,
    template_to_document,
)
from wavegate_controller.documents.explanations import assessment_to_document
from wavegate_controller.documents.flags import FlagChange, FlagDocument, flag_to_document
from wavegate_controller.documents.plans import PlanDocument, plan_to_document
from wavegate_controller.documents.presets import presets_to_documents
from wavegate_controller.documents.reading import parse, parse_text
from wavegate_controller.documents.rollouts import PlanChange, RolloutDocument
from wavegate_controller.documents.views import decision_to_document, rollout_to_document

__all__ = [
    "CalendarDocument",
    "FlagChange",
    "FlagDocument",
    "PlanChange",
    "PlanDocument",
    "RolloutDocument",
    "SegmentDocument",
    "TemplateDocument",
    "assessment_to_document",
    "calendar_to_document",
    "decision_to_document",
    "flag_to_document",
    "parse",
    "parse_text",
    "plan_to_document",
    "presets_to_documents",
    "rollout_to_document",
    "segment_to_document",
    "stale_to_document",
    "template_to_document",
]
