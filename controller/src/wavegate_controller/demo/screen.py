"""The demo's screen: a picture of values, drawn to fit the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.domain.verdict import VerdictKind
from wavegate_controller.terminal import rollout_panel, wave_track

Document = Mapping[str, Any]

_KEYS: Final = (
    {"e": "errors", "l": "latency", "h": "heal", "p": "Prometheus off/on"},
    {"r": "roll back", "n": "promote", "s": "start again", "tab": "other feature", "q": "quit"},
)
_SIGNS: Final[Mapping[str, tuple[str, str]]] = {
    VerdictKind.PASS: ("✓", "green"),
    VerdictKind.BREACH: ("✗", "bold red"),
    VerdictKind.NOT_ENOUGH_DATA: ("…", "yellow"),
    VerdictKind.CANNOT_MEASURE: ("?", "magenta"),
}
_STYLES: Final[Mapping[str, str]] = {State.COMPLETED: "green", State.ROLLED_BACK: "red", State.RUNNING: "cyan"}
_OTHER_STYLE: Final = "yellow"
#: From this size on, each rollout is shown with all that is known about it.
_ROOMY: Final = (140, 40)
#: From this height on, there is room for air.
_AIRY: Final = 26
_NAME_WIDTH: Final = 12
_BAR_WIDTH: Final = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """What there is to see.

    Attributes:
        hint: what will happen or what to do next.
        rollouts: the newest of each feature.
        faults: what is wrong with each feature's candidate, in words; empty for nothing.
        selected: the feature that keys act on.
        services: name to URL or state.
        news: what happened, newest last.
    """

    now: datetime
    hint: str
    rollouts: Sequence[Document]
    faults: Mapping[str, str]
    selected: str
    services: Mapping[str, str]
    news: Sequence[tuple[datetime, str]]


def draw(picture: Picture, *, console: Console) -> RenderableType:
    """The picture in whatever room there is: the rollouts in full, the news in what is left."""
    width, height = console.size
    roomy = width >= _ROOMY[0] and height >= _ROOMY[1]
    gap = 2 if height >= _AIRY else 1
    head = Text.assemble(("wavegate demo  ", "bold"), (picture.hint, "italic"), overflow="ellipsis", no_wrap=True)
    rollouts = _details(picture) if roomy else _cards(picture, gap=gap)
    services = _services(picture.services)
    keys = _keys(picture.selected)

    def rows(part: RenderableType) -> int:
        return len(console.render_lines(part, console.options.update(height=None), pad=False))

    layout = Layout()
    layout.split_column(
        Layout(head, size=gap),
        Layout(rollouts, size=rows(rollouts) + gap),
        Layout(services, size=rows(services) + gap),
        Layout(_News(picture.news), name="news"),
        Layout(keys, size=rows(keys)),
    )
    return layout


class _News:
    """The newest lines that fit."""

    def __init__(self, news: Sequence[tuple[datetime, str]]) -> None:
        self._news = news

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for at, said in self._news[-(options.height or console.height) :]:
            yield Text.assemble((f"{at:%H:%M:%S}  ", "dim"), said, overflow="ellipsis", no_wrap=True)


def _details(picture: Picture) -> RenderableType:
    grid = Table.grid(expand=True)
    for _ in picture.rollouts:
        grid.add_column(ratio=1)
    grid.add_row(*[rollout_panel(each, now=picture.now) for each in picture.rollouts])
    return grid


def _cards(picture: Picture, *, gap: int) -> RenderableType:
    cards = [_card(each, picture.faults[each["flag"]], each["flag"] == picture.selected) for each in picture.rollouts]
    return Group(*(Padding(card, (gap - 1 if index else 0, 0, 0, 0)) for index, card in enumerate(cards)))


def _card(rollout: Document, fault: str, selected: bool) -> RenderableType:
    """Always of as many lines: a picture that jumps cannot be read."""
    style = _STYLES.get(rollout["state"], _OTHER_STYLE)
    head = Table.grid(padding=(0, 1))
    head.add_row(
        Text("▶" if selected else " ", "bold"),
        Text(rollout["flag"].ljust(_NAME_WIDTH), "bold"),
        Text(rollout["state"].replace("_", " ").ljust(_NAME_WIDTH), style),
        Text(f"{rollout['percent']:>3g} %", "bold"),
        ProgressBar(
            total=100, completed=rollout["percent"], width=_BAR_WIDTH, complete_style=style, finished_style=style
        ),
    )
    wave = rollout["wave"]
    track = Text.assemble(
        wave_track(rollout),
        (f"   wave {wave['number']} of {wave['of']}" if wave else "", "dim"),
        (f"   candidate {fault}" if fault else "", "bold red"),
    )
    lines = [track, *_verdicts(rollout), _why(rollout)]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(head, Padding(Group(*lines), (0, 0, 0, 2)))


def _verdicts(rollout: Document) -> list[Text]:
    latest = rollout["latest_decision"]
    verdicts = {verdict["gate"]: verdict for verdict in latest["verdicts"]} if latest else {}
    return [_verdict(gate["name"], verdicts.get(gate["name"])) for gate in rollout["plan"]["gates"]]


def _verdict(gate: str, verdict: Document | None) -> Text:
    if verdict is None:
        return Text(f"· {gate}", "dim")
    sign, style = _SIGNS[verdict["kind"]]
    return Text.assemble((f"{sign} ", style), (f"{gate:<{_NAME_WIDTH}}", "bold"), verdict["sentence"])


def _why(rollout: Document) -> Text:
    """What holds it, or what ended it."""
    latest = rollout["latest_decision"]
    if latest is None:
        return Text("not started", "dim")
    if latest["event"] == Event.TICK:
        short = {verdict["reason"]: verdict for verdict in latest["verdicts"] if verdict["kind"] == latest["reason"]}
        why = ", ".join(short) or latest["sentence"]
        return Text.assemble(("holds: ", "bold"), (latest["reason"], "yellow"), f" · {why}")
    style = _STYLES.get(rollout["state"], _OTHER_STYLE)
    what = Text.assemble((f"{latest['event'].replace('_', ' ')}: ", "bold"), (latest["reason"], style))
    return what.append(f" · by {latest['actor']}")


def _services(services: Mapping[str, str]) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, where in services.items():
        grid.add_row(Text(name, "bold"), Text(where, overflow="ellipsis", no_wrap=True))
    return grid


def _keys(selected: str) -> RenderableType:
    rows = [
        Text("  ").join(Text.assemble((f" {key} ", "reverse"), f" {what}") for key, what in row.items())
        for row in _KEYS
    ]
    return Group(Text(f"keys for {selected}", "dim"), *rows)
