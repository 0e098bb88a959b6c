"""The least that a server can do: answers each connection with the head of a stream, and pushes to all in one loop.

No HTTP is read, nobody is asked who they are, nothing is counted, buffers are not looked at. What a push costs here is
what Python, the event loop and the kernel take for it on this machine now. Prints its port. For each line that it
reads, a number of bytes, it pushes an event of so many, and prints when it began.
"""

import asyncio
import gc
import resource
import socket
import sys
import threading
import time

import uvloop

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nd\r\n\n: welcome\n\n\r\n"
connections: set[asyncio.Transport] = set()


class Connection(asyncio.Protocol):
    __slots__ = ("transport",)

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, _) -> None:
        self.transport.write(HEAD)
        connections.add(self.transport)

    def connection_lost(self, _) -> None:
        connections.discard(self.transport)


def push(piece: bytes) -> None:
    for connection in connections:
        connection.write(piece)


def push_on_demand(loop: asyncio.AbstractEventLoop) -> None:
    for line in sys.stdin:
        piece = b"id: 1\nevent: delta\n".ljust(int(line), b"x")
        began = time.monotonic()
        loop.call_soon_threadsafe(push, piece)
        print(began, flush=True)


async def main() -> None:
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    await loop.create_server(Connection, sock=listener)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=push_on_demand, args=(loop,), daemon=True).start()
    await asyncio.Event().wait()


_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
gc.set_threshold(50_000, 20, 1000)
uvloop.run(main())
