"""`/sdk/v1`: the ruleset, the stream of its changes, and counts by post."""

import asyncio
from typing import Final

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
from wavegate_controller.delivery.hub import Hub
from wavegate_controller.delivery.keys import Grant, Keys
from wavegate_controller.documents.counts import read_counts
from wavegate_controller.domain.errors import Invalid

_METHODS: Final = {
    "/sdk/v1/ruleset": ("GET", "HEAD"),
    "/sdk/v1/stream": ("GET",),
    "/sdk/v1/counts": ("POST",),
}


class SdkRoutes:
    """What Wavegate's SDKs ask.

    Args:
        hub: what is served.
        counts: where posted counts are added up.
        keys: who may ask.
    """

    def __init__(self, hub: Hub, counts: TakesCounts, keys: Keys) -> None:
        self._hub = hub
        self._counts = counts
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        if (methods := _METHODS.get(path)) is None:
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
        else:
            await self._take(receive, send, grant)

    async def _ruleset(self, scope: Scope, send: Send, grant: Grant) -> None:
        channel = self._hub.channel(grant.environment)
        current = None if channel is None else channel.current
        if current is None:
            await problem(send, 503, "Service Unavailable", "no ruleset yet", [(b"retry-after", b"1")])
            return
        held = header(scope, b"if-none-match")
        if held and (held in current.etags or any(tag.strip() in current.etags for tag in held.split(b","))):
            await answer(send, 304, current.unchanged)
        else:
            variant = current.variant(header(scope, b"accept-encoding"))
            await answer(send, 200, variant.headers, b"" if scope["method"] == "HEAD" else variant.body)

    async def _take(self, receive: Receive, send: Send, grant: Grant) -> None:
        if self._hub.channel(grant.environment) is None:
            # Nobody can tell yet what there is to be counted; clients keep it and come again.
            await problem(send, 503, "Service Unavailable", "no ruleset yet", [(b"retry-after", b"1")])
            return
        try:
            body = await read_body(receive)
        except TooSlow as slow:
            await problem(send, 408, "Request Timeout", str(slow), [(b"connection", b"close")])
            return
        if body is None:
            await problem(send, 413, "Content Too Large", f"post at most {LARGEST_BODY} bytes at once")
            return
        try:
            # Reading takes milliseconds, in which other requests should go on.
            document = await asyncio.to_thread(read_counts, body)
        except Invalid as refused:
            await problem(send, 422, "Unprocessable Content", str(refused))
            return
        self._counts.take(document, variants=self._hub.variants(grant.environment))
        await answer(send, 204, ())
