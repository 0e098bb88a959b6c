"""Controllers in processes of their own, as many as a test wants, to be stopped, frozen and killed."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Self

from support.live_controller import NOWHERE, WAVEGATE, environment
from support.waiting import wait_until
from wavegate_controller.demo import leash
from wavegate_controller.remote import RemoteController


class ControllerProcess:
    """One controller on a database; dies with the test run. Start it in the main thread, see `leash`.

    Args:
        database_url: where it keeps everything.
        command: instead of `wavegate serve`.
        settings: as variables of the environment.
    """

    def __init__(self, database_url: str, *, command: tuple[str | Path, ...] = (), **settings: str) -> None:
        variables = {"WAVEGATE_DATABASE_URL": database_url, "WAVEGATE_PORT": "0", "WAVEGATE_PROMETHEUS_URL": NOWHERE}
        variables |= {"WAVEGATE_OPEN": "true"}
        self.log: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-IS", leash.__file__, str(os.getpid()), *(command or (WAVEGATE, "serve"))],
            env=environment(**variables | settings),
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        return wait_until(self._said_url, timeout=60, what="the controller's start")

    def wait_ready(self) -> Self:
        """Until it answers."""
        wait_until(RemoteController(self.url).ready)
        return self

    def wait_for(self, line: str, *, timeout: float = 60) -> None:
        """Until its log has a line with that in it."""
        wait_until(lambda: any(line in each for each in tuple(self.log)), timeout=timeout, what=repr(line))

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, *, timeout: float = 60) -> int:
        """Until it has ended by itself; its exit code."""
        code = self.process.wait(timeout=timeout)
        self._close()
        return code

    def kill(self) -> None:
        """At once, with whatever it is in the middle of."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)
        self._close()

    def _close(self) -> None:
        self._reader.join(timeout=30)
        if self.process.stderr:
            self.process.stderr.close()

    def _said_url(self) -> str | None:
        for line in tuple(self.log):
            if said := re.search(r"action=serving url=(\S+)", line):
                return said[1]
        assert self.process.poll() is None, "the controller ended:\n" + "".join(self.log)
        return None

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
