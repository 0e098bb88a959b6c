"""The client on a stream of the real data plane: what reaches it, and how it gets over what goes wrong."""

import json
import logging
import random
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client import CollectorRegistry

from support.data_plane import KEY, DataPlane, published
from support.waiting import wait_until
from wavegate import Client

#: Polling would not be noticed in any of these tests.
STREAMED = {"sdk_key": KEY, "poll_interval": 30.0, "timeout": 2.0}


@pytest.fixture
def plane():
    with DataPlane(heartbeat=0.2) as plane:
        plane.publish(1)
        yield plane


@pytest.fixture
def make_client():
    made = []

    def make(plane, **options):
        client = Client(
            plane.url, **STREAMED | {"registry": CollectorRegistry(), "bootstrap": published(0).body} | options
        )
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Looks that are spread, so that clients do not all come at once, are spread less."""
    for module in ("poller", "following"):
        monkeypatch.setattr(f"wavegate.client.{module}.at_random", lambda seconds: min(seconds, 0.05) * random.random())


def actions(caplog):
    return [record.action for record in caplog.records if record.name == "wavegate" and hasattr(record, "action")]


def test_a_change_is_pushed(plane, make_client):
    client = make_client(plane)
    wait_until(lambda: client.streaming)
    heard = []
    client.on_change(lambda ruleset: heard.append(ruleset.revision))

    plane.publish(2, on=False)
    wait_until(lambda: client.revision == 2)

    assert not client.is_enabled("search", "user-1")
    assert heard == [2]


def test_the_metric_says_whether_changes_are_pushed(plane, make_client):
    registry = CollectorRegistry()
    client = make_client(plane, registry=registry)
    wait_until(lambda: client.streaming)
    before = registry.get_sample_value("wavegate_stream_connected")

    plane.close()
    wait_until(lambda: not client.streaming)
    after = registry.get_sample_value("wavegate_stream_connected")

    assert (before, after) == (1, 0)


def test_signs_of_life_confirm_the_ruleset(plane, make_client):
    client = make_client(plane)
    wait_until(lambda: client.streaming)

    time.sleep(0.6)

    assert client.age < 0.5


def test_after_a_loss_the_client_comes_back_and_has_what_it_missed(make_client):
    plane = DataPlane(heartbeat=0.2)
    plane.publish(1)
    client = make_client(plane, poll_interval=0.2)
    wait_until(lambda: client.streaming)
    plane.close()
    wait_until(lambda: client.streaming is False)

    with DataPlane(heartbeat=0.2, port=plane.port) as again:
        again.publish(1)
        again.publish(2, on=False)
        wait_until(lambda: client.revision == 2)
        wait_until(lambda: client.streaming)
        again.publish(3)
        wait_until(lambda: client.revision == 3)


def test_a_delta_that_does_not_fit_makes_the_client_fetch_the_ruleset(plane, make_client, caplog, monkeypatch):
    client = make_client(plane)
    wait_until(lambda: client.streaming)

    with monkeypatch.context() as wrong:
        wrong.setattr("wavegate_controller.delivery.channel.delta_between", _wrong_delta)
        plane.publish(2, on=False)
    wait_until(lambda: client.revision == 2)
    wait_until(lambda: client.streaming)
    plane.publish(3)
    wait_until(lambda: client.revision == 3)

    assert actions(caplog).count("delta_mismatch") == 1


def _wrong_delta(before, after):
    from wavegate.evaluation.deltas import delta_between

    return delta_between(before, after).replace(b'"default_variant":"off"', b'"default_variant":"on"')


def test_a_revoked_key_is_told_once_and_the_ruleset_stays(plane, make_client, caplog):
    client = make_client(plane)
    wait_until(lambda: client.streaming)

    plane.allow({})
    wait_until(lambda: "sdk_key_refused" in actions(caplog))

    assert client.connected is False
    assert client.is_enabled("search", "user-1")
    assert actions(caplog) == ["sdk_key_refused"]


def test_closing_ends_the_stream_within_a_second(plane, make_client):
    client = make_client(plane)
    wait_until(lambda: plane.streams() == 1)

    began = time.monotonic()
    client.close()
    elapsed = time.monotonic() - began

    assert elapsed < 1
    assert not [thread for thread in threading.enumerate() if thread.name == "wavegate-poller"]
    wait_until(lambda: plane.streams() == 0)


def test_a_client_that_was_told_to_poll_opens_no_stream(plane, make_client):
    client = make_client(plane, stream=False, poll_interval=0.05)
    wait_until(lambda: client.revision == 1)
    plane.publish(2)
    wait_until(lambda: client.revision == 2)

    assert client.streaming is None
    assert plane.streams() == 0


def test_where_streams_are_refused_the_client_polls(make_client, caplog):
    from wavegate_controller.delivery import Limits

    caplog.set_level(logging.INFO, logger="wavegate")
    with DataPlane(limits=Limits(streams=0)) as plane:
        plane.publish(1)
        client = make_client(plane, poll_interval=0.05)
        wait_until(lambda: client.revision == 1)
        plane.publish(2)
        wait_until(lambda: client.revision == 2)

        assert client.streaming is False
        assert client.connected
        assert actions(caplog) == ["stream_unavailable"]


def test_behind_a_proxy_that_keeps_streams_to_itself_the_client_polls(plane, make_client, caplog):
    caplog.set_level(logging.INFO, logger="wavegate")
    with _hoarding_proxy(plane) as proxy:
        client = make_client(proxy, poll_interval=0.05, timeout=0.5)
        wait_until(lambda: "stream_unavailable" in actions(caplog))
        plane.publish(2)
        wait_until(lambda: client.revision == 2)

        assert client.streaming is False
        assert actions(caplog) == ["stream_unavailable"]


def test_a_lower_revision_is_refused_until_the_controller_says_it_is_meant(make_client, caplog):
    plane = DataPlane(heartbeat=0.2)
    plane.publish(5)
    client = make_client(plane, poll_interval=0.05)
    wait_until(lambda: client.streaming)
    plane.close()

    with DataPlane(heartbeat=0.2, port=plane.port) as restored:
        restored.publish(3, on=False)
        wait_until(lambda: "ruleset_older" in actions(caplog))
        refused = client.revision
    with DataPlane(heartbeat=0.2, port=plane.port, rollback_allowed=True) as meant:
        meant.publish(3, on=False)
        wait_until(lambda: client.revision == 3)
        wait_until(lambda: client.streaming)

    assert refused == 5


def test_a_malformed_ruleset_on_the_stream_leaves_the_one_in_use(make_client, caplog):
    """As from a controller that is newer than the SDK."""
    with DataPlane(heartbeat=0.2) as plane:
        plane.publish(1)
        client = make_client(plane, poll_interval=0.05)
        wait_until(lambda: client.streaming)
        newer = published(2)
        body = newer.body.replace(b'"state":"enabled"', b'"state":"half"')
        from dataclasses import replace

        from wavegate.evaluation.deltas import document_hash

        plane.hub.publish(replace(newer, body=body, etag=document_hash(body)))
        wait_until(lambda: "ruleset_malformed" in actions(caplog))
        during = client.revision
        plane.publish(3)
        wait_until(lambda: client.revision == 3)
        wait_until(lambda: client.streaming)

    assert during == 1


@contextmanager
def _hoarding_proxy(plane):
    """Passes answers on when they are complete, as a proxy does that buffers; so a stream never comes through."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path.endswith("/stream"):
                over.wait(20)
                self.close_connection = True
                return
            with socket.create_connection(("127.0.0.1", plane.port), timeout=10) as upstream:
                headers = "".join(
                    f"{name}: {value}\r\n" for name, value in self.headers.items() if name != "Connection"
                )
                upstream.sendall(f"GET {self.path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n".encode())
                while part := upstream.recv(65536):
                    self.wfile.write(part)
            self.close_connection = True

        def log_message(self, *_):
            pass

    over = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def random_flags(chance, flags):
    """Other flags than before: some new, some changed, some gone."""
    flags = dict(flags)
    for _ in range(chance.randint(1, 3)):
        key = f"flag-{chance.randrange(12)}"
        if key in flags and chance.random() < 0.3:
            del flags[key]
        else:
            variants = {"on": chance.choice([True, 1, 1.0, "ö\u2028", {"a": [1, None]}]), "off": False}
            flags[key] = {"variants": variants, "default_variant": chance.choice(["on", "off"])}
    return flags


