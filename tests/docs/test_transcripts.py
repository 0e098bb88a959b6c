"""What the pages tell a reader to type is accepted, and what they say came back comes back again."""

import re
import shlex
from pathlib import Path

import click
import pytest

from support.transcripts import commands, differences, has_commands, recorded
from wavegate_controller import cli

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *(page for place in ("docs/*.md", "*/README.md", "examples/*/README.md") for page in sorted(ROOT.glob(place))),
]
RECORDED = [page for page in PAGES if has_commands(page.read_text(encoding="utf-8"))]
PAGE = """
```console
$ wavegate status
revision 3 of production, version 0.1.0
```
"""


def typed(page: Path) -> list[str]:
    """Each `wavegate …` of the blocks for a shell, without what the shell itself does with it."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = [re.search(r"(?:^|[\s(])(wavegate [a-z].*)", re.sub(r"^\$ ", "", line)) for line in lines]
    return [re.split(r"\s(?:\||&|#|;|\d?>)|;|\)", each[1])[0] for each in found if each]


def refused(line: str) -> str | None:
    """What click would say of the command's options and arguments, if it read them."""
    _, *words = shlex.split(line)
    command: click.Command = cli.main
    try:
        while isinstance(command, click.Group):
            # Its own options end where the name of a command begins.
            _, words, _ = command.make_parser(click.Context(command)).parse_args(words)
            if not words:
                return None
            found = command.get_command(click.Context(command), words[0])
            if found is None:
                return f"there is no command {words[0]!r}"
            command, words = found, words[1:]
        context = click.Context(command)
        options, _, _ = command.make_parser(context).parse_args(words)
        for parameter in command.params:
            if isinstance(parameter.type, click.Choice) and options.get(parameter.name):
                parameter.type_cast_value(context, options[parameter.name])
    except click.UsageError as error:
        return error.format_message()
    missing = [each.name for each in command.params if each.required and is_missing(each, options.get(each.name))]
    return f"needs {', '.join(missing)}" if missing else None


def is_missing(parameter: click.Parameter, value: object) -> bool:
    return value is None or parameter.value_is_missing(value)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_has_options_that_there_are(page: Path):
    said = {line: refused(line) for line in typed(page)}

    assert {line: reason for line, reason in said.items() if reason} == {}


@pytest.mark.parametrize(
    "line",
    [
        "wavegate statsu",
        "wavegate flag create",
        "wavegate flag list --jsn",
        "wavegate import launch-darkly x",
        "wavegate aa --loud",
    ],
)
def test_a_command_that_there_is_not_would_be_found(line: str):
    assert refused(line)


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ("revision 12 of production, version 0.1.0", 0),
        ("revision 3 of staging, version 0.1.0", 1),
        ("Error: no controller answers", 1),
    ],
)
def test_what_else_than_numbers_differs_is_found(now: str, found: int):
    new = PAGE.replace("revision 3 of production, version 0.1.0", now)

    assert len(differences(PAGE, new)) == found


def test_a_command_goes_on_in_lines_of_its_own():
    (command,) = commands("```console\n$ cat <<END\n> a\n> END\na\n```\n")

    assert (command.text, command.said) == ("cat <<END\na\nEND", "a")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", RECORDED, ids=lambda page: page.name)
def test_what_came_back_comes_back_again(page: Path, tmp_path: Path):
    """`scripts/record-docs PAGE` writes it down anew."""
    text = page.read_text(encoding="utf-8")

    found = differences(text, recorded(text, tmp_path))

    assert not found, "\n\n".join(found)
