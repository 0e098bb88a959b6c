"""The client against a real HTTP server on loopback that answers what each test tells it to."""

import json
import logging
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client import CollectorRegistry

from wavegate import Client, ErrorCode, InvalidRuleset

QUICK = {"poll_interval": 0.02, "timeout": 2.0}


def document(revision=1, *, on=True, environment="production"):
    flag = {"variants": {"on": True, "off": False}, "default_variant": "on" if on else "off"}
    return {"schema": 1, "environment": environment, "revision": revision, "flags": {"search": flag}}


@dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    headers: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    path: str
    headers: dict
    status: int


class Controller:
    """A server that serves one answer, with its ETag, until it is told another."""

    def __init__(self, port=0):
        self.answer = Answer(status=503)
        self.seen = []
        self._condition = threading.Condition()
        controller = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                controller._respond(self)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def serve(self, ruleset, **headers):
        body = json.dumps(ruleset).encode()
        self.answer = Answer(body=body, headers={"ETag": f'"{hash(body)}"'} | headers)

    def fail(self, status):
        self.answer = Answer(status=status)

    def wait_for_requests(self, more, status=None, timeout=10):
        """Waits until that many further requests were answered (with that status)."""
        with self._condition:
            start = len(self.seen)

            def enough():
                return sum(status in (None, one.status) for one in self.seen[start:]) >= more

            assert self._condition.wait_for(enough, timeout), self.seen[start:]

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _respond(self, handler):
        answer = self.answer
        etag = answer.headers.get("ETag")
        if etag is not None and handler.headers.get("If-None-Match") == etag:
            answer = Answer(status=304, headers={"ETag": etag})
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.status != 304:
            handler.send_header("Content-Length", str(len(answer.body)))
        # One connection a request: a kept one would outlive the server in the tests that stop it.
        handler.send_header("Connection", "close")
        handler.close_connection = True
        handler.end_headers()
        handler.wfile.write(answer.body)
        with self._condition:
            self.seen.append(Seen(handler.path, dict(handler.headers), answer.status))
            self._condition.notify_all()


@pytest.fixture
def controller():
    controller = Controller()
    yield controller
    controller.close()


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def make_client(controller, registry):
    made = []

    def make(url=controller.url, **options):
        client = Client(url, registry=registry, **QUICK | options)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


def wait_until(condition, timeout=10):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def warnings(caplog):
    return [record.action for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_client_gets_its_ruleset_and_then_asks_only_for_changes(controller, make_client):
    controller.serve(document())

    client = make_client(sdk_key="wg_sdk_1")
    assert client.wait_ready(10)
    assert client.is_enabled("search", "user-1")
    controller.wait_for_requests(3, status=304)

    first, *later = controller.seen
    assert first.path == "/sdk/v1/ruleset"
    assert first.headers["Authorization"] == "Bearer wg_sdk_1"
    assert "If-None-Match" not in first.headers
    assert {one.status for one in later} == {304}


def test_a_change_reaches_the_client_and_its_listeners(controller, make_client, registry):
    controller.serve(document())
    client = make_client()
    client.wait_ready(10)
    heard = []
    client.on_change(lambda ruleset: heard.append(ruleset.revision))

    controller.serve(document(2, on=False))
    wait_until(lambda: heard)

    assert heard == [2]
    assert client.revision == 2
    assert not client.is_enabled("search", "user-1")
    assert registry.get_sample_value("wavegate_ruleset_revision") == 2


def test_a_listener_that_fails_ends_nothing(controller, make_client, caplog):
    controller.serve(document())
    client = make_client()
    client.wait_ready(10)
    client.on_change(lambda _: 1 / 0)

    controller.serve(document(2))
    wait_until(lambda: client.revision == 2)
    controller.serve(document(3))
    wait_until(lambda: client.revision == 3)

    assert warnings(caplog) == ["listener_failed"] * 2


def test_without_a_key_none_is_sent_even_if_netrc_has_one(controller, make_client, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    controller.serve(document())

    make_client().wait_ready(10)

    assert "Authorization" not in controller.seen[0].headers


def test_a_client_that_starts_before_its_controller_answers_defaults_and_catches_up(make_client, registry, caplog):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]

    client = make_client(f"http://127.0.0.1:{port}")
    assert not client.wait_ready(0.2)
    before = client.details("search", "user-1", default=True)
    late = Controller(port)
    try:
        late.serve(document(4))
        assert client.wait_ready(10)
    finally:
        late.close()

    assert (before.value, before.error_code) == (True, ErrorCode.PROVIDER_NOT_READY)
    assert client.is_enabled("search", "user-1")
    assert warnings(caplog)[0] == "controller_unavailable"


def test_making_a_client_does_not_wait_for_a_server_that_never_answers(make_client):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()

        began = time.monotonic()
        client = make_client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
        assert client.is_enabled("search", "user-1") is False
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("status", [500, 502, 404, 429])
def test_an_error_keeps_the_ruleset_and_is_logged_once(controller, make_client, caplog, status):
    caplog.set_level(logging.INFO, logger="wavegate")
    controller.serve(document())
    client = make_client()
    client.wait_ready(10)

    controller.fail(status)
    controller.wait_for_requests(4, status=status)
    during = client.is_enabled("search", "user-1")
    controller.serve(document(2))
    wait_until(lambda: client.revision == 2)
    wait_until(lambda: len(caplog.records) >= 2)

    assert during is True
    assert [record.action for record in caplog.records] == ["controller_unavailable", "ruleset_fresh"]
    assert f"it answered {status}; the ruleset in use stays" in caplog.text


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_keeps_the_ruleset_says_so_once_and_asks_seldom(controller, make_client, caplog, status):
    controller.serve(document())
    client = make_client(sdk_key="wg_sdk_1")
    client.wait_ready(10)

    controller.fail(status)
    controller.wait_for_requests(1, status=status)
    wait_until(lambda: warnings(caplog))
    asked = len(controller.seen)
    time.sleep(0.2)  # ten polls, if it went on as before

    assert len(controller.seen) == asked
    assert client.is_enabled("search", "user-1")
    assert warnings(caplog) == ["sdk_key_refused"]
    assert f"answered {status}: check sdk_key" in caplog.text
    assert "wg_sdk_1" not in caplog.text


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Sign in</html>", b'{"schema": 2}', b'{"schema": 1, "environment": "production", "revision": 9}'],
)
def test_a_malformed_ruleset_is_refused_whole_and_the_last_good_one_stays(controller, make_client, caplog, body):
    controller.serve(document())
    client = make_client()
    client.wait_ready(10)

    controller.answer = Answer(body=body, headers={"ETag": '"bad"'})
    controller.wait_for_requests(3, status=200)

    assert client.revision == 1
    assert client.is_enabled("search", "user-1")
    assert warnings(caplog) == ["ruleset_malformed"]


