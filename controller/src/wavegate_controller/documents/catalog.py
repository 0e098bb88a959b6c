"""Segments, templates and calendars as documents."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from wavegate.evaluation import Condition
from wavegate_controller.documents.freeze import (
    FreezeWindowDocument,
    freeze_window_to_document,
    freeze_windows_to_domain,
)
from wavegate_controller.documents.plans import PlanDocument, plan_to_document
from wavegate_controller.documents.reading import Document, examples
from wavegate_controller.documents.targeting import condition_to_document, condition_to_domain
from wavegate_controller.domain.catalog import Calendar, Segment, Template
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.freeze import FreezeWindow
from wavegate_controller.domain.plan import Plan
from wavegate_controller.domain.staleness import Stale


class EnvironmentDocument(Document):
    """An environment to make."""

    model_config = examples({"name": "staging", "description": "Where we try things."})

    name: str = Field(description="Such as staging; never changes.")
    description: str = ""
    dry_run: bool = Field(default=False, description="Whether its rollouts are only judged; people move them.")


class EnvironmentChange(Document):
    """What is to be different about an environment; what is left out stays."""

    model_config = examples({"dry_run": True})

    description: str | None = None
    dry_run: bool | None = Field(default=None, description="Whether its rollouts are only judged; people move them.")


class SegmentDocument(Document):
    """A named condition that the rules of any flag may ask for."""

    model_config = examples(
        {"description": "The Nordics", "condition": {"attribute": "country", "operator": "in", "value": ["NO", "SE"]}}
    )

    description: str = ""
    condition: dict[str, Any] = Field(description="As docs/ruleset.md has conditions.")

    def condition_to_domain(self) -> Condition:
        """The condition.

        Raises:
            Invalid: naming the field by its path.
        """
        return condition_to_domain("condition", self.condition)


class TemplateDocument(Document):
    """A plan to keep by name."""

    model_config = examples({"description": "For what costs money", "plan": {"hold_out": 5}})

    description: str = ""
    plan: PlanDocument = Field(default_factory=PlanDocument)

    def plan_to_domain(self) -> Plan:
        """The plan.

        Raises:
            Invalid: naming the field by its path.
        """
        try:
            return self.plan.to_domain()
        except Invalid as refusal:
            raise refusal.under("plan") from None


class CalendarDocument(Document):
    """When nothing raises exposure in an environment."""

    model_config = examples(
        {
            "freeze_windows": [
                {"name": "weekend", "time_zone": "Europe/Berlin", "from": "fri 16:00", "to": "mon 08:00"},
                {"name": "year's end", "from": "2026-12-20", "to": "2027-01-04 08:00"},
            ]
        }
    )

    freeze_windows: list[FreezeWindowDocument] = Field(description="All of them, not only those that change.")

    def windows_to_domain(self) -> tuple[FreezeWindow, ...]:
        """The windows.

        Raises:
            Invalid: naming the field by its path.
        """
        return freeze_windows_to_domain(self.freeze_windows, "freeze_windows")


def segment_to_document(segment: Segment) -> dict[str, Any]:
    """A segment as the API shows it."""
    return {
        "key": segment.key,
        "environment": segment.environment,
        "description": segment.description,
        "condition": condition_to_document(segment.condition),
        "created_at": segment.created_at.isoformat(),
        "updated_at": segment.updated_at.isoformat(),
        "version": segment.version,
    }


def template_to_document(template: Template) -> dict[str, Any]:
    """A template as the API shows it."""
    return {
        "name": template.name,
        "environment": template.environment,
        "version": template.version,
        "description": template.description,
        "plan": plan_to_document(template.plan),
        "created_by": template.created_by,
        "created_at": template.created_at.isoformat(),
    }


def calendar_to_document(calendar: Calendar) -> dict[str, Any]:
    """A calendar as the API shows it."""
    return {
        "environment": calendar.environment,
        "freeze_windows": [freeze_window_to_document(each) for each in calendar.windows],
        "updated_by": calendar.updated_by,
        "updated_at": None if calendar.updated_at is None else calendar.updated_at.isoformat(),
        "version": calendar.version,
    }


def stale_to_document(flag: Flag, reasons: Sequence[Stale]) -> dict[str, Any]:
    """A stale flag as the API shows it."""
    return {
        "flag": flag.key,
        "description": flag.description,
        "reasons": [
            {"reason": each.reason.value, "since": each.since.isoformat(), "sentence": each.sentence}
            for each in reasons
        ],
    }
