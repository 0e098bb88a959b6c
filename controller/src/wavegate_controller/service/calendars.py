"""When nothing raises exposure in an environment."""

from wavegate_controller.documents import CalendarDocument, calendar_to_document
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.catalog import Calendar
from wavegate_controller.domain.errors import StaleVersion
from wavegate_controller.service.auditing import note
from wavegate_controller.service.services import Services


def save_calendar(
    services: Services,
    document: CalendarDocument,
    *,
    by: Principal,
    comment: str = "",
    expected_version: int | None = None,
) -> Calendar:
    """Replace the freeze windows of the environment; rollouts heed them from their next look on.

    Args:
        services: the world.
        document: all windows.
        by: who asks, and signs.
        comment: the person's reason.
        expected_version: the version that was read, 0 for none; None to write over whatever there is.

    Raises:
        Invalid: a field is wrong.
        StaleVersion: there is another version than the expected one.
    """
    by.require(Permission.ADMINISTER, services.environment)
    windows, now = document.windows_to_domain(), services.clock.now()
    with services.store.transaction() as work:
        before = work.calendars.get(services.environment)
        if expected_version is not None and expected_version != before.version:
            raise StaleVersion("calendar of environment", services.environment, current=before.version)
        after = Calendar(
            environment=services.environment,
            windows=windows,
            updated_by=by.name,
            updated_at=now,
            version=before.version + 1,
        )
        work.calendars.save(after)
        note(
            work,
            by=by,
            action="calendar.save",
            subject=services.environment,
            environment=services.environment,
            now=now,
            before=calendar_to_document(before),
            after=calendar_to_document(after),
            reason=comment.strip(),
        )
    return after


def get_calendar(services: Services, *, by: Principal) -> Calendar:
    """The environment's; empty where nobody has made one yet."""
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return work.calendars.get(services.environment)
