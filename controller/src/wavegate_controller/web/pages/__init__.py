"""One module for each page. A page adds its routes to the blueprint; `PAGES` is the list of them all."""

from collections.abc import Callable, Sequence
from typing import Final

from flask import Blueprint

from wavegate_controller.service.services import Services
from wavegate_controller.web.pages.acts import add_acts
from wavegate_controller.web.pages.audit import add_audit
from wavegate_controller.web.pages.clients import add_clients
from wavegate_controller.web.pages.comparison import add_comparison
from wavegate_controller.web.pages.confirm import add_confirm
from wavegate_controller.web.pages.decisions import add_decisions
from wavegate_controller.web.pages.drill import add_drill
from wavegate_controller.web.pages.editing import add_editing
from wavegate_controller.web.pages.flag import add_flag
from wavegate_controller.web.pages.overview import add_overview
from wavegate_controller.web.pages.playground import add_playground
from wavegate_controller.web.pages.review import add_review
from wavegate_controller.web.pages.search import add_search
from wavegate_controller.web.pages.settings import add_settings
from wavegate_controller.web.pages.stages import add_stages

PAGES: Final[Sequence[Callable[[Blueprint, Services], None]]] = (
    add_overview,
    add_flag,
    add_acts,
    add_confirm,
    add_search,
    add_playground,
    add_clients,
    add_audit,
    add_decisions,
    add_comparison,
    add_review,
    add_editing,
    add_settings,
    add_stages,
    add_drill,
)
