"""Following rollouts as they move: a live picture on a terminal, a line for each change elsewhere.

The controller's events say when to look; where they do not get through, it is asked every second.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from threading import Event, Thread
from typing import Final

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from wavegate_controller.cli.session import Session
from wavegate_controller.clock import SystemClock
from wavegate_controller.domain.rollout import ENDED
from wavegate_controller.remote import Document, RemoteController, RemoteProblem, RemoteUnreachable
from wavegate_controller.terminal import rollout_panel, rollouts_table

#: Between two looks where no events come, and while a change is on its way to the apps.
_PAUSE_SECONDS: Final = 1.0
#: Where events come: that a gate holds for another reason is no event.
_GLANCE_SECONDS: Final = 5.0
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


class News:
    """Follows the controller's events in a thread of its own, which ends with the program."""

    def __init__(self, controller: RemoteController) -> None:
        self._controller = controller
        self._happened = Event()
        self._ended = Event()
        self.is_following = False

    def start(self) -> None:
        """Begin."""
        Thread(target=self._follow, name="wavegate-news", daemon=True).start()

    def close(self) -> None:
        """Try no more."""
        self._ended.set()

    def wait(self, *, is_settled: bool) -> None:
        """Until something may have happened; not for long while things are moving or nothing would be heard."""
        self._happened.wait(_GLANCE_SECONDS if self.is_following and is_settled else _PAUSE_SECONDS)
        self._happened.clear()

    def _follow(self) -> None:
        after = None
        while not self._ended.is_set():
            try:
                for event in self._controller.events(after=after):
                    if event is not None:
                        after = event["id"]
                    if event is not None or not self.is_following:
                        # What happened before the stream began is seen by looking, too.
                        self.is_following = True
                        self._happened.set()
            except (RemoteProblem, RemoteUnreachable):
                # The looks tell what is wrong.
                pass
            self.is_following = False
            self._ended.wait(_PAUSE_SECONDS)


def _watch(session: Session, look: Callable[[], Look], *, until_ended: bool) -> None:
    news = News(session.connect())
    news.start()
    try:
        _show(session, _looks(look, news.wait, until_ended=until_ended))
    finally:
        news.close()


def _show(session: Session, looks: Iterator[tuple[Look, str]]) -> None:
    if session.as_json or not session.console.is_terminal:
        _print_changes(looks, as_json=session.as_json)
        return
    with Live(console=session.console, auto_refresh=False) as live:
        for (_, picture), outage in looks:
            live.update(Group(picture, Text(outage, "red")), refresh=True)


def _looks(look: Callable[[], Look], wait: Callable[..., None], *, until_ended: bool) -> Iterator[tuple[Look, str]]:
    """Looks, each with what stands in its way now: once there was a controller, its absence is no reason to give up."""
    latest, outage = look(), ""
    while True:
        yield latest, outage
        if until_ended and all(document["state"] in ENDED for document in latest[0]):
            return
        wait(is_settled=not outage and all(map(_has_arrived, latest[0])))
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
            where = (document["state"], document["percent"], document["flag_enabled"], document.get("dry_run"))
            marks = (*where, latest["reason"], _has_arrived(document))
            if printed.get(document["id"]) != marks:
                printed[document["id"]] = marks
                click.echo(json.dumps(document, ensure_ascii=False) if as_json else _line(document, latest))


def _line(document: Document, latest: Document) -> str:
    dry = " (dry run)" if document.get("dry_run") else ""
    said = (
        f"{document['id']} {document['state']}{dry} {document['percent']:g} % {latest['reason']}: {latest['sentence']}"
    )
    delivery = document.get("delivery")
    return f"{said} ({delivery['sentence']})" if delivery and (delivery["of"] or delivery["gone"]) else said


def _has_arrived(document: Document) -> bool:
    """Whether all apps have what is in force, as far as anybody says."""
    delivery = document.get("delivery")
    return not delivery or delivery["delivered"] == delivery["of"]
