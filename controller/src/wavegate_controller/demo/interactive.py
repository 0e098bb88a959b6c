"""The demo with somebody in front of it: it plays by itself, and single keys break and mend things."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.live import Live

from wavegate_controller.demo.actions import Actions, Fault, Refused
from wavegate_controller.demo.control import Control
from wavegate_controller.demo.features import FEATURES, HARMFUL, WAVES
from wavegate_controller.demo.keys import Keys
from wavegate_controller.demo.news import News
from wavegate_controller.demo.screen import Picture, draw
from wavegate_controller.demo.stack import Stack
from wavegate_controller.domain.rollout import WATCHED, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.remote import Document, RemoteProblem, RemoteUnreachable

#: The wave in which the harmful feature turns harmful by itself, and how long after it has begun.
_TURN_WAVE: Final = 3
_TURN_SECONDS: Final = 6.0
_PROMISE: Final = f"{HARMFUL.key} turns harmful by itself at {WAVES[_TURN_WAVE - 1]} %. Impatient? Press e"
_REFRESH_SECONDS: Final = 0.25
_NEWS_KEPT: Final = 200


def watch(stack: Stack, console: Console) -> None:
    """Start both rollouts and show them until `q`, Ctrl-C or the end of the terminal."""
    for feature in FEATURES:
        stack.start_rollout(feature)
    actions = Actions(stack)
    control = Control(actions)
    viewer = _Viewer(stack, actions, control)
    with ExitStack() as parts:
        parts.enter_context(control.open(stack.directory))
        keys = parts.enter_context(Keys())
        live = parts.enter_context(Live(console=console, screen=True, auto_refresh=False))
        # Ctrl-C and a terminal that is gone mean q.
        parts.enter_context(suppress(KeyboardInterrupt, EOFError))
        viewer.look()
        while True:
            live.update(draw(viewer.picture(), console=console), refresh=True)
            if not viewer.press(keys.read(_REFRESH_SECONDS)):
                break
            viewer.look()
    for at, said in viewer.news:
        console.print(f"{at:%H:%M:%S}  {said}", highlight=False, markup=False)


class _Viewer:
    """What is shown, and what keys do to it."""

    def __init__(self, stack: Stack, actions: Actions, control: Control) -> None:
        self.news: list[tuple[datetime, str]] = []
        self._stack = stack
        self._actions = actions
        self._control = control
        self._told = News()
        self._rollouts: list[Document] = []
        self._selected = HARMFUL
        self._turn = _Turn(actions)
        self._keys: Mapping[str, Callable[[], str]] = {
            "e": lambda: actions.inject(Fault.ERRORS, self._selected),
            "l": lambda: actions.inject(Fault.LATENCY, self._selected),
            "h": lambda: actions.heal(self._selected),
            "p": lambda: actions.inject(Fault.OUTAGE, self._selected, on=not actions.outage),
            "r": lambda: actions.ask(self._selected, Event.ROLL_BACK),
            "n": lambda: actions.ask(self._selected, Event.PROMOTE),
            "s": lambda: actions.start_again(self._selected),
        }

    def press(self, key: str) -> bool:
        """Do what the key means; False when it is time to go."""
        if key == "q":
            return False
        if key == "\t":
            self._selected = FEATURES[(FEATURES.index(self._selected) + 1) % len(FEATURES)]
        elif do := self._keys.get(key):
            try:
                self._tell(do())
            except Refused as refusal:
                self._tell(f"not now: {refusal}")
        return True

    def look(self) -> None:
        """Read what there is to see, and do what was asked for from elsewhere."""
        for done in self._control.do_what_was_asked():
            self._tell(f"from another terminal: {done}")
        try:
            self._rollouts = [self._stack.controller.rollout(feature.key) for feature in FEATURES]
        except (RemoteProblem, RemoteUnreachable) as problem:
            self._tell(str(problem))
        for line in self._told.of(self._rollouts):
            self._tell(line)
        if done := self._turn.look(self._rollouts):
            self._tell(done)

    def picture(self) -> Picture:
        """To be drawn."""
        outage = "   stopped: nothing can be measured" if self._actions.outage else ""
        return Picture(
            now=self._stack.clock.now(),
            hint=self._turn.hint,
            rollouts=self._rollouts,
            faults={feature.key: self._actions.wrong(feature) for feature in FEATURES},
            selected=self._selected.key,
            services={
                "page": self._stack.url,
                "Prometheus": self._stack.prometheus.url + outage,
                "product": "   ".join(self._stack.apps.values()),
            },
            news=self.news,
        )

    def _tell(self, line: str) -> None:
        if not self.news or self.news[-1][1] != line:
            self.news.append((self._stack.clock.now(), line))
            del self.news[:-_NEWS_KEPT]


class _Turn:
    """Lets the harmful feature turn harmful by itself, once, unless a person has broken something before.

    Attributes:
        hint: what will happen, or what to try.
    """

    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self._due: float | None = None
        self._over = False
        self.hint = _PROMISE

    def look(self, rollouts: list[Document]) -> str:
        """Turn it when it is time; what was done, or nothing."""
        harmful = next((each for each in rollouts if each["flag"] == HARMFUL.key), None)
        if harmful is None:
            return ""
        if any(self._actions.faults.values()) or harmful["state"] not in WATCHED:
            self._over = True
        if self._over or self._actions.outage:
            self.hint = _hint(rollouts, self._actions)
            return ""
        if harmful["wave"]["number"] < _TURN_WAVE:
            self.hint = _PROMISE
            return ""
        if self._due is None:
            self._due = time.monotonic() + _TURN_SECONDS
        left = self._due - time.monotonic()
        self.hint = f"{HARMFUL.key} turns harmful in {max(0, left):.0f} s"
        if left > 0:
            return ""
        self._over = True
        try:
            return self._actions.inject(Fault.ERRORS, HARMFUL) + " (by itself)"
        except Refused as refusal:
            return f"not now: {refusal}"


def _hint(rollouts: list[Document], actions: Actions) -> str:
    """One thing to try, whatever the situation is."""
    watched = [each for each in rollouts if each["state"] in WATCHED]
    if actions.outage:
        return "Prometheus is stopped, so nothing moves. p starts it again"
    if broken := [each["flag"] for each in watched if actions.faults[each["flag"]]]:
        return f"{' and '.join(broken)} is broken: watch it being rolled back"
    if watched:
        return "Break something: e errors, l latency, p stops Prometheus"
    back = [each["flag"] for each in rollouts if each["state"] == State.ROLLED_BACK]
    return f"{back[0]} was rolled back. h heals it, s starts it again" if back else "All done. s starts again"
