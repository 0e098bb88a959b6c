"""The polling client against a real HTTP server on loopback that answers what each test tells it to."""

import json
import logging
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from support.stand_in import HALF, Answer, StandIn, document
from wavegate import Client, ErrorCode, InvalidRuleset, Reason

QUICK = {"poll_interval": 0.02, "timeout": 2.0, "stream": False}


@pytest.fixture
def controller():
    controller = StandIn()
    yield controller
    controller.close()


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def make_client(controller, registry):
    made = []

    def make(url=controller.url, **options):
        client = Client(url, **{"registry": registry} | QUICK | options)
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

    wait_until(lambda: len(warnings(caplog)) == 2)
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
    late = StandIn(port)
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


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_controller_that_asks_for_rest_is_left_alone_that_long(controller, make_client, status, form):
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    controller.fail(status, Retry_After="20" if form == "seconds" else until)

    make_client()
    controller.wait_for_requests(1, status=status)
    asked = len(controller.seen)
    time.sleep(0.6)  # many looks, had it not asked

    assert len(controller.seen) == asked


def test_after_the_rest_that_was_asked_for_the_client_comes_back(controller, make_client):
    controller.fail(503, Retry_After="1")

    make_client()
    controller.wait_for_requests(2, status=503)

    assert controller.seen[1].at - controller.seen[0].at >= 1


@pytest.mark.parametrize("text", ["soon", "-1", "99999999999999999999", "Thu, 01 Jan 1970 00:00:00 GMT", "²"])
def test_whatever_stands_in_retry_after_the_client_comes_back(controller, make_client, monkeypatch, text):
    monkeypatch.setattr("wavegate.client.poller._LONGEST_REST", 0.05)
    controller.fail(503, Retry_After=text)

    make_client()

    controller.wait_for_requests(3, status=503)


def test_after_an_outage_the_ruleset_comes_within_a_few_intervals(controller, make_client):
    controller.serve(document())
    client = make_client(poll_interval=0.1)
    client.wait_ready(10)
    controller.fail(503)
    controller.wait_for_requests(5, status=503)

    began = time.monotonic()
    controller.serve(document(2))
    wait_until(lambda: client.revision == 2)

    # Four intervals and their jitter, where an unbounded back-off would have come to 3 s by now.
    assert time.monotonic() - began < 1


def test_a_condition_that_comes_and_goes_is_not_logged_in_a_storm(controller, make_client, caplog):
    caplog.set_level(logging.INFO, logger="wavegate")
    make_client()
    for revision in range(1, 6):
        controller.serve(document(revision))
        controller.wait_for_requests(1, status=200)
        controller.fail(500)
        controller.wait_for_requests(1, status=500)

    assert [record.action for record in caplog.records] == ["controller_unavailable", "ruleset_fresh"]


def test_a_body_beyond_all_measure_is_refused(controller, make_client, caplog, monkeypatch):
    monkeypatch.setattr("wavegate.client.transport.LARGEST_BODY", 10_000)
    controller.serve(document())
    client = make_client()
    client.wait_ready(10)

    controller.serve(document(2, variants={"on": True, "off": "x" * 10_000}))
    controller.wait_for_requests(2, status=200)

    assert client.revision == 1
    assert "its answer has more than" in caplog.text


def test_an_answer_that_never_ends_is_given_up(controller, make_client, caplog):
    controller.answer = Answer(body=b" " * 1000, trickle=0.05)

    make_client(timeout=0.2)
    wait_until(lambda: warnings(caplog))

    assert "its answer did not end in time" in caplog.text


def test_a_redirect_on_the_same_host_is_followed(controller, make_client):
    controller.serve(document())
    moved = StandIn()
    try:
        moved.answer = Answer(status=308, headers={"Location": "/elsewhere"})
        client = make_client(moved.url, sdk_key="wg_sdk_1")
        moved.wait_for_requests(2, status=308)
        moved.serve(document(3))
        assert client.wait_ready(10)
        assert "/elsewhere" in {one.path for one in moved.seen}
    finally:
        moved.close()


def test_the_key_is_never_taken_to_another_host(controller, make_client, caplog):
    controller.serve(document())
    moved = StandIn()
    try:
        # Another port is another host: who listens there is somebody else.
        moved.answer = Answer(status=307, headers={"Location": f"{controller.url}/sdk/v1/ruleset"})
        client = make_client(moved.url, sdk_key="wg_sdk_1")
        moved.wait_for_requests(2, status=307)
    finally:
        moved.close()

    assert client.revision is None
    assert controller.seen == []
    assert "it redirects to another host" in caplog.text


