"""The demo's own processes: started with a log each, waited for, and ended, whatever becomes of the demo."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Final

_LEASH: Final = Path(__file__).with_name("leash.py")
#: What `wavegate serve` and the product app print once they listen.
_URL: Final = re.compile(r"\burl=(http://\S+)")
_TAIL_LINES: Final = 12
_POLL_SECONDS: Final = 0.05
#: Below what Linux and others give to outgoing connections, so that only another server can come in between.
_PORTS: Final = range(20_000, 30_000)
#: Ports that were handed out, maybe not yet listened on: none is given to two parts.
_given: Final[set[int]] = set()


class StartFailed(Exception):
    """A part of the demo did not start."""


class Process:
    """A program that dies with this one. Make it in the main thread, see `leash`.

    Args:
        name: what people call it, and its log.
        command: program and arguments.
        directory: where it runs, and its log goes.
        environment: all that it gets.
    """

    def __init__(self, name: str, command: Sequence[str], *, directory: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._log = directory / f"{name}.log"
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(  # noqa: S603 - our own programs
                [sys.executable, "-IS", str(_LEASH), str(os.getpid()), *command],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                # Ctrl-C is for the demo, which ends the others in its own order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, which the leash passes on."""
        return self._popen.pid

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def url(self, *, timeout: float) -> str:
        """Where it listens, once it says so in its log.

        Raises:
            StartFailed: it ended, or the time ran out.
        """
        deadline = time.monotonic() + timeout
        while True:
            ended = not self.runs
            if found := _URL.search(self._log.read_text(errors="replace")):
                return found[1]
            if ended:
                raise StartFailed(f"{self.name} ended with status {self._popen.returncode}{self.last_words()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{self.name} was not ready within {timeout:g} s{self.last_words()}")
            time.sleep(_POLL_SECONDS)

    def stop(self, *, grace: float = 3.0) -> None:
        """End it in good order, or by force if that takes too long."""
        if self.runs:
            self._popen.terminate()
        try:
            self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a crash would."""
        self._popen.send_signal(signal.SIGKILL)
        self._popen.wait()

    def last_words(self) -> str:
        """The end of its log, to be put behind a sentence."""
        lines = self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "; its last words:\n" + "\n".join(f"  {line}" for line in lines) if lines else " and said nothing"


class Janitor:
    """Removes directories once this process has ended in a way that left it no time to."""

    def __init__(self, *directories: Path) -> None:
        # It reads until the pipe breaks, which the kernel sees to. The others die at that moment too and may still
        # write for an instant.
        self._popen = subprocess.Popen(  # noqa: S603 - our own words
            ["/bin/sh", "-c", 'cat >/dev/null; sleep 1; rm -rf -- "$@"', "janitor", *map(str, directories)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """No need any more."""
        self._popen.kill()
        self._popen.communicate()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, another one each time."""
    while True:
        port = SystemRandom().choice(_PORTS)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
