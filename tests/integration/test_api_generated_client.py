"""A client that openapi-python-client makes from the served document works against a controller as people run it."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from urllib.request import urlopen

import pytest

from support.live_controller import live_controller

GENERATOR = Path(sys.executable).with_name("openapi-python-client")


@pytest.fixture
def generated(tmp_path, monkeypatch):
    """A controller's URL, with the client that was made from its document importable as `generated`."""
    with live_controller(tmp_path) as url:
        document, settings = tmp_path / "openapi.json", tmp_path / "settings.json"
        with urlopen(f"{url}/api/v1/openapi.json") as answer:
            document.write_bytes(answer.read())
        settings.write_text(json.dumps({"post_hooks": []}))
        generate = ["generate", "--path", document, "--config", settings, "--meta", "none", "--fail-on-warning"]
        made = subprocess.run(
            [GENERATOR, *generate, "--output-path", tmp_path / "generated"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        monkeypatch.syspath_prepend(tmp_path)
        yield url


@pytest.mark.slow
def test_a_generated_client_takes_a_flag_through_a_rollout_and_reads_a_refusal(generated):
    def api(module):
        return import_module(f"generated.api.{module}")

    models = import_module("generated.models")
    ada = {"actor": "ada", "comment": "reads well"}

    with import_module("generated").Client(base_url=generated) as client:
        flag = api("flags.create_flag").sync(client=client, body=models.FlagDocument(key="ai-summaries"))
        refused = api("flags.create_flag").sync(client=client, body=models.FlagDocument(key="ai-summaries"))
        draft = models.SignedRollout.from_dict({"flag": "ai-summaries", "actor": "ada"})
        api("rollouts.create_rollout").sync(client=client, body=draft)
        started = api("rollouts.start_rollout").sync("ai-summaries", client=client, body=models.Act.from_dict(ada))
        back = api("rollouts.roll_back_rollout").sync("ai-summaries:1", client=client, body=models.Act.from_dict(ada))
        decisions = api("rollouts.list_decisions").sync("ai-summaries", client=client, moves_only=True)

    assert (flag.key, flag.enabled, flag.rollout) == ("ai-summaries", True, None)
    assert (refused.status, refused.type_) == (409, "urn:wavegate:problem:conflict")
    assert (started.state, started.percent, started.wave.number) == ("running", 10, 1)
    assert (back.state, back.moved_by.comment) == ("rolled_back", "reads well")
    assert [each.event for each in decisions.items] == ["roll_back", "start"]
