"""The newest revision of one environment, the steps that led to it, and everybody who follows.

A stream holds a place in the history, never a queue: what it has not got yet is made from the place when it can take
it. All that touches streams runs in the event loop, most of it in one loop over all of them, because a task for each
would cost more than what it sends.
"""

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

from wavegate.evaluation.deltas import delta_between
from wavegate_controller.delivery.asgi import Message, Send, Transport
from wavegate_controller.delivery.fleet import Fleet
from wavegate_controller.delivery.keys import Grant
from wavegate_controller.delivery.rendered import Rendered, event
from wavegate_controller.domain.publication import PublishedRuleset

_log: Final = logging.getLogger("wavegate")
#: Steps that a stream which was away for a while can still take one by one.
_LONGEST_HISTORY: Final = 128
#: Deltas of no more bytes are sent even where the whole ruleset has less.
_SMALL: Final = 4096
#: Streams served before other requests get their turn.
_AT_ONCE: Final = 250
#: What is written to one stream without asking whether it takes it.
_PART: Final = 48 * 1024
#: What a transport may hold for the next part to be written behind it.
_FULL: Final = 64 * 1024
#: For a stream to take what it is behind by. Longer, and its connection goes: it may come back.
_PATIENCE: Final = 30.0
#: Answers that a controller with much else to do can take.
_ASKED_PER_SECOND: Final = 2000
_ASKED_AT_ONCE: Final = 100


class Stream:
    """One connection that follows an environment.

    Attributes:
        send: ASGI's, for as fast as the client reads.
        transport: takes chunks as they go over the wire, without waiting. A coroutine for each of ten thousand streams
            would take as long as all else that is done for them.
        held: the id of the revision that it has; empty for none.
        follows: whether it has the newest revision, and can be pushed the next.
        instance: who it is, if it said so.
    """

    __slots__ = ("follows", "grant", "held", "instance", "send", "transport")

    def __init__(
        self,
        send: Send,
        *,
        transport: Transport,
        grant: Grant,
        held: str,
        instance: str,
    ) -> None:
        self.send = send
        self.transport = transport
        self.grant = grant
        self.held = held
        self.follows = False
        self.instance = instance

    def write(self, chunk: bytes) -> bool:
        """Put a chunk into the buffer if it takes it; False if it is full, or the connection gone."""
        if self.transport.get_write_buffer_size() > _FULL:
            return False
        try:
            self.transport.write(chunk)
        except RuntimeError:
            return False
        return True


