"""What relays add to the way of a change: one controller, two relays with 4,000 streams, and some at the controller.

`python tests/benchmarks/delivery/relay_tree.py [--streams 4000] [--rounds 10]`
"""

import argparse
import asyncio
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from benchmarks.delivery.server import KEY  # noqa: E402 # as a script, the tests are not on the path

FLAGS = 200
#: For the streams of one round to hear of it.
PATIENCE = 30.0


class Streams(asyncio.Protocol):
    """One stream: notes when it hears of a revision."""

    def __init__(self, crowd):
        self.crowd = crowd
        self.tail = b""

    def connection_made(self, transport):
        self.transport = transport
        head = f"GET /sdk/v1/stream HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {KEY}\r\n\r\n"
        transport.write(head.encode())

    def data_received(self, data):
        # An event may come in pieces; its id is all that is looked for.
        text = self.tail + data
        if b"\nid: %d-" % self.crowd.wanted in b"\n" + text:
            self.crowd.heard.append(time.monotonic())
            self.tail = b""
        else:
            self.tail = text[-32:]


class Crowd:
    """Many streams to one server, all asking for one revision at a time."""

    def __init__(self, port):
        self.port = port
        self.wanted = 1
        self.heard = []
        self.streams = []

    async def connect(self, number):
        loop = asyncio.get_running_loop()
        for _ in range(number):
            _, stream = await loop.create_connection(lambda: Streams(self), "127.0.0.1", self.port)
            self.streams.append(stream)

    async def all_heard(self):
        deadline = time.monotonic() + PATIENCE
        while len(self.heard) < len(self.streams):
            assert time.monotonic() < deadline, f"{len(self.heard)} of {len(self.streams)} heard of {self.wanted}"
            await asyncio.sleep(0.005)


@contextmanager
def server():
    """The controller's data plane."""
    command = [sys.executable, HERE / "server.py", str(FLAGS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.terminate()


@contextmanager
def relay(upstream, cache):
    """One relay, as people run it."""
    wavegate = Path(sys.executable).with_name("wavegate")
    command = [wavegate, "relay", "--upstream", f"http://127.0.0.1:{upstream}", "--port", "0", "--cache", cache]
    environment = os.environ | {"WAVEGATE_RELAY_SDK_KEY": KEY}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            said = next(
                found for line in process.stderr if (found := re.search(r"action=relaying url=\S+:(\d+)", line))
            )
            yield int(said[1])
        finally:
            process.terminate()


async def measure(process, controller, relays, streams, rounds):
    """The delays of each round, in milliseconds: direct, and through the relays; first, median and last of each."""
    direct, through = Crowd(controller), [Crowd(port) for port in relays]
    everybody = [direct, *through]
    await direct.connect(100)
    for crowd in through:
        await crowd.connect(streams // len(through))
    for crowd in everybody:
        await crowd.all_heard()
    found = []
    for revision in range(2, rounds + 2):
        for crowd in everybody:
            crowd.wanted, crowd.heard = revision, []
        await asyncio.sleep(0.5)
        process.stdin.write("\n")
        began = float(await asyncio.to_thread(process.stdout.readline))
        for crowd in everybody:
            await crowd.all_heard()
        heard = sorted(time for crowd in through for time in crowd.heard)
        found.append([(at - began) * 1000 for times in (sorted(direct.heard), heard) for at in _points(times)])
    return found


def _points(times):
    return times[0], times[len(times) // 2], times[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=4000, help="on the two relays together")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as stack:
        caches = [stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(2)]
        process, controller = stack.enter_context(server())
        relays = [stack.enter_context(relay(controller, cache)) for cache in caches]
        time.sleep(2)
        found = asyncio.run(measure(process, controller, relays, options.streams, options.rounds))
    medians = [statistics.median(column) for column in zip(*found, strict=True)]
    worst = [max(column) for column in zip(*found, strict=True)]
    print(f"load: {os.getloadavg()}\n")
    print("| streams | first, ms | median, ms | last, ms | last in the worst round, ms |")
    print("|---|---:|---:|---:|---:|")
    for name, place in (("100 on the controller", 0), (f"{options.streams:,} on two relays", 3)):
        print(f"| {name} | {' | '.join(f'{value:.1f}' for value in (*medians[place : place + 3], worst[place + 2]))} |")


if __name__ == "__main__":
    main()
