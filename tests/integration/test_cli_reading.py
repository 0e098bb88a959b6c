"""What people and programs read of the command line: help in a narrow terminal, JSON from whatever shows something."""

import json

import click
import pytest
from click.testing import CliRunner

from support.live_controller import NOWHERE, live_controller
from wavegate_controller.cli import main

#: These show nothing of a controller: they run, print in a form of their own, or act on a database.
WITHOUT_JSON = {
    "import",
    "serve",
    "relay",
    "demo inject",
    "db upgrade",
    "db backup",
    "db new-key",
    "db check",
    "schema",
    "completion",
    "flagd export",
}
#: Arguments for those that need some, with what `known` has made.
READS = {
    "flag list": "",
    "flag show": "search",
    "flag stale": "",
    "feedback list": "search",
    "segment list": "",
    "segment show": "staff",
    "template list": "",
    "template show": "careful",
    "freeze show": "",
    "stage show": "search",
    "stage document": "search",
    "stage portfolio": "",
    "rollout list": "",
    "rollout status": "search",
    "rollout forecast": "search",
    "rollout lint": "search",
    "rollout history": "search",
    "rollout watch": "search",
    "explain": "1",
    "user list": "",
    "token list": "",
    "key list": "",
    "environment list": "",
    "gate presets": "",
    "delivery list": "",
    "delivery clients": "",
    "audit list": "",
    "audit show": "1",
    "audit verify": "",
    "audit export": "",
    "alert list": "",
    "notify list": "",
    "notify deliveries": "",
    "plan": "-f",
    "export": "",
    "status": "",
    "events": "--after 0 --count 2",
}
#: They change something, follow without an end, or ask the metrics server; each has its own tests.
OTHERS = {"apply", "login", "logout", "doctor", "estimate", "backtest", "aa report", "lint", "delivery watch"}
OTHERS |= {"drill", "rollout compare", "rollout review", "rollout report", "feedback export"}
ACTS = {"create", "change", "save", "set", "add", "remove", "test", "retry", "roles", "link", "disable", "enable"}
ACTS |= {"archive", "restore", "rotate", "revoke", "judge", "start", "promote", "approve", "reject", "pause", "resume"}
ACTS |= {"pin", "unpin", "dry-run", "step-back", "roll-back", "undo", "reason", "restart", "cancel"}
ACTS |= {"write", "go", "no-go", "back", "override", "acknowledge", "leave", "erase"}


def commands(group=main, path=(), parent=None):
    """Path to command, of the groups, too."""
    context = click.Context(group, info_name=" ".join(path) or "wavegate", parent=parent)
    found = {path: group}
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            found |= commands(group.get_command(context, name), (*path, name), context)
    return found


TREE = commands()
LEAVES = {" ".join(path): each for path, each in TREE.items() if not isinstance(each, click.Group)}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with live_controller(tmp_path_factory.mktemp("controller")) as url:
        yield url


@pytest.fixture(scope="module")
def run(url):
    def run(*arguments, stdin=None, **variables):
        return CliRunner(env={"WAVEGATE_URL": url, "COLUMNS": "80"} | variables).invoke(main, arguments, input=stdin)

    return run


@pytest.fixture(scope="module")
def known(run):
    """One of each thing that can be shown; the rollout has ended."""
    for command, stdin in (
        ("flag create search", None),
        ("segment save staff -f -", "{condition: {attribute: team, operator: equals, value: us}}"),
        ("template save careful -f -", "{plan: {waves: [{percent: 5, bake: 1h}, {percent: 100, bake: 1h}]}}"),
        ("rollout create --flag search --start", None),
        ("rollout roll-back search", None),
    ):
        made = run(*command.split(), stdin=stdin)
        assert made.exit_code == 0, f"{command}: {made.output}"


def test_no_summary_of_a_command_is_cut_short_in_a_narrow_terminal():
    helps = {path: run_help(path) for path, each in TREE.items() if isinstance(each, click.Group)}

    assert {path: line for path, text in helps.items() for line in text.splitlines()[1:] if line.endswith("...")} == {}
    assert max(len(line) for text in helps.values() for line in text.splitlines()) <= 80


def run_help(path):
    return CliRunner(env={"COLUMNS": "80"}).invoke(main, [*path, "--help"], terminal_width=80).stdout


def test_every_command_that_shows_something_takes_json():
    takes = {name for name, each in LEAVES.items() if any("--json" in option.opts for option in each.params)}

    assert set(LEAVES) - takes == WITHOUT_JSON
    assert {name for name in takes - OTHERS - set(READS) if name.split()[-1] not in ACTS} == set()


@pytest.mark.parametrize("name", READS)
def test_what_is_shown_is_json_for_a_program(name, known, run, tmp_path):
    more = READS[name].split()
    if name == "plan":
        file = tmp_path / "flags.yaml"
        file.write_text(run("export").stdout)
        more = ["-f", str(file)]

    shown = run(*name.split(), *more, "--json")

    assert shown.exit_code == 0, shown.output
    try:
        json.loads(shown.stdout)
    except json.JSONDecodeError:
        # One that follows, or gives a whole chain, prints a document on each line.
        assert all(json.loads(line) for line in shown.stdout.splitlines())
        assert len(shown.stdout.splitlines()) > 1


@pytest.mark.parametrize(
    ("command", "stdin", "code"),
    [
        ("flag show absent", None, 1),
        ("flag create search", None, 1),
        ("rollout promote search", None, 1),
        ("flag explode", None, 2),
        ("rollout create", None, 2),
        ("segment save staff -f -", "condition: 7", 2),
        (f"flag list --url {NOWHERE}", None, 3),
        ("audit verify -f -", '{"sequence": 1}', 4),
    ],
)
def test_exit_codes_are_those_of_the_table(command, stdin, code, known, run):
    failed = run(*command.split(), stdin=stdin)

    assert failed.exit_code == code, failed.output
    assert "Error: " in failed.stderr
    assert "Traceback" not in failed.output
