"""Plain ASGI: the words of its types, and the few answers that all of the data plane gives."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, Protocol, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]
Headers: TypeAlias = Iterable[Header]

#: Under this name, among a scope's extensions, our HTTP protocol gives the connection's transport.
TRANSPORT: Final = "wavegate.transport"

JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", b"application/problem+json")
#: SDKs keep their documents below some 256 KiB.
LARGEST_BODY: Final = 1024 * 1024
#: A body that takes longer holds a connection and a buffer for nothing.
_SLOWEST_BODY: Final = 10.0


class Transport(Protocol):
    """A connection below ASGI; a part of `asyncio.Transport`."""

    def write(self, data: bytes, /) -> None:
        """Put into the buffer what goes over the wire as it is."""
        ...

    def get_write_buffer_size(self) -> int:
        """Bytes that the client did not take yet."""
        ...

    def abort(self) -> None:
        """Drop the connection."""
        ...


class _Beyond:
    """The transport of servers other than ours, which show none: nothing can be written past ASGI, nothing dropped."""

    def write(self, data: bytes, /) -> None:
        """Nobody does, as the buffer is full."""

    def get_write_buffer_size(self) -> int:
        """More than anybody would wait for."""
        return sys.maxsize

    def abort(self) -> None:
        """It may end by itself."""


_BEYOND: Final = _Beyond()


def transport_of(scope: Scope) -> Transport:
    """The connection that a request came by."""
    transport: Transport = scope.get("extensions", {}).get(TRANSPORT, _BEYOND)
    return transport


class TooSlow(Exception):
    """A request's body did not come in time."""


def header(scope: Scope, name: bytes) -> bytes:
    """The header of this name, in lower case; empty if there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""


def authorization(scope: Scope) -> bytes:
    """The `Authorization` header, also where the key came as `X-API-Key`; empty if there is neither."""
    key = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return bytes(value)
        if name == b"x-api-key":
            key = b"Bearer " + value
    return key


def holds(scope: Scope, etag: bytes) -> bool:
    """Whether the client has it already; a proxy that compressed the answer has made it a weak validator."""
    held = header(scope, b"if-none-match")
    if not held or held == etag:
        return bool(held)
    return any(tag.strip().removeprefix(b"W/") in (etag, b"*") for tag in held.split(b","))


async def read_body(receive: Receive, *, largest: int = LARGEST_BODY) -> bytes | None:
    """The whole body; None when it is too large to be read.

    Raises:
        TooSlow: it did not come in time.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(_SLOWEST_BODY):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > largest:
                    return None
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise TooSlow(f"the body did not come within {_SLOWEST_BODY:g} s") from None


async def answer(send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    """One response."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def problem(send: Send, status: int, title: str, detail: str, headers: Headers = ()) -> None:
    """A refusal, as problem+json."""
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail}).encode()
    await answer(send, status, [_PROBLEM, (b"content-length", str(len(body)).encode()), *headers], body)


async def unauthorised(send: Send) -> None:
    """The answer to who shows no key, or not one of ours."""
    detail = "send an SDK key of this environment as `Authorization: Bearer <key>`"
    await problem(send, 401, "Unauthorized", detail, [(b"www-authenticate", b"Bearer")])
