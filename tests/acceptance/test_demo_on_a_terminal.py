"""The demo with somebody in front of it: a terminal, keys, and a second terminal."""

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path
from threading import Thread

import pytest

from support.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("acceptance"), pytest.mark.timeout(120)]

WAVEGATE = Path(sys.executable).with_name("wavegate")
LEAVES_THE_SCREEN = "\x1b[?1049l"


class Terminal:
    """A terminal with the demo in it, and all that it ever showed."""

    def __init__(self, room) -> None:
        self._ours, self.theirs = pty.openpty()
        termios.tcsetwinsize(self.theirs, (30, 100))
        self.modes = termios.tcgetattr(self.theirs)
        self.environment = os.environ | {"TMPDIR": str(room), "TERM": "xterm-256color"}
        self.demo = subprocess.Popen(
            [WAVEGATE, "demo"], stdin=self.theirs, stdout=self.theirs, stderr=self.theirs, env=self.environment
        )
        self._shown: list[bytes] = []
        Thread(target=self._read, daemon=True).start()

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def shows(self, text: str) -> None:
        wait_until(lambda: text in self.shown or self.demo.poll() is not None, what=f"{text!r} on the screen")
        assert text in self.shown, self.shown

    @property
    def shown(self) -> str:
        return b"".join(self._shown).decode(errors="replace")

    def _read(self) -> None:
        while True:
            try:
                self._shown.append(os.read(self._ours, 65536))
            except OSError:
                return


@pytest.fixture
def terminal(tmp_path):
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.demo.kill()
    terminal.demo.wait()


def inject(terminal, *arguments):
    return subprocess.run(
        [WAVEGATE, "demo", "inject", *arguments],
        env=terminal.environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_keys_and_a_second_terminal_break_things_and_q_gives_the_terminal_back(terminal):
    terminal.shows("holds:")
    terminal.press("p")
    terminal.shows("cannot_measure")
    terminal.press("p")
    terminal.shows("can be measured again")

    injected = inject(terminal, "errors", "--feature", "ai-summaries")
    assert (injected.returncode, injected.stderr) == (0, "")
    assert "ai-summaries: from now on the candidate fails" in injected.stdout
    terminal.shows("from another terminal: ai-summaries")
    terminal.shows("ai-summaries: roll back, now 0 % (breach")

    terminal.press("q")
    assert terminal.demo.wait(timeout=20) == 0
    terminal.shows(LEAVES_THE_SCREEN)
    assert termios.tcgetattr(terminal.theirs) == terminal.modes


def test_a_demo_that_is_ended_from_outside_gives_the_terminal_back(terminal):
    terminal.shows("holds:")
    assert termios.tcgetattr(terminal.theirs) != terminal.modes

    terminal.demo.terminate()

    assert terminal.demo.wait(timeout=20) == 143
    terminal.shows(LEAVES_THE_SCREEN)
    assert termios.tcgetattr(terminal.theirs) == terminal.modes
