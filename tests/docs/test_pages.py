"""What the documents claim about the code is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import wavegate
from wavegate_controller.config import load
from wavegate_controller.documents import RolloutDocument, parse_text

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")] if page.is_file()
)


def test_the_state_diagram_is_drawn_from_the_table():
    drawn = subprocess.run(
        [sys.executable, ROOT / "scripts" / "state-diagram"], capture_output=True, text=True, check=True
    ).stdout

    assert drawn in (ROOT / "docs" / "rollouts.md").read_text(encoding="utf-8")


def test_the_example_plan_is_accepted():
    page = (ROOT / "docs" / "rollouts.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1]

    plan = parse_text(RolloutDocument, example).plan_to_domain()

    assert [gate.name for gate in plan.gates] == ["error-rate", "latency-p95"]


def test_the_readme_s_app_works(monkeypatch):
    """Without its controller: the stable path, and no exception."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    offline = wavegate.Client.offline({"schema": 1, "environment": "production", "revision": 1, "flags": {}})
    monkeypatch.setattr(wavegate, "Client", lambda url: offline)
    app = {"summarize_with_ai": lambda text: "ai", "first_paragraph": lambda text: text.partition("\n\n")[0]}

    exec(example, app)

    assert app["summary"]("user-1", "One.\n\nTwo.") == "One."


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_the_pages_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ["access", "configuration", "sso"])
def test_the_example_settings_are_accepted(page: str, tmp_path: Path):
    file = tmp_path / "wavegate.toml"
    for example in re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / f"{page}.md").read_text(), re.DOTALL):
        file.write_text(example, encoding="utf-8")

        assert load({"WAVEGATE_OIDC_CLIENT_SECRET": "secret"}, file)
