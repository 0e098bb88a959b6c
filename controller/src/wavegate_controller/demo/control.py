"""How a second terminal reaches a running demo: a loopback endpoint, and the file that says where it is."""

import json
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from contextlib import contextmanager
from hmac import compare_digest
from http import HTTPStatus
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

import requests
from flask import Flask, Response, jsonify, request
from werkzeug.serving import WSGIRequestHandler, make_server

from wavegate_controller.demo.actions import Actions, Fault, Refused
from wavegate_controller.demo.features import FEATURES
from wavegate_controller.demo.stack import DIRECTORY_PREFIX

_FILE: Final = "demo.json"
_TIMEOUT_SECONDS: Final = 15.0

_Task = tuple[Callable[[], str], "Future[str]"]


class NoDemo(Exception):
    """No demo runs here for this user."""


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The screen belongs to the demo."""


class Control:
    """Takes requests on a thread of its own and hands them to the main thread."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self._tasks: SimpleQueue[_Task] = SimpleQueue()
        self._token = secrets.token_urlsafe()

    @contextmanager
    def open(self, directory: Path) -> Iterator[None]:
        """Listen until left.

        Args:
            directory: of the running demo, readable for its user only.
        """
        server = make_server("127.0.0.1", 0, self._make_app(), request_handler=_Quiet)
        thread = threading.Thread(target=server.serve_forever, daemon=True, name="control")
        thread.start()
        address = {"url": f"http://127.0.0.1:{server.port}/inject", "token": self._token}
        (directory / _FILE).write_text(json.dumps(address), encoding="utf-8")
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def do_what_was_asked(self) -> list[str]:
        """Do it now, in this thread; what each did, in one sentence."""
        done: list[str] = []
        while True:
            try:
                task, answer = self._tasks.get_nowait()
            except Empty:
                return done
            try:
                done.append(task())
            except Refused as refusal:
                answer.set_exception(refusal)
            else:
                answer.set_result(done[-1])

    def _make_app(self) -> Flask:
        app = Flask(__name__)

        @app.post("/inject")
        def inject() -> tuple[Response, HTTPStatus]:
            given = request.authorization.token if request.authorization else None
            if not compare_digest((given or "").encode(), self._token.encode()):
                return jsonify(error="not your demo"), HTTPStatus.FORBIDDEN
            asked = request.get_json()
            feature = next(each for each in FEATURES if each.key == asked["feature"])
            answer: Future[str] = Future()
            self._tasks.put((lambda: self._actions.inject(Fault(asked["fault"]), feature, on=asked["on"]), answer))
            try:
                return jsonify(done=answer.result(_TIMEOUT_SECONDS)), HTTPStatus.OK
            except (Refused, TooLate) as problem:
                return jsonify(error=str(problem) or "the demo is busy"), HTTPStatus.CONFLICT

        return app


def inject(fault: Fault, feature: str, *, on: bool) -> str:
    """Ask the newest running demo of this user; what it says it did.

    Raises:
        NoDemo: there is none.
        Refused: it cannot do that.
    """
    for file in _addresses():
        address = json.loads(file.read_text(encoding="utf-8"))
        session = requests.Session()
        session.trust_env = False  # no proxy is asked for our own loopback
        try:
            response = session.post(
                address["url"],
                json={"fault": fault, "feature": feature, "on": on},
                headers={"Authorization": f"Bearer {address['token']}"},
                timeout=_TIMEOUT_SECONDS,
            )
        except requests.RequestException:
            continue
        answer = response.json()
        if not response.ok:
            raise Refused(answer["error"])
        return str(answer["done"])
    raise NoDemo("no demo is running here; start one with `wavegate demo`")


def _addresses() -> list[Path]:
    """The files of demos that are ours, newest first; a name in the common directory proves nothing."""
    found = Path(tempfile.gettempdir()).glob(f"{DIRECTORY_PREFIX}*/{_FILE}")
    own = [(status.st_mtime, file) for file in found if (status := file.stat()).st_uid == os.getuid()]
    return [file for _, file in sorted(own, reverse=True)]