def test_a_lower_revision_is_refused_until_the_controller_says_it_is_meant(controller, make_client, caplog):
    controller.serve(document(5))
    client = make_client()
    client.wait_ready(10)

    controller.serve(document(3, on=False))
    controller.wait_for_requests(4, status=200)
    refused = client.revision
    controller.serve(document(3, on=False), **{"Wavegate-Allow-Revision-Rollback": "1"})
    wait_until(lambda: client.revision == 3)

    assert refused == 5
    assert not client.is_enabled("search", "user-1")
    assert warnings(caplog) == ["ruleset_older"]


def test_revisions_of_another_environment_are_no_measure(controller, make_client, tmp_path):
    cache = tmp_path / "ruleset.json"
    cache.write_text(json.dumps(document(900, environment="staging")))
    controller.serve(document(2))

    client = make_client(cache_path=cache)

    wait_until(lambda: client.revision == 2)


def test_the_age_of_the_ruleset_grows_while_the_controller_is_away(controller, make_client, registry):
    controller.serve(document())
    client = make_client()
    client.wait_ready(10)
    controller.wait_for_requests(2, status=304)
    fresh = client.age

    controller.fail(500)
    controller.wait_for_requests(1, status=500)
    stale = client.age
    wait_until(lambda: client.age > stale + 0.1)

    assert fresh < 1
    assert registry.get_sample_value("wavegate_ruleset_age_seconds") > stale


def test_the_last_known_good_ruleset_survives_a_restart_without_controller(controller, make_client, tmp_path):
    cache = tmp_path / "new" / "ruleset.json"
    controller.serve(document(6))
    first = make_client(cache_path=cache)
    first.wait_ready(10)
    wait_until(cache.exists)
    first.close()
    controller.fail(503)

    second = make_client(cache_path=cache, bootstrap=document(1, on=False))

    assert second.wait_ready(0)
    assert second.revision == 6
    assert second.is_enabled("search", "user-1")
    assert [path.name for path in cache.parent.iterdir()] == ["ruleset.json"]


def test_a_corrupt_cache_is_ignored_with_a_warning_and_the_bootstrap_serves(make_client, tmp_path, caplog):
    cache = tmp_path / "ruleset.json"
    cache.write_text('{"schema": 1, "environ')

    client = make_client(cache_path=cache, bootstrap=document(1))

    assert client.is_enabled("search", "user-1")
    assert warnings(caplog)[0] == "cache_ignored"
    assert str(cache) in caplog.text


def test_a_cache_that_cannot_be_written_costs_a_warning_and_nothing_else(controller, make_client, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    controller.serve(document())

    client = make_client(cache_path=tmp_path / "file" / "ruleset.json")
    client.wait_ready(10)
    controller.serve(document(2))
    wait_until(lambda: client.revision == 2)
    controller.wait_for_requests(2, status=304)

    assert [action for action in warnings(caplog) if action == "cache_not_written"] == ["cache_not_written"]


def test_a_mistake_in_the_bootstrap_is_told_at_once(registry, controller):
    with pytest.raises(InvalidRuleset, match="schema: is missing"):
        Client(controller.url, registry=registry, bootstrap={})


def test_closing_ends_the_thread_and_the_client_still_answers(controller, make_client):
    controller.serve(document())
    with make_client() as client:
        client.wait_ready(10)

    assert not [thread for thread in threading.enumerate() if thread.name == "wavegate-poller"]
    assert client.is_enabled("search", "user-1")


def test_closing_does_not_wait_for_a_server_that_never_answers(make_client):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        client = make_client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=3.0)
        peer, _ = silent.accept()

        began = time.monotonic()
        client.close()
        elapsed = time.monotonic() - began
        peer.close()

    assert elapsed < 2
