"""The `wavegate` command as a process: what it loads, what it prints, how it ends."""

import subprocess
import sys

import pytest

from support.live_controller import WAVEGATE, environment
from wavegate_controller import cli

HEAVY = {"rich.table", "requests", "flask", "sqlalchemy", "pydantic", "wavegate_controller.remote"}


def wavegate(*arguments, **variables):
    return subprocess.run(
        [WAVEGATE, *arguments], env=environment(**variables), capture_output=True, text=True, check=False
    )


def test_help_lists_the_commands_and_the_exit_codes():
    helped = wavegate("--help")

    assert helped.returncode == 0
    assert all(command in helped.stdout for command in cli.COMMANDS)
    assert "3  no controller answers" in helped.stdout


def test_help_answers_at_once_since_it_loads_nothing_heavy():
    ask = "import sys; from wavegate_controller.cli import main; main(['--help'], standalone_mode=False)"
    script = f"{ask}; print(*sys.modules)"

    loaded = set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )

    assert "wavegate_controller.cli" in loaded
    assert not HEAVY & loaded


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_commands_own_help_begins_as_the_list_says(name):
    command = cli.find(name)

    assert command.help.startswith(cli.COMMANDS[name])


def test_the_version_is_said():
    assert wavegate("--version").stdout.startswith("wavegate ")


def test_an_unknown_command_is_wrong_usage():
    assert wavegate("explode").returncode == 2


@pytest.mark.parametrize(
    ("command", "variables", "named"),
    [
        ("serve", {"WAVEGATE_PORT": "many"}, "WAVEGATE_PORT"),
        ("serve", {"WAVEGATE_TYPO": "1"}, "WAVEGATE_TYPO"),
        ("serve", {"WAVEGATE_CONFIG": "/does/not/exist.toml"}, "/does/not/exist.toml"),
        ("serve", {"WAVEGATE_DATABASE_URL": "sqlite:////does/not/exist/wavegate.db"}, "database_url"),
        ("db upgrade", {"WAVEGATE_DATABASE_URL": "nonsense"}, "database_url"),
        ("db check", {"WAVEGATE_TYPO": "1"}, "WAVEGATE_TYPO"),
    ],
)
def test_a_setting_that_cannot_be_used_ends_with_2_and_one_sentence(command, variables, named):
    refused = wavegate(*command.split(), **{"WAVEGATE_PORT": "0"} | variables)

    assert refused.returncode == 2
    assert refused.stderr.startswith("Error: ")
    assert named in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_database_is_checked_brought_up_to_date_and_checked_again(tmp_path):
    database = {"WAVEGATE_DATABASE_URL": f"sqlite:///{tmp_path / 'wavegate.db'}"}

    codes = [wavegate("db", command, **database).returncode for command in ("check", "upgrade", "upgrade", "check")]

    assert codes == [1, 0, 0, 0]