def test_the_controller_counts_as_connected_while_it_answers(controller, make_client, registry):
    client = make_client()
    controller.wait_for_requests(1, status=503)
    before = registry.get_sample_value("wavegate_stream_connected")
    controller.serve(document())
    wait_until(lambda: client.connected)

    assert before == 0
    assert registry.get_sample_value("wavegate_stream_connected") == 1
    controller.fail(500)
    wait_until(lambda: registry.get_sample_value("wavegate_stream_connected") == 0)


def test_a_flag_that_must_not_run_blind_answers_its_default_until_the_controller_is_back(controller, make_client):
    blind = HALF | {"default_variant": "off", "rollout": HALF["rollout"] | {"weight": 100_000}}
    ruleset = document(1, stale="default", **blind)
    ruleset["flags"]["keeps"] = document(**blind)["flags"]["search"]
    controller.serve(ruleset)
    client = make_client(stale_after=0.3)
    client.wait_ready(10)
    fresh = client.is_enabled("search", "user-1")

    controller.fail(503)
    wait_until(lambda: not client.is_enabled("search", "user-1"))
    stale = client.details("search", "user-1", default=True)
    kept = client.is_enabled("keeps", "user-1")
    controller.serve(ruleset)
    wait_until(lambda: client.is_enabled("search", "user-1"))

    assert fresh is True
    assert (stale.value, stale.reason) == (False, Reason.STALE)
    assert kept is True


def test_a_full_disk_costs_a_warning_and_leaves_the_old_cache(controller, tmp_path):
    """In a process of its own that may not write files of more than a few bytes."""
    cache = tmp_path / "ruleset.json"
    cache.write_text(json.dumps(document(3)))
    controller.serve(document(4))
    code = """
import sys, wavegate, prometheus_client
client = wavegate.Client(sys.argv[1], cache_path=sys.argv[2], poll_interval=0.02)
while client.revision != 4: pass
client.close()
"""

    run = subprocess.run(
        [sys.executable, "-c", code, controller.url, cache],
        capture_output=True,
        text=True,
        timeout=30,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)),
        check=True,
    )

    assert run.stderr.count("the ruleset was not kept on disk") == 1
    assert json.loads(cache.read_text())["revision"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["ruleset.json"]


def test_two_processes_may_share_a_cache_file(controller, tmp_path):
    cache = tmp_path / "ruleset.json"
    code = """
import sys, wavegate
client = wavegate.Client(sys.argv[1], cache_path=sys.argv[2], poll_interval=0.002)
while client.revision != 20: pass
client.close()
"""
    controller.serve(document())
    apps = [subprocess.Popen([sys.executable, "-c", code, controller.url, cache]) for _ in range(2)]
    try:
        wait_until(cache.exists)
        for revision in range(2, 21):
            controller.serve(document(revision))
            controller.wait_for_requests(2, status=200)
            # Whenever one looks, there is a whole ruleset.
            assert json.loads(cache.read_text())["revision"] <= revision
        assert [app.wait(20) for app in apps] == [0, 0]
    finally:
        for app in apps:
            app.kill()
            app.wait()

    assert json.loads(cache.read_text())["revision"] == 20
    assert [path.name for path in tmp_path.iterdir()] == ["ruleset.json"]


def test_clients_that_start_together_do_not_ask_together(controller, make_client):
    """With something to answer from, the first look may come at any time within the interval."""
    controller.serve(document())

    for _ in range(20):
        make_client(poll_interval=0.5, bootstrap=document())
    controller.wait_for_requests(20)

    first = sorted(one.at for one in controller.seen[:20])
    assert first[-1] - first[0] > 0.2


def test_no_thread_and_no_socket_is_left_after_closing(make_client):
    with StandIn(keep_alive=True) as controller:
        controller.serve(document())
        client = make_client(controller.url, post_counts=True, post_interval=0.02, registry=None)
        client.wait_ready(10)
        wait_until(controller.posts)

        client.close()

        assert not [thread for thread in threading.enumerate() if thread.name.startswith("wavegate")]
        peers = [sock for sock in _sockets() if sock == controller.port]
        assert peers == []


def _sockets():
    """The ports that this process is connected to."""
    ports = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            with socket.socket(fileno=os.dup(int(descriptor.name))) as sock:
                ports.append(sock.getpeername()[1])
        except (OSError, IndexError):
            continue
    return ports
