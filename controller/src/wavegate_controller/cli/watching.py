"""Following rollouts as they move: a live picture on a terminal, a line for each change elsewhere."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from wavegate_controller.cli.session import Session
from wavegate_controller.clock import SystemClock
from wavegate_controller.domain.rollout import ENDED
from wavegate_controller.remote import Document, RemoteUnreachable
from wavegate_controller.terminal import rollout_panel, rollouts_table

_PAUSE_SECONDS: Final = 1.0
_MOVES_SHOWN: Final = 8
_clock: Final = SystemClock()

#: Rollouts, and the picture of them.
Look = tuple[Sequence[Document], RenderableType]


def watch_one(session: Session, reference: str) -> None:
    """Follow a rollout until it has ended."""
    rollout_id = session.controller.rollout(reference)["id"]

    def look() -> Look:
        document = session.controller.rollout(rollout_id)
        moves = session.controller.decisions(rollout_id, limit=_MOVES_SHOWN, moves_only=True)
        return [document], rollout_panel(document, decisions=moves, now=_clock.now())

    _watch(session, look, until_ended=True)


def watch_all(session: Session) -> None:
    """Follow the newest rollout of every flag."""

    def look() -> Look:
        documents = [flag["rollout"] for flag in session.controller.flags() if flag["rollout"]]
        return documents, rollouts_table(documents)

    _watch(session, look, until_ended=False)


def _watch(session: Session, look: Callable[[], Look], *, until_ended: bool) -> None:
    looks = _looks(look, until_ended=until_ended)
    if session.as_json or not session.console.is_terminal:
        _print_changes(looks, as_json=session.as_json)
        return
    with Live(console=session.console, auto_refresh=False) as live:
        for (_, picture), outage in looks:
            live.update(Group(picture, Text(outage, "red")), refresh=True)


def _looks(look: Callable[[], Look], *, until_ended: bool) -> Iterator[tuple[Look, str]]:
    """Looks, each with what stands in its way now: once there was a controller, its absence is no reason to give up."""
    latest, outage = look(), ""
    while True:
        yield latest, outage
        if until_ended and all(document["state"] in ENDED for document in latest[0]):
            return
        time.sleep(_PAUSE_SECONDS)
        try:
            latest, outage = look(), ""
        except RemoteUnreachable as unreachable:
            outage = f"{unreachable}; trying again"


def _print_changes(looks: Iterator[tuple[Look, str]], *, as_json: bool) -> None:
    printed: dict[str, tuple[object, ...]] = {}
    for (documents, _), outage in looks:
        if outage != printed.get("outage", ("",))[0]:
            click.echo(outage or "the controller answers again", err=True)
            printed["outage"] = (outage,)
        for document in documents:
            latest = document["latest_decision"] or {"reason": "draft", "sentence": "waits for start"}
            marks = (document["state"], document["percent"], document["flag_enabled"], latest["reason"])
            if printed.get(document["id"]) != marks:
                printed[document["id"]] = marks
                click.echo(json.dumps(document, ensure_ascii=False) if as_json else _line(document, latest))


def _line(document: Document, latest: Document) -> str:
    return f"{document['id']} {document['state']} {document['percent']:g} % {latest['reason']}: {latest['sentence']}"
