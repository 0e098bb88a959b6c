"""The pages that the head of every page leads to, in their order."""

from collections.abc import Sequence
from typing import Final

from flask import current_app

_ENTRIES: Final = (
    ("Overview", "web.overview"),
    ("Portfolio", "web.portfolio"),
    ("Segments", "web.segment_list"),
    ("Playground", "web.playground"),
    ("Clients", "web.clients"),
    ("Audit", "web.audit"),
    ("Settings", "web.settings"),
)


def has_page(endpoint: str) -> bool:
    """Whether there is such a page."""
    return endpoint in current_app.view_functions


def navigation() -> Sequence[tuple[str, str]]:
    """Text and endpoint of each that there is."""
    return [(text, endpoint) for text, endpoint in _ENTRIES if has_page(endpoint)]
