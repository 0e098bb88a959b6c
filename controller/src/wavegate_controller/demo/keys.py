"""Single keys from the terminal, without Enter, and the terminal as it was afterwards."""

import os
import select
import sys
import termios
import tty
from types import TracebackType
from typing import Self


class Keys:
    """While entered, keys are read as they are pressed and not shown. Ctrl-C stays what it is."""

    def __enter__(self) -> Self:
        self._terminal = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._terminal)
        tty.setcbreak(self._terminal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._terminal, termios.TCSAFLUSH, self._before)

    def read(self, timeout: float) -> str:
        """What was pressed; empty when the time ran out. Arrows and the like give more than one character.

        Raises:
            EOFError: the terminal is gone.
        """
        ready, _, _ = select.select([self._terminal], [], [], timeout)
        if not ready:
            return ""
        if not (pressed := os.read(self._terminal, 32)):
            raise EOFError
        return pressed.decode(errors="ignore")
