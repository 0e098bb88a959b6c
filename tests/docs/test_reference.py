"""The pages that are made from the code: all of it is on them, and a command without a word about itself is refused."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import click
import pytest

from wavegate_controller import cli
from wavegate_controller.api.blueprint import OPERATIONS
from wavegate_controller.documents.configuration import KINDS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reference():
    loader = SourceFileLoader("reference", str(ROOT / "scripts" / "reference"))
    module = module_from_spec(spec_from_loader("reference", loader))
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(reference, tmp_path_factory):
    directory = tmp_path_factory.mktemp("reference")
    assert reference.main(str(directory)) == 0
    return {page.stem: page.read_text(encoding="utf-8") for page in directory.iterdir()}


def test_every_command_and_option_says_what_it_is_for(reference):
    assert reference.undocumented(cli.main) == []


def test_one_that_says_nothing_would_be_found(reference):
    @click.group
    def wavegate(): ...

    @wavegate.command
    @click.option("--loud", help="Says it again.")
    @click.option("--quiet")
    def speak(): ...

    assert reference.undocumented(wavegate) == ["wavegate speak", "wavegate speak --quiet"]


def test_every_command_operation_and_kind_of_file_has_its_place(pages):
    assert [name for name in cli.COMMANDS if f"\n## wavegate {name}" not in pages["commands"]] == []
    operations = [each.name for part in OPERATIONS for each in part.all if each.is_listed]
    assert [name for name in operations if f"\n### {name}\n" not in pages["operations"]] == []
    assert [model.__name__ for model in KINDS.values() if f"\n## {model.__name__}\n" not in pages["files"]] == []


def test_the_pages_are_in_the_navigation(pages):
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")

    assert [name for name in pages if f"\nreference/{name}\n" not in index] == []


def test_what_looks_like_markdown_is_shown_as_it_is(reference):
    assert reference.cell("a * b | [c] `d | *e*`") == r"a \* b \| \[c\] `d \| *e*`"