@pytest.mark.parametrize("sequences", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_after_any_sequence_of_changes_every_connected_client_has_the_newest(
    plane, make_client, monkeypatch, sequences
):
    """Bursts, pauses and losses, over real connections; as many without any are in tests/unit."""
    # A client may come while the keys are away.
    monkeypatch.setattr("wavegate.client.poller._AFTER_REFUSAL", 0.05)
    chance = random.Random(11)
    clients = [make_client(plane, poll_interval=0.05) for _ in range(4)]
    revision, flags = 1, {}
    for _ in range(sequences):
        for _ in range(chance.randint(1, 8)):
            revision += 1
            flags = random_flags(chance, flags)
            newest = plane.publish(revision, flags=flags)
        if chance.random() < 0.3:
            plane.keys.replace({})
            plane.allow({KEY: "production"})
        wait_until(lambda newest=revision: all(client.revision == newest for client in clients))

        for client in clients:
            from wavegate.evaluation import ruleset_to_json

            assert ruleset_to_json(client._snapshot.ruleset) == newest.body
    assert json.loads(newest.body)["revision"] == revision


FORKED = """
import os, sys, time
import wavegate

def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)

def sockets():
    links = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            links.add(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass
    return {link for link in links if link.startswith("socket:")}

client = wavegate.Client(sys.argv[1], sdk_key=sys.argv[2], poll_interval=0.05)
# Until it has said what it has: a connection in the middle of a request is that thread's alone.
wait_for(lambda: client.streaming)
time.sleep(0.3)
wait_for(lambda: len(sockets()) == 1)
theirs = sockets()
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        children = None
        break
    children.append(child)
if children is None:
    wait_for(lambda: client.streaming)
    assert not sockets() & theirs, "it holds its parent's connection"
    wait_for(lambda: client.revision == 2)
    client.close()
    os._exit(0)
print("forked", flush=True)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
assert client.streaming, "a child ended its parent's stream"
wait_for(lambda: client.revision == 3)
"""


def test_each_forked_child_has_a_stream_of_its_own(plane):
    command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", FORKED, plane.url, KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as app:
        assert app.stdout.readline() == "forked\n"
        wait_until(lambda: plane.streams() == 4)
        plane.publish(2)
        wait_until(lambda: plane.streams() == 1)
        plane.publish(3)

        assert app.wait(20) == 0, app.stderr.read()


def test_the_controller_knows_who_has_which_revision(plane, make_client):
    clients = [make_client(plane, app_name=f"shop-{number}") for number in range(3)]
    clients.append(make_client(plane, app_name="polls", stream=False, poll_interval=0.05))
    wait_until(lambda: plane.streams() == 3 and len(plane.hub.clients("production")) == 4)
    plane.publish(2)
    wait_until(lambda: plane.hub.revisions("production")[0].delivered == 4)

    delivered = plane.hub.revisions("production")[0]
    connected = plane.hub.clients("production")
    assert (delivered.revision, delivered.of) == (2, 4)
    assert 0 < delivered.slowest_seconds < 5
    assert {client.app: client.streaming for client in connected} == {
        "shop-0": True,
        "shop-1": True,
        "shop-2": True,
        "polls": False,
    }
    assert {client.sdk for client in connected} == {"wavegate-python/0.1.0"}
    clients[0].close()
    wait_until(lambda: len(plane.hub.clients("production")) == 3)


def test_the_sdk_knows_its_version():
    from importlib.metadata import version

    from wavegate.client.config import VERSION

    assert version("wavegate") == VERSION