class Channel:
    """One environment. `publish` may be called from any thread, all else from the loop's.

    Args:
        environment: whose rulesets.
        fleet: who is connected, where that is kept.
        rollback_allowed: tell clients that a lower revision than theirs is meant.
    """

    def __init__(self, environment: str, *, fleet: Fleet | None = None, rollback_allowed: bool = False) -> None:
        self.environment = environment
        self.fleet = fleet
        self.current: Rendered | None = None
        self.streams: set[Stream] = set()
        self._rollback_allowed = rollback_allowed
        #: The first is held while a revision is rendered, the second only while one takes the other's place.
        self._publishing = threading.Lock()
        self._lock = threading.Lock()
        self._steps: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._catching_up: set[asyncio.Task[None]] = set()
        self._pushed = ""
        self._asked = ""

    def publish(self, ruleset: PublishedRuleset, then: Callable[[], None], *, is_meant: bool = False) -> bool:
        """Serve this revision from now on and call `then` at once; False when it is not newer.

        Transactions commit in the order of their revisions, but their threads may arrive here in another. `is_meant`
        says that a lower revision is no such thing, but what clients are to go back to.
        """
        with self._publishing:
            before = self.current
            if before is not None and ruleset.revision <= before.revision and not is_meant:
                return False
            rendered = Rendered.of(ruleset, rollback_allowed=self._rollback_allowed or is_meant)
            step = None if before is None else event("delta", delta_between(before.body, rendered.body), rendered.id)
            with self._lock:
                if before is not None and step is not None:
                    self._keep_step(before.id, rendered.id, step)
                self.current = rendered
            if self.fleet is not None:
                self.fleet.published(ruleset.revision, at=ruleset.published_at)
            then()
            self.current = rendered.compress()
        return True

    def _keep_step(self, before: str, after: str, delta: bytes) -> None:
        self._steps[before] = after, delta
        while len(self._steps) > _LONGEST_HISTORY:
            self._steps.popitem(last=False)

    def since(self, held: str) -> tuple[bytes, str]:
        """The events that lead from what is held to the newest revision, whose id is the second."""
        with self._lock:
            current = self.current
            assert current is not None, "streams are let in when there is a revision"  # noqa: S101 # for mypy, and true
            at, deltas, size = held, [], 0
            while at != current.id:
                step = self._steps.get(at)
                if step is None or size + len(step[1]) > max(len(current.event), _SMALL):
                    return current.event, current.id
                at = step[0]
                deltas.append(step[1])
                size += len(step[1])
            return b"".join(deltas), at

    def enter(self, stream: Stream) -> None:
        """It is one of ours from now on; `catch_up` begins to serve it."""
        self.streams.add(stream)

    def leave(self, stream: Stream) -> None:
        """It is gone."""
        self.streams.discard(stream)
        stream.follows = False

    def wake(self) -> None:
        """There may be something to push."""
        self._news.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def catch_up(self, stream: Stream, opening: bytes = b"") -> None:
        """Send what leads to the newest revision, as fast as the stream takes it; then it follows.

        A stream that does not take it in time is cut off.
        """
        was_behind = False
        try:
            async with asyncio.timeout(_PATIENCE):
                if opening:
                    await stream.send(_message(opening))
                while stream in self.streams:
                    events, target = self.since(stream.held)
                    if not events:
                        # Nothing was awaited since: who follows has the newest.
                        stream.follows = True
                        self._pushed = self._pushed or target
                        if was_behind and stream.instance:
                            stream.write(_asking(target))
                        return
                    was_behind = True
                    for start in range(0, len(events), _PART):
                        await stream.send(_message(events[start : start + _PART]))
                    stream.held = target
        except TimeoutError:
            _log.info("action=stream_dropped environment=%s key=%s", self.environment, stream.grant.key_id)
            stream.transport.abort()

    def beat(self, stream: Stream, sign: bytes) -> None:
        """Show a stream that it is up to date, or find that it does not read; the sign is a chunk.

        What is being pushed is sign enough, and another would hold it up.
        """
        is_pushing = self.current is not None and self._pushed != self.current.id
        if stream.follows and not is_pushing and not stream.write(sign):
            self._fall_behind(stream)

    def _fall_behind(self, stream: Stream) -> None:
        """From now on it is served in a task of its own, at its own pace."""
        if stream.follows:
            stream.follows = False
            task = asyncio.get_running_loop().create_task(self.catch_up(stream, b": behind\n\n"))
            self._catching_up.add(task)
            task.add_done_callback(self._catching_up.discard)

    async def _work(self) -> None:
        try:
            while self.current is not None:
                self._news.clear()
                if self._pushed != self.current.id:
                    await self._push_newest()
                elif self._asked != self._pushed:
                    await self._ask()
                else:
                    return
        finally:
            self._task = None

    async def _push_newest(self) -> None:
        """To all who follow, in one go; who holds something else than most is given what leads from there."""
        base = self._pushed
        events, target = self.since(base)
        piece = chunk(events)
        is_large = len(events) > _PART
        for batch in _batches(self.streams, _AT_ONCE):
            for stream in batch:
                if not stream.follows or stream.held == target:
                    continue
                if stream.held == base and not is_large and stream.write(piece):
                    stream.held = target
                else:
                    self._fall_behind(stream)
            await asyncio.sleep(0)
        self._pushed = target

    async def _ask(self) -> None:
        """Ask who said who they are to acknowledge the revision: not all at once, and after all have it."""
        pushed = self._pushed
        question = _asking(pushed)
        for batch in _batches([stream for stream in self.streams if stream.instance], _ASKED_AT_ONCE):
            for stream in batch:
                if stream.follows and not stream.write(question):
                    self._fall_behind(stream)
            with suppress(TimeoutError):
                # A revision that comes meanwhile does not wait for the rest to be asked.
                await asyncio.wait_for(self._news.wait(), len(batch) / _ASKED_PER_SECOND)
                return
        self._asked = pushed


def _message(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


def chunk(body: bytes) -> bytes:
    """As HTTP/1.1 frames a part of a body whose length nobody knows beforehand."""
    return b"%x\r\n%b\r\n" % (len(body), body)


def _asking(held: str) -> bytes:
    return chunk(b"event: acknowledge\ndata: %b\n\n" % held.partition("-")[0].encode())


def _batches(streams: Iterable[Stream], size: int) -> Iterator[list[Stream]]:
    everybody = list(streams)
    for start in range(0, len(everybody), size):
        yield everybody[start : start + size]
