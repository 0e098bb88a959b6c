"""HTTP as uvicorn reads it, with limits on what a client may hold without having asked anything.

The only module that knows uvicorn's insides: it is locked to a version, and tests hold it to what is used here.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wavegate_controller.delivery.asgi import TRANSPORT

#: For all headers of a request to come. Slower is nobody who wants an answer.
HEADER_SECONDS: Final = 10.0
#: Of a request's first line and headers together.
LARGEST_HEADERS: Final = 64 * 1024
#: How often a connection that has an answer to take is spared when its time to ask again is over.
LOOKS: Final = 6
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """One connection: headers must come soon and be small, answers must be taken.

    The application may drop it, and write framed parts to a response that it has begun without a length.
    """

    _deadline: asyncio.TimerHandle | None = None
    _is_reading_headers = True
    _header_bytes = 0
    _looks = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request must follow."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEADER_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hold headers that came in part to their limits."""
        super().data_received(data)
        if not self._is_reading_headers:
            self._wait_no_longer()
            return
        self._header_bytes += len(data)
        if self._header_bytes > LARGEST_HEADERS:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def on_message_begin(self) -> None:
        """A request begins; the application gets the transport along."""
        super().on_message_begin()
        self._is_reading_headers = True
        self._header_bytes = 0
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {TRANSPORT: self.transport}

    def on_headers_complete(self) -> None:
        """They came."""
        self._is_reading_headers = False
        super().on_headers_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing was asked since the last answer: close, unless that is still being taken, and then not for ever."""
        if self.transport.get_write_buffer_size() == 0:
            super().timeout_keep_alive_handler()
        elif self._looks < LOOKS:
            self._looks += 1
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        else:
            self.transport.abort()

    def _wait_no_longer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
