"""Segments, templates and freeze windows over HTTP."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from flask.typing import ResponseReturnValue

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.paging import Page, PageQuery, page
from wavegate_controller.api.reading import Removal, SavedCalendar, SavedSegment, SavedTemplate
from wavegate_controller.documents import calendar_to_document, segment_to_document, template_to_document
from wavegate_controller.documents.shown import CalendarShown, SegmentShown, TemplateShown
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.errors import Conflict, StaleVersion
from wavegate_controller.service import calendars, templates
from wavegate_controller.service import segments as segments_service
from wavegate_controller.service.services import Services

Thing = TypeVar("Thing")

segments: Final = Operations("segments", "Conditions with names, for the rules of any flag.")
plans: Final = Operations("templates", "Plans with names: each rollout made from one has its own copy.")
freezes: Final = Operations("freeze windows", "When nothing raises exposure.")


@segments.get("/segments", "List the segments, by key", answer=Page[SegmentShown])
def list_segments(services: Services, by: Principal, query: PageQuery) -> ResponseReturnValue:
    """Of the environment."""
    found = _behind(query, segments_service.list_segments(services, by=by), lambda each: each.key)
    return page([segment_to_document(each) for each in found], query, [(each.key,) for each in found])


@segments.get("/segments/{key}", "Show a segment", answer=SegmentShown)
def show_segment(services: Services, by: Principal, key: str) -> ResponseReturnValue:
    """With its condition."""
    return segment_to_document(segments_service.get_segment(services, key, by=by))


@segments.put("/segments/{key}", "Make or replace a segment", answer=SegmentShown, problems=[Conflict, StaleVersion])
def save_segment(services: Services, by: Principal, key: str, body: SavedSegment) -> ResponseReturnValue:
    """Who is in it is decided anew in every app at once."""
    saved = segments_service.save_segment(
        services,
        key,
        body,
        by=by,
        comment=body.comment,
        expected_version=body.version,
        override_freeze=body.override_freeze,
    )
    return segment_to_document(saved)


@segments.post("/segments/{key}/remove", "Remove a segment", answer=SegmentShown, problems=[Conflict, StaleVersion])
def remove_segment(services: Services, by: Principal, key: str, body: Removal) -> ResponseReturnValue:
    """Refused while a rule, a pilot or another segment names it; the answer is what it was."""
    removed = segments_service.remove_segment(services, key, by=by, comment=body.comment, expected_version=body.version)
    return segment_to_document(removed)


@plans.get("/templates", "List the templates, by name", answer=Page[TemplateShown])
def list_templates(services: Services, by: Principal, query: PageQuery) -> ResponseReturnValue:
    """The newest version of each."""
    found = _behind(query, templates.list_templates(services, by=by), lambda each: each.name)
    return page([template_to_document(each) for each in found], query, [(each.name,) for each in found])


@plans.get("/templates/{reference}", "Show a template", answer=TemplateShown)
def show_template(services: Services, by: Principal, reference: str) -> ResponseReturnValue:
    """By its name, or one version of it such as `careful@3`."""
    return template_to_document(templates.get_template(services, reference, by=by))


@plans.put(
    "/templates/{reference}", "Save the next version of a template", answer=TemplateShown, problems=[StaleVersion]
)
def save_template(services: Services, by: Principal, reference: str, body: SavedTemplate) -> ResponseReturnValue:
    """Rollouts that were made from an earlier version keep their own copy."""
    saved = templates.save_template(
        services, reference, body, by=by, expected_version=body.version, comment=body.comment
    )
    return template_to_document(saved)


def _behind(query: PageQuery, found: Sequence[Thing], name: Callable[[Thing], str]) -> Sequence[Thing]:
    """Those of a page and one more; an environment has few enough of them to read all."""
    seen = query.after(str)
    return [each for each in found if seen is None or name(each) > seen[0]][: query.limit + 1]


@freezes.get("/freeze-windows", "Show the freeze windows", answer=CalendarShown)
def show_freeze_windows(services: Services, by: Principal) -> ResponseReturnValue:
    """Of the environment; plans may have their own."""
    return calendar_to_document(calendars.get_calendar(services, by=by))


@freezes.put(
    "/freeze-windows",
    "Replace the freeze windows",
    answer=CalendarShown,
    problems=[StaleVersion],
    permission=Permission.ADMINISTER,
)
def save_freeze_windows(services: Services, by: Principal, body: SavedCalendar) -> ResponseReturnValue:
    """Rollouts heed them from their next look on; what lowers exposure never waits."""
    saved = calendars.save_calendar(services, body, by=by, comment=body.comment, expected_version=body.version)
    return calendar_to_document(saved)
