"""A test of the metrics server, from where the controller runs."""

from collections.abc import Sequence

from flask import Blueprint

from wavegate_controller.domain.access import Permission
from wavegate_controller.identity import here, principal
from wavegate_controller.service.metrics_check import Finding, check_metrics
from wavegate_controller.service.services import Services
from wavegate_controller.web.pages.settings.frame import frame


def add_metrics(web: Blueprint, services: Services) -> None:
    """The page /settings/metrics; the test's answer is its own page, since there is nothing to come back to."""

    def page(findings: Sequence[Finding] | None) -> str:
        where = here(services)
        may_check = principal().may(Permission.EDIT, where.environment)
        return frame(where, "web/settings/metrics.html", "settings_metrics", findings=findings, may_check=may_check)

    @web.get("/settings/metrics")
    def settings_metrics() -> str:
        principal().require(Permission.READ, here(services).environment)
        return page(None)

    @web.post("/settings/metrics")
    def test_metrics() -> str:
        return page(check_metrics(here(services), by=principal()))
