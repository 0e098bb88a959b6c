"""The configuration that we give for nginx, under a real one."""

import re
import socket
import subprocess
from pathlib import Path

import pytest
import requests

from support.data_plane import KEY, DataPlane, following
from support.debian import tool
from support.waiting import wait_until

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"
AUTHORISED = {"Authorization": f"Bearer {KEY}"}

pytestmark = pytest.mark.slow


class Proxy:
    def __init__(self, port):
        self.port, self.url = port, f"http://127.0.0.1:{port}"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture
def plane():
    with DataPlane(heartbeat=1) as plane:
        plane.publish(1)
        yield plane


@pytest.fixture
def proxy(plane, tmp_path):
    nginx = tool("nginx", "usr/sbin/nginx", "nginx")
    if nginx is None:
        pytest.skip("there is no nginx here, and no apt to fetch it with")
    port = free_port()
    text = CONFIGURATION.read_text(encoding="utf-8")
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{plane.port}").replace("listen 8088", f"listen 127.0.0.1:{port}")
    # Where nginx may write without being root.
    places = "".join(
        f"    {name}_temp_path {tmp_path / name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    written = tmp_path / "nginx.conf"
    written.write_text(re.sub(r"^http \{\n", f"daemon off;\nhttp {{\n{places}", text, flags=re.MULTILINE))
    command = [*nginx, "-c", written, "-p", tmp_path, "-e", "stderr"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: process.poll() is not None or answers(port))
            assert process.poll() is None, process.stderr.read()
            yield Proxy(port)
        finally:
            process.terminate()


def answers(port):
    try:
        return requests.get(f"http://127.0.0.1:{port}/sdk/v1/ruleset", headers=AUTHORISED, timeout=5).ok
    except requests.ConnectionError:
        return False


def test_a_stream_comes_through_as_it_is_sent(plane, proxy):
    with following(proxy) as follower:
        follower.until(1)
        for revision in range(2, 6):
            plane.publish(revision, on=revision % 2 == 0)
            follower.until(revision)

        assert follower.events.count("ruleset") == 1
        assert follower.next()[0] == "comment"


def test_notices_come_through_as_they_are_sent(plane, proxy):
    answer = requests.post(f"{proxy.url}/ofrep/v1/evaluate/flags", json={}, headers=AUTHORISED, timeout=5)
    (stream,) = answer.json()["eventStreams"]
    with following(proxy, key=None, path=stream["endpoint"]["requestUri"]) as follower:
        plane.publish(2, on=False)
        while follower.next()[0] != "message" or not follower.id.startswith("2-"):
            pass


def test_a_validator_holds_through_it(proxy):
    etag = requests.get(f"{proxy.url}/sdk/v1/ruleset", headers=AUTHORISED, timeout=5).headers["etag"]

    again = requests.get(f"{proxy.url}/sdk/v1/ruleset", headers=AUTHORISED | {"If-None-Match": etag}, timeout=5)

    assert again.status_code == 304
