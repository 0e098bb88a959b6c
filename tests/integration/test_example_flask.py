"""examples/flask, as it is, with a client of a server that has its flag."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import wavegate

APP = Path(__file__).parents[2] / "examples" / "flask" / "app.py"


def ruleset(weight):
    rollout = {"stable": "off", "candidate": "on", "weight": weight}
    flag = {"variants": {"on": True, "off": False}, "default_variant": "off", "rollout": rollout}
    return {"schema": 1, "environment": "production", "revision": 1, "flags": {"ai-summaries": flag}}


def client(weight):
    spec = spec_from_file_location("example_flask", APP)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.create_app(wavegate.Client.offline(ruleset(weight))).test_client()


def test_who_is_in_gets_the_summary_and_is_counted():
    app = client(100_000)

    answer = app.get("/summary/ann").text
    metrics = app.get("/metrics").text

    assert answer == "In short: 3 things happened."
    assert re.search(r'wavegate_requests_total\{[^}]*flag="ai-summaries"[^}]*variant="on"[^}]*\} [1-9]', metrics)


def test_who_is_out_gets_the_first_sentence():
    assert client(0).get("/summary/ann").text == "The loop is closed"
