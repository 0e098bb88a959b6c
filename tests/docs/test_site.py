"""The pages become a site: each is in its navigation, no link is broken, and it asks nobody else for anything."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: Where a browser fetches from by itself; where a person may go by a click is another matter.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\ssrc=\"([^\"]+)"
    r"|<link[^>]*\brel=\"(?:stylesheet|icon|preload|preconnect)\"[^>]*\bhref=\"([^\"]+)"
    r"|url\([\"']?([^)\"']+)|@import\s+[\"']([^\"']+)"
)


def fetched(text):
    return [next(filter(None, found)) for found in FETCHED.findall(text)]


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r"^[a-z-]+$", (DOCS / "index.md").read_text(encoding="utf-8"), re.MULTILINE))

    assert {page.stem for page in DOCS.glob("*.md")} - {"index"} == listed


def test_what_is_looked_for_in_the_site_would_be_found():
    assert fetched('<script defer src="https://a/b.js">') == ["https://a/b.js"]
    assert fetched('<link rel="stylesheet" type="text/css" href="//a/b.css">') == ["//a/b.css"]
    assert fetched("a {background: url('https://a/b.png')}") == ["https://a/b.png"]


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_asks_its_own_origin_for_everything(tmp_path):
    python = ROOT / ".tools" / "docs" / "bin" / "python"
    if not python.exists():
        pytest.skip("`make docs` builds the environment that builds the site")
    subprocess.run([sys.executable, ROOT / "scripts" / "reference"], check=True)
    command = [python, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-b", "html", "-d", tmp_path / "trees", DOCS]

    built = subprocess.run(
        [*command, tmp_path / "site"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert built.returncode == 0, built.stderr
    files = [file for file in (tmp_path / "site").rglob("*") if file.suffix in {".html", ".css"}]
    asked = {where for file in files for where in fetched(file.read_text(encoding="utf-8"))}
    assert asked
    assert "<svg" in (tmp_path / "site" / "rollouts.html").read_text(encoding="utf-8")
    assert {where for where in asked if re.match(r"(?i)(https?:)?//", where)} == set()
