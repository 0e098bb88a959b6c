"""Thousands of streams in one process, with as little of its own time for each as can be.

Says when all are connected, when each change has reached the first and the last, and when all are back after a loss,
with the errors by then: an answer other than a stream, and a connection that ended before its first event.
"""

import asyncio
import gc
import random
import resource
import sys
import time

import uvloop

PORT, COUNT = int(sys.argv[1]), int(sys.argv[2])
REQUEST = (
    b"GET /sdk/v1/stream HTTP/1.1\r\nHost: here\r\nAccept: text/event-stream\r\n"
    b"Wavegate-Instance: %032x\r\nUser-Agent: swarm\r\nLast-Event-ID: %b\r\n\r\n"
)
#: Connects at once, as a fleet spreads them by itself.
AT_ONCE = 200


class Swarm:
    def __init__(self) -> None:
        self.open = 0
        #: Since the streams were last all open.
        self.errors = 0
        self.lost = 0.0
        self.reached = 0
        self.first = 0.0
        self.began = time.monotonic()
        self.id = b""

    def up(self) -> None:
        self.open += 1
        if self.open == COUNT:
            if self.lost:
                print("reconnected", self.errors, time.monotonic() - self.lost, flush=True)
            else:
                print("connected", self.errors, time.monotonic() - self.began, flush=True)
            self.errors = 0
            self.lost = 0.0

    def down(self) -> None:
        self.open -= 1
        self.lost = self.lost or time.monotonic()

    def change(self) -> None:
        now = time.monotonic()
        if not self.reached:
            self.first = now
        self.reached += 1
        if self.reached == COUNT:
            self.reached = 0
            print("delivered", self.first, now, flush=True)


class Follower(asyncio.Protocol):
    __slots__ = ("is_up", "number", "swarm", "transport")

    def __init__(self, swarm: Swarm, number: int) -> None:
        self.swarm = swarm
        self.number = number
        self.is_up = False

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(REQUEST % (self.number, self.swarm.id))

    def data_received(self, data: bytes) -> None:
        if not self.is_up and b"\n: welcome" in data:
            self.is_up = True
            self.swarm.up()
        elif not self.is_up and not data.startswith(b"HTTP/1.1 200"):
            # Which counts as an error when the connection is gone.
            self.transport.close()
        if b"event: delta" in data:
            if not self.swarm.reached:
                self.swarm.id = data.partition(b"id: ")[2].partition(b"\n")[0]
            self.swarm.change()

    def connection_lost(self, _) -> None:
        if self.is_up:
            self.swarm.down()
        else:
            self.swarm.errors += 1
        # What the controller asks for, at a moment of its own.
        asyncio.get_running_loop().call_later(random.uniform(0.2, 2), again, self.swarm, self.number)


def again(swarm: Swarm, number: int) -> None:
    asyncio.get_running_loop().create_task(connect(swarm, number))


async def connect(swarm: Swarm, number: int) -> None:
    while True:
        try:
            await asyncio.get_running_loop().create_connection(lambda: Follower(swarm, number), "127.0.0.1", PORT)
        except OSError:
            # Nobody listens while the server is restarted.
            await asyncio.sleep(random.uniform(0.2, 2))
        else:
            return


async def main() -> None:
    swarm = Swarm()
    for start in range(0, COUNT, AT_ONCE):
        await asyncio.gather(*(connect(swarm, number) for number in range(start, min(start + AT_ONCE, COUNT))))
    await asyncio.Event().wait()


_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
gc.set_threshold(100_000, 50, 1000)
uvloop.run(main())
