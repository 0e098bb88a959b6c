"""`/sdk/v1`: the ruleset, and counts by post, over plain ASGI. All other paths go on to the control plane."""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from wavegate_controller.delivery.counts import PostedCounts
from wavegate_controller.delivery.snapshot import Snapshot
from wavegate_controller.documents.counts import read_counts
from wavegate_controller.domain.errors import Invalid

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

_PREFIX: Final = "/sdk/"
_METHODS: Final = {"/sdk/v1/ruleset": ("GET", "HEAD"), "/sdk/v1/counts": ("POST",)}
#: SDKs keep their documents below some 256 KiB.
_LARGEST_BODY: Final = 1024 * 1024
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", b"application/problem+json")


class Delivery:
    """The ASGI application.

    Args:
        snapshot: what is served.
        counts: where posted counts are added up.
        keys: SDK keys; with none, no key is asked for.
        otherwise: the application for all other paths.
    """

    def __init__(
        self, snapshot: Snapshot, counts: PostedCounts, *, keys: Sequence[str], otherwise: Application
    ) -> None:
        self._snapshot = snapshot
        self._counts = counts
        self._keys = [b"Bearer " + key.encode() for key in keys]
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            await self._otherwise(scope, receive, send)
        elif (methods := _METHODS.get(scope["path"])) is None:
            await _problem(send, 404, "Not Found", f"there is no {scope['path']}; there are {', '.join(_METHODS)}")
        elif scope["method"] not in methods:
            allow = ", ".join(methods)
            await _problem(send, 405, "Method Not Allowed", f"use {allow}", [(b"allow", allow.encode())])
        elif not self._is_authorised(scope):
            detail = "send an SDK key of this environment as `Authorization: Bearer <key>`"
            await _problem(send, 401, "Unauthorized", detail, [(b"www-authenticate", b"Bearer")])
        elif scope["method"] == "POST":
            await self._take(receive, send)
        else:
            await self._ruleset(scope, send)

    def _is_authorised(self, scope: Scope) -> bool:
        given = _header(scope, b"authorization")
        # All keys are compared, so that the time tells nothing about any.
        return not self._keys or sum(hmac.compare_digest(key, given) for key in self._keys) > 0

    async def _ruleset(self, scope: Scope, send: Send) -> None:
        current = self._snapshot.current
        if current is None:
            await _problem(send, 503, "Service Unavailable", "no ruleset yet", [(b"retry-after", b"1")])
        elif current.etag in (tag.strip() for tag in _header(scope, b"if-none-match").split(b",")):
            await _answer(send, 304, current.headers)
        else:
            length = (b"content-length", str(len(current.body)).encode())
            body = b"" if scope["method"] == "HEAD" else current.body
            await _answer(send, 200, [*current.headers, _JSON, length], body)

    async def _take(self, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            await _problem(send, 413, "Content Too Large", f"post at most {_LARGEST_BODY} bytes at once")
            return
        try:
            # Reading takes milliseconds, in which other requests should go on.
            document = await asyncio.to_thread(read_counts, body)
        except Invalid as refused:
            await _problem(send, 422, "Unprocessable Content", str(refused))
            return
        self._counts.take(document, variants=self._snapshot.variants())
        await _answer(send, 204, ())


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when it is too large to be read."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _LARGEST_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")


async def _problem(send: Send, status: int, title: str, detail: str, headers: Headers = ()) -> None:
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail}).encode()
    await _answer(send, status, [_PROBLEM, (b"content-length", str(len(body)).encode()), *headers], body)


async def _answer(send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})
