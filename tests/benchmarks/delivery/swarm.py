"""Thousands of streams in one process, with as little of its own time for each as can be.

Says when all are connected; when each change has reached the last, how many bytes it came in, and what reading it took
of a processor; and when all are back after a loss, with the errors by then: an answer other than a stream, and a
connection that ended before its first event.

What has come is looked for once a millisecond at the most. Whoever waits for each piece is woken by the sender for
each, which on one machine is the sender's time, and in a network is not.
"""

import heapq
import random
import resource
import select
import socket
import sys
import time

PORT, COUNT = int(sys.argv[1]), int(sys.argv[2])
REQUEST = (
    b"GET /sdk/v1/stream HTTP/1.1\r\nHost: here\r\nAccept: text/event-stream\r\n"
    b"Wavegate-Instance: %032x\r\nUser-Agent: swarm\r\nLast-Event-ID: %b\r\n\r\n"
)
#: Connects at once, as a fleet spreads them by itself.
AT_ONCE = 200
PAUSE = 0.001
BUFFER = bytearray(256 * 1024)
VIEW = memoryview(BUFFER)


class Stream:
    """One connection, and the next one after it."""

    __slots__ = ("is_answered", "is_up", "number", "socket")

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_up = self.is_answered = False


class Swarm:
    """All of them."""

    def __init__(self) -> None:
        self.poll = select.epoll()
        self.streams: dict[int, Stream] = {}
        #: When to connect again, and who.
        self.due = [(0.0, number) for number in range(COUNT)]
        self.connecting = 0
        self.open = 0
        #: Since the streams were last all open.
        self.errors = 0
        self.lost = 0.0
        self.reached = 0
        self.spent = 0
        self.began = time.monotonic()
        self.id = b""

    def run(self) -> None:
        while True:
            patience = None
            if self.due and self.connecting < AT_ONCE:
                patience = max(0.0, self.due[0][0] - time.monotonic())
            found = self.poll.poll(patience, 4096)
            for number, _ in found:
                self.read(self.streams[number])
            if self.due:
                self.connect()
            time.sleep(PAUSE)

    def connect(self) -> None:
        now = time.monotonic()
        while self.due and self.due[0][0] <= now and self.connecting < AT_ONCE:
            stream = Stream(heapq.heappop(self.due)[1])
            stream.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                stream.socket.connect(("127.0.0.1", PORT))
                stream.socket.sendall(REQUEST % (stream.number, self.id))
            except OSError:
                # Nobody listens while the server is restarted.
                stream.socket.close()
                self.again(stream)
                continue
            stream.socket.setblocking(False)
            self.connecting += 1
            self.streams[stream.socket.fileno()] = stream
            self.poll.register(stream.socket, select.EPOLLIN)

    def read(self, stream: Stream) -> None:
        try:
            size = stream.socket.recv_into(VIEW)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            self.gone(stream)
        elif stream.is_up:
            if BUFFER.find(b"event: delta", 0, size) >= 0:
                self.change(size)
        elif not stream.is_answered and not BUFFER.startswith(b"HTTP/1.1 200", 0, size):
            # Which counts as an error when the connection is gone.
            self.gone(stream)
        else:
            stream.is_answered = True
            if BUFFER.find(b"\n: welcome", 0, size) >= 0:
                stream.is_up = True
                self.connecting -= 1
                self.up()

    def up(self) -> None:
        self.open += 1
        if self.open == COUNT:
            if self.lost:
                print("reconnected", self.errors, time.monotonic() - self.lost, flush=True)
            else:
                print("connected", self.errors, time.monotonic() - self.began, flush=True)
            self.errors = 0
            self.lost = 0.0

    def change(self, size: int) -> None:
        if not self.reached:
            self.spent = time.process_time_ns()
            self.id = BUFFER[BUFFER.find(b"id: ", 0, size) + 4 : size].partition(b"\n")[0]
        self.reached += 1
        if self.reached == COUNT:
            self.reached = 0
            spent = (time.process_time_ns() - self.spent) / 1e9
            print("delivered", time.monotonic(), size, spent, flush=True)

    def gone(self, stream: Stream) -> None:
        del self.streams[stream.socket.fileno()]
        stream.socket.close()
        if stream.is_up:
            self.open -= 1
            self.lost = self.lost or time.monotonic()
        else:
            self.connecting -= 1
            self.errors += 1
        self.again(stream)

    def again(self, stream: Stream) -> None:
        # What the controller asks for, at a moment of its own.
        heapq.heappush(self.due, (time.monotonic() + random.uniform(0.2, 2), stream.number))


_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
Swarm().run()
