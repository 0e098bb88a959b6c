"""Which web pages of other origins may ask, and read the answer."""

from collections.abc import Collection
from typing import Final

from wavegate_controller.delivery.asgi import Header, Scope, header

_METHODS: Final = (b"access-control-allow-methods", b"GET, POST")
_REQUEST_HEADERS: Final = (
    b"access-control-allow-headers",
    b"authorization, x-api-key, content-type, if-none-match, cache-control, last-event-id, traceparent, tracestate",
)
_RESPONSE_HEADERS: Final = (b"access-control-expose-headers", b"etag, retry-after, wavegate-revision")
#: Two hours, the longest that browsers keep it.
_MAX_AGE: Final = (b"access-control-max-age", b"7200")
_VARY: Final = (b"vary", b"origin")


class Cors:
    """Origins that may ask; `*` is all. Keys travel in a header, never as a cookie, so no credentials are allowed."""

    def __init__(self, origins: Collection[str]) -> None:
        self._all = "*" in origins
        self._origins = frozenset(origin.rstrip("/").encode() for origin in origins)

    def headers(self, scope: Scope) -> list[Header]:
        """What any answer to this request must say, refusals too: a page cannot read them otherwise."""
        if not self._origins:
            return []
        origin = header(scope, b"origin")
        if not origin or not (self._all or origin in self._origins):
            return [_VARY]
        allowed = b"*" if self._all else origin
        return [(b"access-control-allow-origin", allowed), _RESPONSE_HEADERS, _VARY]

    def preflight(self, scope: Scope) -> list[Header]:
        """What the answer to `OPTIONS` says; nothing that allows anything to who may not ask."""
        allowed = self.headers(scope)
        return [*allowed, _METHODS, _REQUEST_HEADERS, _MAX_AGE] if _RESPONSE_HEADERS in allowed else allowed
