"""`wavegate feedback`."""

import csv
import io
import json
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, ParamSpec

import click
from rich.markup import escape
from rich.table import Table

from wavegate_controller.cli.session import Session, signed, speaks_to_controller
from wavegate_controller.remote import Document

Arguments = ParamSpec("Arguments")

_COLUMNS: Final = ("id", "at", "flag", "rollout", "wave", "variant", "thumbs_up", "comment", "source")
#: A spreadsheet takes a text that begins so for a formula, and works it out.
_FORMULAS: Final = ("=", "+", "-", "@", "\t")


@click.group
def feedback() -> None:
    """What people said about a feature: show it, export it, take words away."""


def _chosen(command: Callable[Arguments, None]) -> Callable[Arguments, None]:
    for option in (
        click.option("--comments-only", is_flag=True, help="Without those that have no words."),
        click.option("--thumbs", type=click.Choice(["up", "down"]), help="Which way."),
        click.option("--variant", help="About this variant."),
        click.option("--wave", type=click.IntRange(min=1), help="Given in the wave of this number."),
        click.option("--rollout", metavar="ID", help="Given while this rollout was under way."),
    ):
        command = option(command)
    return command


def _wanted(**chosen: Any) -> dict[str, Any]:
    return {name: value for name, value in chosen.items() if value not in (None, False)}


@feedback.command("list")
@click.argument("flag")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@_chosen
@speaks_to_controller
def show_all(session: Session, /, flag: str, limit: int, **chosen: Any) -> None:
    """What people said, newest first. The thumbs of apps that count them themselves are in their counters only."""
    answers = list(islice(session.controller.feedback(flag, _wanted(**chosen)), limit))
    session.show(answers, _table(answers))


@feedback.command
@click.argument("flag")
@click.option("--csv", "as_csv", is_flag=True, help="For a spreadsheet; else a JSON object in each line.")
@_chosen
@speaks_to_controller
def export(session: Session, /, flag: str, as_csv: bool, **chosen: Any) -> None:
    """Print all that people said."""
    answers = session.controller.feedback(flag, _wanted(**chosen))
    for line in _rows(answers) if as_csv else _lines(answers):
        click.echo(line)


@feedback.command
@click.argument("flag")
@click.argument("number", type=click.IntRange(min=1))
@signed
@speaks_to_controller
def erase(session: Session, flag: str, number: int, name: str | None, comment: str) -> None:
    """Forget an answer's words; its thumb stays.

    Where they say more of a person than they should.
    """
    erased = session.controller.erase_feedback(flag, number, actor=session.signature(name), comment=comment)
    session.show(erased, _table([erased]))


def _lines(answers: Iterable[Document]) -> Iterable[str]:
    return (json.dumps(answer, ensure_ascii=False) for answer in answers)


def _rows(answers: Iterable[Document]) -> Iterable[str]:
    yield ",".join(_COLUMNS)
    for answer in answers:
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(_harmless(answer[name]) for name in _COLUMNS)
        yield text.getvalue()


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value


def _table(answers: Iterable[Document]) -> Table:
    table = Table(box=None, header_style="dim")
    for column in ("id", "at", "wave", "variant", "", "comment"):
        table.add_column(column)
    for answer in answers:
        where = "" if answer["wave"] is None else f"{answer['rollout']} wave {answer['wave']}"
        thumb = "[green]up[/]" if answer["thumbs_up"] else "[red]down[/]"
        words = "(erased)" if answer["is_erased"] else escape(answer["comment"])
        table.add_row(str(answer["id"]), answer["at"][:19], escape(where), escape(answer["variant"]), thumb, words)
    return table
