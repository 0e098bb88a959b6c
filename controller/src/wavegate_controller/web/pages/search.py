"""What the palette and its page find: flags and pages."""

from typing import Final

from flask import Blueprint, render_template, request

from wavegate_controller.identity import here, principal
from wavegate_controller.service import queries
from wavegate_controller.service.services import Services
from wavegate_controller.web.navigation import navigation

_SHOWN: Final = 12


def add_search(web: Blueprint, services: Services) -> None:
    """The page /search."""

    @web.get("/search")
    def search() -> str:
        q = request.args.get("q", "")[:200]
        found, more = queries.matching(here(services), q, limit=_SHOWN, by=principal())
        pages = [(text, endpoint) for text, endpoint in navigation() if q.casefold() in text.casefold()]
        return render_template("web/search.html", q=q, views=found, more=more, pages=pages)
