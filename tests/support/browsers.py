"""A real Chromium, as Playwright drives it; started once for each process of the test run."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
AXE = ROOT / "controller" / "assets" / "tests" / "axe.min.js"
_UNPACKED = ROOT / ".tools" / "chromium"
#: What axe-core is asked for: everything that WCAG 2.2 asks for at the levels A and AA.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser. Skips the test where there is none; see scripts/ensure-chromium."""
    binary, environment = _binary()
    if binary is None:
        pytest.skip("there is no Chromium: run scripts/ensure-chromium, or name its binary in WAVEGATE_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, chromium_sandbox=False, env=environment)
        try:
            yield browser
        finally:
            browser.close()


def _binary() -> tuple[str | None, dict[str, str]]:
    environment = dict(os.environ)
    if found := (os.environ.get("WAVEGATE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")):
        return found, environment
    unpacked = _UNPACKED / "usr" / "lib" / "chromium" / "chromium"
    if not unpacked.exists():
        return None, environment
    places = (_UNPACKED / folder / f"{os.uname().machine}-linux-gnu" for folder in ("usr/lib", "lib"))
    return str(unpacked), environment | {"LD_LIBRARY_PATH": ":".join(map(str, places))}


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it stands, each as a line."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("rules => axe.run(document, { runOnly: rules })", _RULES)
    return [
        f"{each['id']}: {each['help']}: {node['html']} ({node['failureSummary']})"
        for each in found["violations"]
        for node in each["nodes"]
    ]
