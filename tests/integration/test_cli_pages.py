"""What docs/api.md and docs/cli.md tell people to type works, and nothing that exists is left out."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from support import control_plane
from support.live_controller import live_controller
from wavegate_controller.cli import main
from wavegate_controller.domain.transitions import REQUESTS

DOCS = Path(__file__).parents[2] / "docs"


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def example(name):
    """The commands of the page's first example."""
    block = re.search(r"```sh\n(.*?)```", page(name), re.DOTALL)[1]
    return [shlex.split(line) for line in block.splitlines()]


@pytest.fixture
def api(tmp_path):
    with control_plane.world(tmp_path) as world:
        yield control_plane.client(world.services)


def commands(command, path=()):
    if not isinstance(command, click.Group):
        yield " ".join(path)
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from commands(command.get_command(context, name), (*path, name))


def test_the_command_lines_of_the_page_do_what_they_say(tmp_path):
    with live_controller(tmp_path, WAVEGATE_STAGES="required") as url:
        results = [CliRunner(env={"WAVEGATE_URL": url}).invoke(main, arguments) for _, *arguments in example("cli.md")]

    assert [(result.exit_code, result.stderr) for result in results] == [(0, "")] * len(results)


def test_every_command_is_on_its_page():
    listed = re.findall(r"^\| `wavegate ([a-z -]+[a-z])", page("cli.md"), re.MULTILINE)

    assert {command for command in commands(main) if not command.startswith("demo")} <= set(listed)


def test_the_requests_of_the_page_do_what_they_say(api):
    def send(_, *arguments):
        path = arguments[-1].removeprefix("http://127.0.0.1:8080")
        if arguments[0] == "--json":
            return api.post(path, json=json.loads(arguments[1]))
        return api.get(path)

    answers = [send(*request) for request in example("api.md")]

    assert [answer.status_code for answer in answers] == [201, 201, 200, 200, 200, 200, 200]
    assert [decision["event"] for decision in answers[-1].json["items"]] == ["roll_back", "promote", "start"]


def test_every_endpoint_and_every_event_is_on_its_page(api):
    routes = {
        f"{method} {rule.rule}"
        for rule in api.application.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint != "static"
    }
    listed = set(re.findall(r"^\| `((?:GET|POST|PUT|PATCH|DELETE) [^`]+)`", page("api.md"), re.MULTILINE))

    # One route only refuses what is no event.
    assert listed == routes - {"POST /api/v1/rollouts/<reference>/<event>"}
    assert all(f"`{event}`" in page("api.md") for event in REQUESTS)


def test_the_problem_on_the_page_is_the_one_that_is_answered(api):
    shown = json.loads(re.search(r"```json\n(.*?)```", page("api.md"), re.DOTALL)[1])
    api.post("/api/v1/flags", json={"key": "f"})

    answered = api.post(
        "/api/v1/rollouts",
        json={"flag": "f", "actor": "ada", "plan": {"waves": [{"percent": 50}, {"percent": 25}]}},
    )

    assert answered.json == shown
