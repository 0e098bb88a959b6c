"""All environments and all their streams: lets in, wakes, keeps alive and lets go."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from wavegate.evaluation import ruleset_from_json
from wavegate_controller.delivery.asgi import Headers, Receive, Scope, Send, header, problem, transport_of
from wavegate_controller.delivery.channel import Channel, Stream, chunk
from wavegate_controller.delivery.fleet import Fleet
from wavegate_controller.delivery.keys import Grant
from wavegate_controller.delivery.notices import Notices
from wavegate_controller.domain.delivery import ConnectedClient, DeliveredRevision, FleetNews
from wavegate_controller.domain.publication import PublishedRuleset

#: Slices of the streams that are shown a heartbeat one after the other, so that no beat takes long.
_SLICES: Final = 20
_BEAT: Final = chunk(b": still here\n\n")
_LONGEST_NUMBER: Final = 18
#: Who is told to come back comes within so many milliseconds.
_SOONEST, _LATEST = 200, 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much of this process streams may take."""

    streams: int = 15_000
    streams_of_a_key: int = 10_000


class Hub:
    """Fulfils `ports.RulesetSink`, for any number of environments.

    Args:
        heartbeat: seconds between two signs of life on each stream.
        limits: on the number of streams.
        rollback_allowed: tell clients that a lower revision than theirs is meant, after a backup was restored.
        delivered: told how many seconds a revision of an environment took to a client, for each of them.
    """

    def __init__(
        self,
        *,
        heartbeat: float = 5.0,
        limits: Limits | None = None,
        rollback_allowed: bool = False,
        delivered: Callable[[str, float], None] = lambda _environment, _seconds: None,
    ) -> None:
        self._delivered = delivered
        self._heartbeat = heartbeat
        self._limits = limits or Limits()
        self._rollback_allowed = rollback_allowed
        self._channels: dict[str, Channel] = {}
        self._notices: dict[str, Notices] = {}
        self._variants: dict[str, tuple[str, Mapping[str, frozenset[str]]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beating: asyncio.Task[None] | None = None
        self._open: Counter[str] = Counter()
        self._is_closing = False

    def publish(self, ruleset: PublishedRuleset, *, is_meant: bool = False) -> None:
        """Serve this revision from now on, and push it to all who follow its environment.

        A lower one than the one in force only if it `is_meant`.
        """
        channel = self._channels.get(ruleset.environment)
        if channel is None:
            made = Channel(
                ruleset.environment,
                fleet=Fleet(partial(self._delivered, ruleset.environment)),
                rollback_allowed=self._rollback_allowed,
            )
            channel = self._channels.setdefault(ruleset.environment, made)
        channel.publish(ruleset, lambda: self._in_loop(lambda: self._wake(channel)), is_meant=is_meant)

    def channel(self, environment: str) -> Channel | None:
        """The environment's, once something was published for it."""
        return self._channels.get(environment)

    def revisions(self, environment: str) -> Sequence[DeliveredRevision]:
        """How far each came, newest first."""
        channel = self._channels.get(environment)
        return () if channel is None or channel.fleet is None else channel.fleet.revisions()

    def clients(self, environment: str) -> Sequence[ConnectedClient]:
        """Who is connected, those furthest behind first."""
        channel = self._channels.get(environment)
        return () if channel is None or channel.fleet is None else channel.fleet.clients()

    def news(self, *, all_of_it: bool = False) -> Mapping[str, FleetNews]:
        """By environment, what other processes should know."""
        found = {name: fleet.news(all_of_it=all_of_it) for name, fleet in self._fleets()}
        return {name: news for name, news in found.items() if news.says_something}

    def told(self, process: str, environment: str, news: FleetNews, *, seconds_ago: float) -> None:
        """What another process said of an environment's clients, so long ago."""
        for name, fleet in self._fleets():
            # Of all others it says that nothing changed.
            fleet.told(process, news if name == environment else FleetNews(), seconds_ago=seconds_ago)

    def ended(self, process: str) -> None:
        """Another process stopped."""
        for _, fleet in self._fleets():
            fleet.ended(process)

    def _fleets(self) -> list[tuple[str, Fleet]]:
        return [(name, each.fleet) for name, each in list(self._channels.items()) if each.fleet is not None]

    def connected(self) -> Mapping[str, int]:
        """How many clients of each environment this process hears itself."""
        return {name: len(fleet) for name, fleet in self._fleets()}

    def variants(self, environment: str) -> Mapping[str, frozenset[str]]:
        """Flag key to the variants of the ruleset in force; read from it when it is first asked for."""
        channel = self._channels.get(environment)
        current = None if channel is None else channel.current
        if current is None:
            return {}
        known, variants = self._variants.get(environment, ("", {}))
        if known != current.id:
            flags = ruleset_from_json(current.body).flags.values()
            variants = {flag.key: frozenset(flag.variants) for flag in flags}
            self._variants[environment] = current.id, variants
        return variants

    async def stream(self, scope: Scope, receive: Receive, send: Send, grant: Grant) -> None:
        """Serve one stream of rulesets to its end."""
        await self._serve(scope, receive, send, grant, self._channels.get(grant.environment))

    async def notices(self, scope: Scope, receive: Receive, send: Send, grant: Grant, headers: Headers) -> None:
        """Serve one stream of notices to its end, with headers of its own."""
        channel, notices = self._channels.get(grant.environment), self._notices.get(grant.environment)
        if channel is not None and notices is None:
            notices = self._notices[grant.environment] = Notices(grant.environment)
            notices.show(channel.current)
        await self._serve(scope, receive, send, grant, notices, headers)

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        grant: Grant,
        channel: Channel | None,
        headers: Headers = (),
    ) -> None:
        if channel is None or channel.current is None or self._is_closing:
            await problem(send, 503, "Service Unavailable", "no ruleset yet", [(b"retry-after", b"1")])
            return
        if refusal := self._refusal(grant):
            await problem(send, 429, "Too Many Requests", refusal, [(b"retry-after", b"%d" % random.randint(5, 30))])  # noqa: S311 # spreads, protects nothing
            return
        stream = Stream(
            send,
            transport=transport_of(scope),
            grant=grant,
            held=header(scope, b"last-event-id").decode("latin-1"),
            instance=header(scope, b"wavegate-instance").decode("latin-1"),
        )
        # Before anything is awaited: a key that is revoked from now on finds the stream.
        self._begin(stream, channel)
        fleet = channel.fleet if stream.instance else None
        if fleet is not None:
            fleet.joined(stream.instance, **names(scope), revision=_revision(stream.held))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [*self._headers(channel), *headers]})
            await channel.catch_up(stream, b"retry: %d\n: welcome\n\n" % _LATEST)
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            channel.leave(stream)
            if fleet is not None:
                fleet.left(stream.instance)
            self._open[grant.key_id] -= 1

    def revoke(self, key_ids: frozenset[str]) -> None:
        """Cut the streams of these keys; from any thread."""
        self._in_loop(lambda: self._cut(lambda stream: stream.grant.key_id in key_ids, b": the key was revoked\n\n"))

    def close(self) -> None:
        """End all streams, and ask each to come back at a moment of its own. In the loop's thread."""
        self._is_closing = True
        if self._beating is not None:
            self._beating.cancel()
        for channel in self._all():
            for stream in list(channel.streams):
                self._end(channel, stream, b"retry: %d\n\n" % random.randint(_SOONEST, _LATEST))  # noqa: S311 # as above

    def _begin(self, stream: Stream, channel: Channel) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._beating = self._loop.create_task(self._beat())
            # What was published before there was a loop to push in.
            for one in self._channels.values():
                one.wake()
        self._open[stream.grant.key_id] += 1
        channel.enter(stream)

    def _refusal(self, grant: Grant) -> str | None:
        if self._open[grant.key_id] >= self._limits.streams_of_a_key:
            return f"this key has {self._limits.streams_of_a_key} streams open; fetch /sdk/v1/ruleset meanwhile"
        if self._open.total() >= self._limits.streams:
            return f"there are {self._limits.streams} streams open; fetch /sdk/v1/ruleset meanwhile"
        return None

    def _headers(self, channel: Channel) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-cache, no-transform"),
            # nginx would keep what is sent until it has a buffer full of it.
            (b"x-accel-buffering", b"no"),
            (b"wavegate-heartbeat", f"{self._heartbeat:g}".encode()),
        ]
        if channel.current is not None:
            headers += [pair for pair in channel.current.unchanged if pair[0] == b"wavegate-allow-revision-rollback"]
        return headers

    def _all(self) -> list[Channel]:
        return [*self._channels.values(), *self._notices.values()]

    def _wake(self, channel: Channel) -> None:
        channel.wake()
        if notices := self._notices.get(channel.environment):
            notices.show(channel.current)

    def _in_loop(self, call: Callable[[], None]) -> None:
        if self._loop is not None:
            # A loop that is closed has no streams left.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call)

    def _cut(self, is_meant: Callable[[Stream], bool], last: bytes) -> None:
        for channel in self._all():
            for stream in [stream for stream in channel.streams if is_meant(stream)]:
                self._end(channel, stream, last)

    def _end(self, channel: Channel, stream: Stream, last: bytes) -> None:
        channel.leave(stream)
        if not _finished(stream.send, last):
            stream.transport.abort()

    async def _beat(self) -> None:
        while True:
            streams = [(channel, stream) for channel in self._all() for stream in channel.streams]
            size = -(-len(streams) // _SLICES) or 1
            for number in range(_SLICES):
                for channel, stream in streams[number * size : (number + 1) * size]:
                    channel.beat(stream, _BEAT)
                await asyncio.sleep(self._heartbeat / _SLICES)


def _finished(send: Send, last: bytes) -> bool:
    """Whether a response could be ended without waiting.

    An ASGI server's `send` finishes without suspending while the connection's buffer is below its mark, which tests
    hold ours to. Where it does suspend, nothing is written yet, and the step is taken back.
    """
    sending = send({"type": "http.response.body", "body": last, "more_body": False})
    step = sending.__await__()
    try:
        next(step)
    except StopIteration:
        return True
    except Exception:  # noqa: BLE001 # whatever a broken connection raises
        return False
    sending.close()  # type: ignore[attr-defined] # a coroutine, as ASGI has it
    return False


def names(scope: Scope) -> dict[str, str]:
    """What a client says of itself beside its instance."""
    return {
        "sdk": header(scope, b"user-agent").decode("latin-1"),
        "app": header(scope, b"wavegate-app").decode("latin-1"),
    }


def _revision(held: str) -> int | None:
    """That of an event's id."""
    number = held.partition("-")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) <= _LONGEST_NUMBER else None
