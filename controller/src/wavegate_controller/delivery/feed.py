"""`/api/v1/events`: what happens, as server-sent events.

The control plane decides who may follow: it answers such a request with a ticket instead of a body, as it answers any
other request, and here the stream is served for it. So whoever follows holds a connection and no thread. A stream
holds a place in the audit, never a queue: what it has not got yet is read from that place when it can take it.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from wavegate_controller.delivery.asgi import Application, Message, Receive, Scope, Send, problem, transport_of

_PATH: Final = "/api/v1/events"
#: The header of an answer that is a ticket; its value is JSON with `environment` and `after`.
TICKET: Final = b"wavegate-ticket"
#: What is kept in memory of what happened last; who is behind by more reads from the database.
_KEPT: Final = 1000
#: Read from the database at once, and by how many streams at a time.
_PAGE: Final = 200
_READERS: Final = 2
#: Streams of one process; they are for people and their tools, not for apps.
_MOST: Final = 500
#: For a stream to take what is sent. Longer, and its connection goes: it may come back.
_PATIENCE: Final = 30.0
#: After that a stream ends, comes back and is asked anew who it is.
_LONGEST: Final = 900.0
#: After these changes of who may do what, too.
_ABOUT_PEOPLE: Final = frozenset({"account", "person", "role", "session", "token", "user"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """One entry of the audit.

    Attributes:
        id: rising by one.
        action: dotted words such as `rollout.promote`.
        document: what is sent.
    """

    id: int
    environment: str
    action: str
    document: Mapping[str, Any]

    @property
    def event(self) -> bytes:
        """As it is sent."""
        data = json.dumps(self.document, ensure_ascii=False, separators=(",", ":"))
        return f"id: {self.id}\nevent: {self.action}\ndata: {data}\n\n".encode()


#: What happened after that id, oldest first, so many at most.
Reader = Callable[[int, int], Sequence[Happening]]


class Feed:
    """What happened last, and everybody who follows. All but `wake` is for the loop's thread.

    Args:
        read: happenings behind an id, from the database; called in threads.
        newest: the id of the last one, from the database; called in threads.
        heartbeat: seconds between two signs of life.
    """

    def __init__(self, read: Reader, newest: Callable[[], int], *, heartbeat: float) -> None:
        self._read = read
        self._newest = newest
        self._heartbeat = heartbeat
        self._loop: asyncio.AbstractEventLoop | None = None
        self._recent: deque[Happening] = deque(maxlen=_KEPT)
        self._told: asyncio.Future[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._is_behind = False
        self._readers = asyncio.Semaphore(_READERS)
        self._streams = 0
        self._is_closing = False

    def wake(self, _value: str = "") -> None:
        """Something may have happened; from any thread."""
        if self._loop is not None:
            # A loop that is closed has no streams left.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._look)

    def close(self) -> None:
        """End all streams."""
        self._is_closing = True
        self._tell()

    async def follow(
        self,
        send: Send,
        gone: asyncio.Event,
        abort: Callable[[], None],
        *,
        environment: str,
        after: int | None,
    ) -> None:
        """Serve one stream to its end.

        Args:
            send: ASGI's.
            gone: set when the client has gone.
            abort: drops the connection.
            environment: whose happenings.
            after: id of the last one that the client has; None to begin now.
        """
        if self._is_closing or self._streams >= _MOST:
            detail = f"there are {_MOST} streams open; ask /api/v1/audit meanwhile"
            await problem(send, 503, "Service Unavailable", detail, [(b"retry-after", b"10")])
            return
        self._streams += 1
        try:
            await self._start()
            newest = await asyncio.to_thread(self._newest)
            place, opening = newest if after is None else after, b"retry: 2000\n: welcome\n\n"
            if place > newest:
                # A database that came back older than what the client has seen.
                place, opening = newest, opening + b"event: reset\ndata: {}\n\n"
            headers = [
                (b"content-type", b"text/event-stream"),
                (b"cache-control", b"no-cache, no-transform"),
                (b"x-accel-buffering", b"no"),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._send(send, opening)
            await self._serve(send, gone, environment=environment, place=place)
            await self._send(send, b"", more=False)
        except TimeoutError:
            # It does not read. What it was sent it may ask for again.
            abort()
        finally:
            self._streams -= 1

    async def _serve(self, send: Send, gone: asyncio.Event, *, environment: str, place: int) -> None:
        end = asyncio.get_running_loop().time() + _LONGEST
        while not self._is_closing and not gone.is_set() and asyncio.get_running_loop().time() < end:
            told = self._wait()
            happened = await self._since(place)
            if happened:
                place = happened[-1].id
                mine = b"".join(each.event for each in happened if each.environment == environment)
                if mine:
                    await self._send(send, mine)
                if any(each.action.partition(".")[0] in _ABOUT_PEOPLE for each in happened):
                    return
                continue
            leaving = asyncio.ensure_future(gone.wait())
            await asyncio.wait((told, leaving), timeout=self._heartbeat, return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            if not told.done():
                await self._send(send, b": \n\n")

    async def _since(self, place: int) -> Sequence[Happening]:
        if self._recent and place >= self._recent[-1].id:
            return ()
        if self._recent and place >= self._recent[0].id - 1:
            return [each for each in self._recent if each.id > place]
        async with self._readers:
            return await asyncio.to_thread(self._read, place, _PAGE)

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(_PATIENCE):
            await send({"type": "http.response.body", "body": body, "more_body": more})

    async def _start(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()

    def _look(self) -> None:
        """Read what is new, once for all streams; what happens meanwhile is read right after."""
        self._is_behind = True
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._catch_up())

    async def _catch_up(self) -> None:
        try:
            while self._is_behind:
                self._is_behind = False
                if not self._recent:
                    # Where it begins is for the first stream that reads to find out.
                    newest = await asyncio.to_thread(self._newest)
                    found = await asyncio.to_thread(self._read, max(0, newest - _PAGE), _PAGE)
                else:
                    found = await asyncio.to_thread(self._read, self._recent[-1].id, _PAGE)
                if found:
                    self._recent.extend(found)
                    self._is_behind = self._is_behind or len(found) == _PAGE
                self._tell()
        finally:
            self._reading = None

    def _wait(self) -> asyncio.Future[None]:
        if self._told is None or self._told.done():
            self._told = asyncio.get_running_loop().create_future()
        return self._told

    def _tell(self) -> None:
        if self._told is not None and not self._told.done():
            self._told.set_result(None)


class FeedRoutes:
    """The control plane, with the streams of those to whom it gives a ticket.

    Args:
        feed: what happens.
        control_plane: answers everything beneath this prefix.
    """

    def __init__(self, feed: Feed, control_plane: Application) -> None:
        self._feed = feed
        self._control_plane = control_plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != _PATH or scope["method"] != "GET":
            await self._control_plane(scope, receive, send)
            return
        ticket: dict[str, Any] = {}

        async def intercept(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = dict(message["headers"]).get(TICKET)
                if given is not None:
                    ticket.update(json.loads(given))
            if not ticket:
                await send(message)

        await self._control_plane(scope, receive, intercept)
        if not ticket:
            return
        gone = asyncio.Event()
        watching = asyncio.ensure_future(_watch(receive, gone))
        try:
            abort = transport_of(scope).abort
            await self._feed.follow(send, gone, abort, environment=ticket["environment"], after=ticket["after"])
        finally:
            watching.cancel()


async def _watch(receive: Receive, gone: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.set()
