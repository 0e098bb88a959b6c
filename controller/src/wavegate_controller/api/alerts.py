"""Alertmanager's webhook, and what came of the alerts."""

from typing import Final

from flask.typing import ResponseReturnValue

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.paging import Page, PageQuery, page
from wavegate_controller.documents.alerts import AlertmanagerDocument, alert_to_document
from wavegate_controller.documents.shown import AlertShown, AlertsTaken
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.service import alerts as service
from wavegate_controller.service.services import Services

alerts: Final = Operations("alerts", "What Alertmanager reports about flags, and what came of it.")


@alerts.post(
    "/hooks/alertmanager",
    "Report alerts, as Alertmanager does",
    answer=AlertsTaken,
    permission=Permission.REPORT_ALERTS,
)
def report_alerts(services: Services, by: Principal, body: AlertmanagerDocument) -> ResponseReturnValue:
    """A firing alert that names a flag pauses, takes back or stops it, as the settings say, once for each firing.

    Everything that could be written down is answered 200, with what came of each alert, unknown flags included:
    Alertmanager repeats a report until it is. What it could never succeed with is answered 4xx, and what failed on this
    side 5xx.
    """
    taken = service.report_alerts(services, [each.to_domain() for each in body.alerts], by=by)
    return {"alerts": [alert_to_document(record, is_new=is_new) for record, is_new in taken]}


@alerts.get("/alerts", "List the alerts that were reported, newest first", answer=Page[AlertShown])
def list_alerts(services: Services, by: Principal, query: PageQuery) -> ResponseReturnValue:
    """Those of one environment: the firings and their ends."""
    seen = query.after(int)
    found = service.list_alerts(services, limit=query.limit + 1, before=seen[0] if seen else None, by=by)
    return page([alert_to_document(each) for each in found], query, [(each.id,) for each in found])
