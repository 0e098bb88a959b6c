"""Pages in a real Chromium over a controller in a process of its own.

A test asks for `page` (a window), `controller` (an open controller, its `url` and a client) or `signed_in` (windows of
people with a role on a controller that asks who they are), and for `axe`, which refuses a page that is not accessible.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from support.browsers import chromium, violations
from support.live_controller import live_controller
from wavegate_controller.remote import RemoteController

#: For whatever a page is expected to show: CI is busy.
PATIENCE = 30_000
PASSWORD = "the-quick-brown-fox-jumps"
ADMIN_TOKEN = "token-of-the-administrator-of-these-tests"


@dataclass
class Controller:
    """A controller and how to speak to it."""

    url: str
    remote: RemoteController


# Not for longer than a module: as long as it is there an event loop runs in this thread, and others want their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_window(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens another window with cookies of its own: `open_window(color_scheme="dark")`; complains of what goes wrong.

    No window may ask anybody but the controller, and no script may fail.
    """
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def open_one(**options: Any) -> Page:
        context = browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"a script failed: {error}"))
        page.on("request", lambda request: _check_host(request.url, wrong))
        page.on("console", lambda said: _check_said(said.text, wrong))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert wrong == []


def _check_host(url: str, wrong: list[str]) -> None:
    if not url.startswith(("http://127.0.0.1:", "data:", "blob:")):
        wrong.append(f"asks somebody else: {url}")


def _check_said(said: str, wrong: list[str]) -> None:
    if "Content Security Policy" in said or "Content-Security-Policy" in said:
        wrong.append(said)


@pytest.fixture
def page(open_window: Callable[..., Page]) -> Page:
    """A window as wide as a laptop's."""
    return open_window()


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    """A controller of the test's own that is open to everybody."""
    with live_controller(tmp_path) as url:
        yield Controller(url=url, remote=RemoteController(url))


@pytest.fixture
def closed_controller(tmp_path: Path) -> Iterator[Controller]:
    """A controller of the test's own that asks who one is; `remote` is an admin."""
    with live_controller(tmp_path, WAVEGATE_API_TOKENS=json.dumps({"root": ADMIN_TOKEN})) as url:
        yield Controller(url=url, remote=RemoteController(url, token=ADMIN_TOKEN))


@pytest.fixture
def signed_in(closed_controller: Controller, open_window: Callable[..., Page]) -> Callable[..., Page]:
    """A window in which somebody with that role has just signed in: `signed_in("anna", "engineer")`."""

    def sign_in(name: str, role: str, **options: Any) -> Page:
        invited = closed_controller.remote.create_user(name, {"*": role})
        page = open_window(**options)
        page.goto(closed_controller.url + urlsplit(invited["link"]).path)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("The same again").fill(PASSWORD)
        page.get_by_role("button", name="Choose and sign in").click()
        page.get_by_role("button", name="Sign out").wait_for()
        return page

    return sign_in


@pytest.fixture
def axe() -> Callable[[Page], None]:
    """Refuses a page with anything that WCAG 2.2 AA forbids and axe-core finds."""

    def check(page: Page) -> None:
        assert violations(page) == []

    return check
