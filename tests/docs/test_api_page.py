"""docs/api.md lists the operations as the code declares them, and docs/cli.md the commands."""

import re
from pathlib import Path

import click
import pytest

from wavegate_controller import cli
from wavegate_controller.api.blueprint import OPERATIONS
from wavegate_controller.api.errors import PROBLEMS
from wavegate_controller.domain.access import LEAST_ROLE

DOCS = Path(__file__).parents[2] / "docs"


def table():
    """The rows of docs/api.md; `python tests/docs/test_api_page.py` prints them."""
    rows = ["| request | does | takes |", "|---|---|---|"]
    for operation in (each for part in OPERATIONS for each in part.all if each.is_listed):
        path = operation.path.replace("{", "<").replace("}", ">")
        takes = "nothing" if operation.is_open else "to be somebody"
        if operation.permission is not None:
            takes = LEAST_ROLE[operation.permission].value
        summary = operation.summary[0].lower() + operation.summary[1:]
        rows.append(f"| `{operation.method} {path}` | {summary} | {takes} |")
    return "\n".join(rows)


def test_the_table_of_operations_is_that_of_the_code():
    assert table() in (DOCS / "api.md").read_text(encoding="utf-8")


def test_every_kind_of_problem_is_on_the_page():
    page = (DOCS / "api.md").read_text(encoding="utf-8")

    assert {kind for _, kind, _ in PROBLEMS.values() if f"urn:wavegate:problem:{kind}" not in page} == set()


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_on_the_page(name):
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    command = cli.find(name)
    names = [f"{name} {each}" for each in command.commands] if isinstance(command, click.Group) else [name]

    assert [each for each in names if not re.search(rf"`wavegate {each}\b", page)] == []


if __name__ == "__main__":
    print(table())
