"""A background thread that takes a step, waits as long as the step said, and takes the next."""

import threading
from collections.abc import Callable
from random import SystemRandom
from typing import Final

# Not the module's own generator: an app may have seeded that to be reproducible, and a forked child would share ours.
CHANCE: Final = SystemRandom()


class Worker:
    """Takes steps until stopped. It never keeps the interpreter from ending.

    `step` answers the seconds until the next one, and must not raise.
    """

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self._name = name
        self._step = step
        self._began = False
        self._make()

    def start(self, delay: float = 0.0) -> None:
        """Begins after the delay, without waiting for anything."""
        self._delay = delay
        self._began = True
        self._thread.start()

    def start_again(self, delay: float) -> None:
        """In a forked child, which has no copy of the thread: begins again if it had begun and was not stopped."""
        if not self._began or self._stopped.is_set():
            return
        self._make()
        self.start(delay)

    def stop(self, patience: float) -> bool:
        """Ends the thread; False if it is still busy with a step when patience ends. That step will be the last."""
        self._stopped.set()
        if self._began and self._thread is not threading.current_thread():
            self._thread.join(patience)
        return not self._thread.is_alive()

    def _make(self) -> None:
        self._stopped = threading.Event()
        self._delay = 0.0
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)

    def _run(self) -> None:
        # Its own: after a fork the attribute is another's.
        stopped, delay = self._stopped, self._delay
        while not stopped.wait(delay):
            delay = self._step()


def jittered(seconds: float) -> float:
    """Spreads what many clients do, so that they do not all knock at once."""
    return seconds * CHANCE.uniform(0.75, 1.25)


def at_random(seconds: float) -> float:
    """Some time within the next so many seconds."""
    return seconds * CHANCE.random()
