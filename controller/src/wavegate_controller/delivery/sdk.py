"""`/sdk/v1`: the ruleset, the stream of its changes, and what clients post: counts, and what they use."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from wavegate_controller.delivery.asgi import (
    LARGEST_BODY,
    Receive,
    Scope,
    Send,
    TooSlow,
    answer,
    header,
    problem,
    read_body,
    unauthorised,
)
from wavegate_controller.delivery.counts import TakesCounts
from wavegate_controller.delivery.feedback import FeedbackRoute
from wavegate_controller.delivery.hub import Hub, names
from wavegate_controller.delivery.keys import Grant, Keys
from wavegate_controller.documents.acks import read_acks
from wavegate_controller.documents.counts import read_counts
from wavegate_controller.domain.errors import Invalid

T = TypeVar("T")

_FEEDBACK: Final = "/sdk/v1/feedback"
#: Documents of so few bytes are read at once.
_SMALL: Final = 4096
_METHODS: Final = {
    "/sdk/v1/ruleset": ("GET", "HEAD"),
    "/sdk/v1/stream": ("GET",),
    "/sdk/v1/counts": ("POST",),
    "/sdk/v1/acks": ("POST",),
}


class SdkRoutes:
    """What Wavegate's SDKs ask.

    Args:
        hub: what is served.
        counts: where posted counts are added up.
        keys: who may ask.
        feedback: takes what people said; None where comments are handed on with the counts, and nothing else is taken.
    """

    def __init__(self, hub: Hub, counts: TakesCounts, keys: Keys, feedback: FeedbackRoute | None = None) -> None:
        self._hub = hub
        self._counts = counts
        self._keys = keys
        self._feedback = feedback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        if path == _FEEDBACK and self._feedback is not None:
            await self._feedback(scope, receive, send)
        elif (methods := _METHODS.get(path)) is None:
            await problem(send, 404, "Not Found", f"there is no {path}; there are {', '.join(_METHODS)}")
        elif scope["method"] not in methods:
            allow = ", ".join(methods)
            await problem(send, 405, "Method Not Allowed", f"use {allow}", [(b"allow", allow.encode())])
        elif (grant := self._keys.grant(header(scope, b"authorization"))) is None:
            await unauthorised(send)
        elif path == "/sdk/v1/ruleset":
            await self._ruleset(scope, send, grant)
        elif path == "/sdk/v1/stream":
            await self._hub.stream(scope, receive, send, grant)
        elif path == "/sdk/v1/acks":
            await self._acknowledge(scope, receive, send, grant)
        else:
            await self._count(receive, send, grant)

    async def _ruleset(self, scope: Scope, send: Send, grant: Grant) -> None:
        channel = self._hub.channel(grant.environment)
        current = None if channel is None else channel.current
        if channel is None or current is None:
            await problem(send, 503, "Service Unavailable", "no ruleset yet", [(b"retry-after", b"1")])
            return
        held = header(scope, b"if-none-match")
        is_held = held and (held in current.etags or any(tag.strip() in current.etags for tag in held.split(b",")))
        if channel.fleet is not None and (instance := header(scope, b"wavegate-instance")):
            channel.fleet.polled(
                instance.decode("latin-1"), **names(scope), revision=current.revision if is_held else None
            )
        if is_held:
            await answer(send, 304, current.unchanged)
        else:
            variant = current.variant(header(scope, b"accept-encoding"))
            await answer(send, 200, variant.headers, b"" if scope["method"] == "HEAD" else variant.body)

    async def _count(self, receive: Receive, send: Send, grant: Grant) -> None:
        if self._hub.channel(grant.environment) is None:
            # Nobody can tell yet what there is to be counted; clients keep it and come again.
            await problem(send, 503, "Service Unavailable", "no ruleset yet", [(b"retry-after", b"1")])
            return
        document = await _read(receive, send, read_counts)
        if document is not None:
            if self._feedback is not None and document.comments:
                try:
                    await self._feedback.comments(document, grant)
                except OSError as error:
                    await problem(send, 503, "Service Unavailable", str(error), [(b"retry-after", b"1")])
                    return
            variants = self._hub.variants(grant.environment)
            self._counts.take(document, environment=grant.environment, variants=variants)
            await answer(send, 204, ())

    async def _acknowledge(self, scope: Scope, receive: Receive, send: Send, grant: Grant) -> None:
        document = await _read(receive, send, read_acks)
        if document is None:
            return
        channel = self._hub.channel(grant.environment)
        if channel is not None and channel.fleet is not None:
            channel.fleet.acknowledged(
                ((each.instance, each.revision, each.held_seconds, each.sdk, each.app) for each in document.clients),
                document.gone,
                by=header(scope, b"wavegate-instance").decode("latin-1"),
            )
        await answer(send, 204, ())


async def _read(receive: Receive, send: Send, read: Callable[[bytes], T]) -> T | None:
    """The posted document; None when it was refused, which has been answered then."""
    try:
        body = await read_body(receive)
        if body is None:
            await problem(send, 413, "Content Too Large", f"post at most {LARGEST_BODY} bytes at once")
            return None
        # Reading a large one takes milliseconds, in which other requests should go on.
        return read(body) if len(body) < _SMALL else await asyncio.to_thread(read, body)
    except TooSlow as slow:
        await problem(send, 408, "Request Timeout", str(slow), [(b"connection", b"close")])
    except Invalid as refused:
        await problem(send, 422, "Unprocessable Content", str(refused))
    return None
