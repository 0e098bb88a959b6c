"""`/sdk/v1`: the ruleset over plain ASGI. Everything that is not for apps goes on to the control plane."""

import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from wavegate_controller.delivery.snapshot import Snapshot

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

_PREFIX: Final = "/sdk/"
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", b"application/problem+json")


class Delivery:
    """The ASGI application.

    Args:
        snapshot: what is served.
        keys: SDK keys; with none, no key is asked for.
        otherwise: the application for all other paths.
    """

    def __init__(self, snapshot: Snapshot, *, keys: Sequence[str], otherwise: Application) -> None:
        self._snapshot = snapshot
        self._keys = [b"Bearer " + key.encode() for key in keys]
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            await self._otherwise(scope, receive, send)
        elif scope["path"] != "/sdk/v1/ruleset":
            await _problem(send, 404, "Not Found", f"there is no {scope['path']}; apps fetch /sdk/v1/ruleset")
        elif scope["method"] not in ("GET", "HEAD"):
            await _problem(send, 405, "Method Not Allowed", "use GET", [(b"allow", b"GET, HEAD")])
        elif not self._is_authorised(scope):
            detail = "send an SDK key of this environment as `Authorization: Bearer <key>`"
            await _problem(send, 401, "Unauthorized", detail, [(b"www-authenticate", b"Bearer")])
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


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")


async def _problem(send: Send, status: int, title: str, detail: str, headers: Headers = ()) -> None:
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail}).encode()
    await _answer(send, status, [_PROBLEM, (b"content-length", str(len(body)).encode()), *headers], body)


async def _answer(send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})
