"""A real Prometheus of one's own: found, configured, started on loopback, paused, stopped, and never left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from time import monotonic, sleep
from typing import Final, Self
from urllib.parse import urlsplit

import requests

from wavegate_controller.demo import leash
from wavegate_controller.demo.processes import free_port

#: Environment variable that names the binary.
BINARY_VARIABLE: Final = "WAVEGATE_PROMETHEUS"
#: Where `make setup` unpacks it, beneath the root of a checkout.
_IN_CHECKOUT: Final = Path(".tools/prometheus/usr/bin/prometheus")
_HOW_TO_GET_IT: Final = (
    "run `make setup` in a checkout, or install your system's package `prometheus`, "
    f"or name the binary in {BINARY_VARIABLE}"
)
_STOP_TIMEOUT: Final = 5.0
_POLL: Final = 0.02
_LOG_LINES: Final = 5
#: Starts that may lose the race for their port before something else must be wrong.
_ATTEMPTS: Final = 3


class PrometheusError(Exception):
    """The local Prometheus cannot do what was asked; the text says what to do or shows the end of its log."""


def find_prometheus() -> Path:
    """The binary: `$WAVEGATE_PROMETHEUS`, else on PATH, else in the checkout around us or around this file."""
    if named := os.environ.get(BINARY_VARIABLE):
        if found := shutil.which(named):
            return Path(found)
        raise PrometheusError(f"{BINARY_VARIABLE}={named} cannot be run; {_HOW_TO_GET_IT}")
    if found := shutil.which("prometheus"):
        return Path(found)
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            if os.access(folder / _IN_CHECKOUT, os.X_OK):
                return folder / _IN_CHECKOUT
    raise PrometheusError(f"There is no Prometheus here; {_HOW_TO_GET_IT}")


class LocalPrometheus:
    """One Prometheus on a free loopback port, with a data directory of its own that is removed in the end.

    Prometheus begins to scrape 5 s after its start, whatever its configuration (it applies discovered targets at
    5 s steps). So start it first, with the addresses of apps that come later: an app is then seen within one scrape.

    Start it in the main thread, see `leash`: it dies with the thread that started it.
    """

    def __init__(
        self,
        targets: Mapping[str, Sequence[str]],
        *,
        scrape_interval: timedelta = timedelta(seconds=1),
        binary: Path | None = None,
    ) -> None:
        """Nothing runs yet.

        Args:
            targets: job to the URLs of its metrics, such as `http://127.0.0.1:8000/metrics`. The path is part of the
                `instance` label unless it is `/metrics`.
            scrape_interval: of all targets.
            binary: found by `find_prometheus` when not given.
        """
        self._targets = targets
        self._interval = scrape_interval
        self._binary = binary
        self._port = 0
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False
        self._session = requests.Session()
        # A proxy of the environment knows nothing of our loopback.
        self._session.trust_env = False

    @property
    def url(self) -> str:
        """Root of the API; known once started, and the same after a restart."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def running(self) -> bool:
        """Whether the process is there, paused or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_file(self) -> Path:
        """What Prometheus wrote."""
        return self._home / "prometheus.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start on the port and the data of before, if there was one, and wait until it answers."""
        if self.running:
            return
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(prefix="wavegate-prometheus-")
            # JSON is YAML.
            (self._home / "prometheus.yml").write_text(json.dumps(self._configuration(), indent=2))
        # Between choosing a free port and listening on it somebody else may take it.
        for attempt in range(1, _ATTEMPTS + 1):
            chosen = self._port or free_port()
            self._launch(chosen)
            try:
                self._wait_until_ready(chosen)
            except PrometheusError:
                self.stop()
                if self._port or attempt == _ATTEMPTS:
                    raise
            else:
                self._port = chosen
                return

    def stop(self) -> None:
        """End the process; data and port are kept for a later start."""
        if self._process is None:
            return
        self.unpause()
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stop for good and remove the data."""
        self.stop()
        self._session.close()
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def restart(self) -> None:
        """Stop and start, on the same port and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the process: connections are accepted, and nothing answers."""
        if self._process is not None and self.running and not self._paused:
            self._process.send_signal(signal.SIGSTOP)
            # The signal is under way when `send_signal` returns; this returns once it has arrived.
            os.waitpid(self._process.pid, os.WUNTRACED)
            self._paused = True

    def unpause(self) -> None:
        """Let it go on."""
        if self._process is not None and self._paused:
            self._process.send_signal(signal.SIGCONT)
            self._paused = False

    def wait_ready(self, *, timeout: float = 10.0) -> None:
        """Wait until it answers queries."""
        self._wait_until_ready(self._port, timeout=timeout)

    def wait_for_up(self, number: int, *, timeout: float = 20.0) -> None:
        """Wait until so many targets were scraped, each with success at the last time."""
        self._wait_until(lambda: self._count_up() >= number, f"scrape {number} targets", timeout=timeout)

    @property
    def _home(self) -> Path:
        if self._directory is None:
            raise PrometheusError("Prometheus was not started yet")
        return Path(self._directory.name)

    def _configuration(self) -> dict[str, object]:
        interval = f"{self._interval // timedelta(milliseconds=1)}ms"
        return {
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": [
                {"job_name": job, "static_configs": [_target(url) for url in urls]}
                for job, urls in self._targets.items()
            ],
        }

    def _flags(self) -> Sequence[str]:
        """Further ones."""
        return ()

    def _launch(self, port: int) -> None:
        command = [
            *(sys.executable, "-IS", leash.__file__, str(os.getpid())),
            str(self._binary or find_prometheus()),
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
            *self._flags(),
        ]
        with self.log_file.open("ab") as log:
            # A process group of its own: Ctrl+C in the terminal is for us, and we stop it in order.
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                command, cwd=self._home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )

    def _wait_until_ready(self, port: int, *, timeout: float = 10.0) -> None:
        address = f"http://127.0.0.1:{port}/-/ready"

        def ready() -> bool:
            return self._session.get(address, timeout=1).status_code == HTTPStatus.OK

        self._wait_until(ready, "start", timeout=timeout)

    def _count_up(self) -> int:
        form = {"query": "count(up == 1) or vector(0)"}
        answer = self._session.post(f"{self.url}/api/v1/query", data=form, timeout=5)
        answer.raise_for_status()
        return int(answer.json()["data"]["result"][0]["value"][1])

    def _wait_until(self, condition: Callable[[], bool], what: str, *, timeout: float) -> None:
        deadline = monotonic() + timeout
        while monotonic() < deadline:
            if not self.running:
                raise PrometheusError(f"Prometheus ended before it could {what}: {self._end_of_log()}")
            try:
                if condition():
                    return
            except requests.RequestException:
                pass  # not yet
            sleep(_POLL)
        raise PrometheusError(f"Prometheus did not {what} within {timeout:g} s: {self._end_of_log()}")

    def _end_of_log(self) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return " | ".join(lines) or "its log is empty"


def _target(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    path = parts.path or "/metrics"
    instance = parts.netloc if path == "/metrics" else parts.netloc + path
    labels = {"__scheme__": parts.scheme, "__metrics_path__": path, "instance": instance}
    return {"targets": [parts.netloc], "labels": labels}
