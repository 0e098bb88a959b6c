"""Everything that the demo runs: controller, Prometheus, two product apps, their users; up and gone together."""

import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import requests

from wavegate_controller.clock import SystemClock
from wavegate_controller.demo.features import CANDIDATE, FEATURES, RATE, Feature, flag_document, rollout_document
from wavegate_controller.demo.processes import Janitor, Process, StartFailed, free_port
from wavegate_controller.demo.prometheus import LocalPrometheus, PrometheusError
from wavegate_controller.demo.users import Users
from wavegate_controller.remote import Document, RemoteController

#: Who signs in the demo.
ACTOR: Final = "demo"
#: Begins the name of the directory of every demo, so that `wavegate demo inject` finds it.
DIRECTORY_PREFIX: Final = "wavegate-demo-"
_APPS: Final = ("app-1", "app-2")
_START_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02
_FAULTS_SECONDS: Final = 5.0


class Stack:
    """The parts, started on entering and gone after leaving. Enter it in the main thread.

    Args:
        say: told in one line what is being started.
        bake: least time in each wave.
    """

    def __init__(self, say: Callable[[str], None], *, bake: str) -> None:
        self._say = say
        self._bake = bake
        self._parts = ExitStack()
        self._sdk_key = secrets.token_urlsafe()
        self._port = free_port()
        self._controller: Process | None = None
        self.clock = SystemClock()
        self.apps = {name: f"http://127.0.0.1:{free_port()}" for name in _APPS}
        self.prometheus = LocalPrometheus(
            {"shop": [f"{url}/metrics" for url in self.apps.values()], "wavegate": [f"{self.url}/metrics"]}
        )
        self.users = Users(
            self.apps,
            {feature.key: feature.path for feature in FEATURES},
            candidate=CANDIDATE,
            rate=RATE * len(FEATURES),
            clock=self.clock,
        )
        self.controller = RemoteController(self.url)

    @property
    def url(self) -> str:
        """Where the controller serves its page and its API."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def directory(self) -> Path:
        """Logs and database, removed in the end."""
        return self._directory

    def __enter__(self) -> Self:
        with self._parts as parts:
            self._start(parts)
            # All is well: nothing is undone until we leave.
            self._parts = parts.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._parts.close()

    def start_controller(self) -> None:
        """Start it, or start it again on the same port and database.

        Raises:
            StartFailed: with the end of its log.
        """
        environment = {
            "WAVEGATE_PORT": str(self._port),
            "WAVEGATE_ENVIRONMENT": "demo",
            "WAVEGATE_OPEN": "true",
            # What is shown begins behind the stages.
            "WAVEGATE_STAGES": "optional",
            "WAVEGATE_DATABASE_URL": f"sqlite:///{self.directory / 'wavegate.db'}",
            "WAVEGATE_PROMETHEUS_URL": self.prometheus.url,
            "WAVEGATE_PROMETHEUS_TIMEOUT": "2s",
            "WAVEGATE_SDK_KEYS": json.dumps([self._sdk_key]),
            # The plans look once a second; a tick as long would miss every other look by a hair.
            "WAVEGATE_TICK": "200ms",
        }
        command = [sys.executable, "-c", "from wavegate_controller.cli import main; main()", "serve"]
        self._controller = self._run("controller", command, environment)
        deadline = time.monotonic() + _START_SECONDS
        while not self.controller.ready():
            if time.monotonic() > deadline:
                raise StartFailed("the controller listens, but does not become ready")
            time.sleep(_POLL_SECONDS)

    def kill_controller(self) -> None:
        """End the controller as `kill -9` does."""
        if self._controller is not None:
            self._controller.kill()

    def _stop_controller(self) -> None:
        if self._controller is not None:
            self._controller.stop()

    def start_rollout(self, feature: Feature) -> Document:
        """A new rollout of the feature, started."""
        draft = self.controller.create_rollout(rollout_document(feature, bake=self._bake), actor=ACTOR)
        return self.controller.act(draft["id"], "start", actor=ACTOR)

    def set_faults(self, feature: Feature, *, error_share: float = 0.0, latency: float = 0.0) -> None:
        """Break the feature's candidate in all apps, or mend it."""
        for url in self.apps.values():
            requests.put(
                f"{url}/faults/{feature.key}",
                json={"error_share": error_share, "latency": latency},
                timeout=_FAULTS_SECONDS,
            ).raise_for_status()

    def _start(self, parts: ExitStack) -> None:
        self._directory = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix=DIRECTORY_PREFIX)))
        self._say("starting Prometheus …")
        parts.callback(self.prometheus.close)
        try:
            self.prometheus.start()
        except PrometheusError as error:
            raise StartFailed(str(error)) from None
        janitor = Janitor(self.directory, self.prometheus.log_file.parent)
        parts.callback(janitor.dismiss)
        self._say("starting the controller …")
        parts.callback(self._stop_controller)
        self.start_controller()
        for feature in FEATURES:
            self.controller.create_flag(flag_document(feature))
        self._say("starting the product apps and their users …")
        apps = []
        for name, url in self.apps.items():
            environment = {
                "PORT": url.rpartition(":")[2],
                "WAVEGATE_URL": self.url,
                "WAVEGATE_SDK_KEY": self._sdk_key,
            }
            apps.append(self._run(name, [sys.executable, "-m", "wavegate_controller.demo.shop"], environment))
            parts.callback(apps[-1].stop)
        parts.callback(self.users.close)
        self.users.start()
        self._say("waiting for the first scrape …")
        try:
            self.prometheus.wait_for_up(len(self.apps) + 1)
        except PrometheusError as error:
            # Whoever cannot be scraped has mostly said why.
            said = "\n".join(f"{app.name} is up{app.last_words()}" for app in apps)
            raise StartFailed(f"{error}\n{said}") from None

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> Process:
        # The controller refuses settings that it does not know, such as some that are meant for another one.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("WAVEGATE_")}
        process = Process(name, command, directory=self.directory, environment=inherited | environment)
        try:
            process.url(timeout=_START_SECONDS)
        except StartFailed:
            process.stop()
            raise
        return process
