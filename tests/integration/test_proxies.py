"""The configurations that we give for nginx and Envoy, under real ones."""

import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import requests

from support.data_plane import KEY, DataPlane, following
from support.debian import TOOLS, tool
from support.waiting import wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
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


@pytest.fixture(params=["nginx", "envoy"])
def proxy(request, plane, tmp_path):
    port = free_port()
    command = {"nginx": nginx, "envoy": envoy}[request.param](tmp_path, port, upstream=plane.port)
    log = tmp_path / "log.txt"
    with log.open("w") as written, subprocess.Popen(command, stdout=written, stderr=written) as process:
        try:
            wait_until(lambda: process.poll() is not None or answers(port))
            assert process.poll() is None, log.read_text()
            yield Proxy(port)
        finally:
            process.terminate()


def nginx(place, port, *, upstream):
    program = tool("nginx", "usr/sbin/nginx", "nginx")
    if program is None:
        pytest.skip("there is no nginx here, and no apt to fetch it with")
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{upstream}").replace("listen 8088", f"listen 127.0.0.1:{port}")
    # Where nginx may write without being root.
    places = "".join(
        f"    {name}_temp_path {place / name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    written = place / "nginx.conf"
    written.write_text(re.sub(r"^http \{\n", f"daemon off;\nhttp {{\n{places}", text, flags=re.MULTILINE))
    return [*program, "-c", written, "-p", place, "-e", "stderr"]


def envoy(place, port, *, upstream):
    program = shutil.which("envoy") or shutil.which(TOOLS / "deploy" / "bin" / "envoy")
    if program is None:
        pytest.skip("there is no Envoy here; `make check-deploy` fetches it")
    text = (DEPLOY / "envoy" / "envoy.yaml").read_text(encoding="utf-8")
    text = text.replace("address: 0.0.0.0, port_value: 8088", f"address: 127.0.0.1, port_value: {port}")
    written = place / "envoy.yaml"
    written.write_text(text.replace("port_value: 8080", f"port_value: {upstream}"))
    return [program, "-c", written, "--disable-hot-restart", "--concurrency", "1"]


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
