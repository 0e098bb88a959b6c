"""Requests to the controller and their few possible outcomes; nothing here raises for what a server does.

The only module that imports requests.
"""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from wavegate.client.clock import monotonic, now
from wavegate.client.config import VERSION, Config

ALLOW_ROLLBACK: Final = "Wavegate-Allow-Revision-Rollback"
#: More is no ruleset. 5,000 flags are about one megabyte.
LARGEST_BODY: Final = 16 << 20
_CHUNK: Final = 1 << 16
_MOST_REDIRECTS: Final = 3
HEARTBEAT: Final = "Wavegate-Heartbeat"
_USUAL_HEARTBEAT: Final = 15.0
_LONGEST_HEARTBEAT: Final = 300.0
# The thread that acknowledges hears nothing meanwhile.
_LONGEST_ACKNOWLEDGEMENT: Final = 1.0

# Host names are encoded by a codec that is imported when first used. Were that in a thread while another forks, the
# child could never import it, for its lock would be held for good.
"".encode("idna")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """A body, not yet looked into."""

    body: bytes
    etag: str | None
    #: The controller says that a lower revision is meant, for instance after a restored backup.
    rollback_allowed: bool


@dataclass(frozen=True, slots=True)
class NotModified:
    """What we have is what there is."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was sent has arrived."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """The SDK key is not accepted; asking more often would not help."""

    status: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """What was sent is not wanted, and sending it again would not help."""

    status: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Unavailable:
    """No usable answer: no connection, a timeout, an error status."""

    problem: str
    #: How many seconds the controller asks to be left alone.
    retry_after: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NoStream:
    """The controller, or something on the way to it, has no streams for us: poll."""

    problem: str
    retry_after: float | None = None


Outcome: TypeAlias = Fetched | NotModified | Refused | Unavailable
Delivery: TypeAlias = Accepted | Rejected | Refused | Unavailable


class _TooLarge(Exception):
    """More than anybody would send on purpose."""


class _TooSlow(Exception):
    """Bytes come, but never the last one."""


#: What a connection can raise; the body is read below requests, where the errors are urllib3's own.
_PROBLEMS: Final = (requests.RequestException, HTTPError, OSError, ValueError, _TooLarge, _TooSlow)


class Listening:
    """An open stream, read by the thread that opened it.

    Attributes:
        heartbeat: seconds within which the controller shows a sign of life.
        rollback_allowed: as of a ruleset that was fetched.
    """

    def __init__(self, response: requests.Response, sock: socket.socket) -> None:
        self._response = response
        self._sock = sock
        raw: Any = response.raw
        # Gives what has arrived; urllib3 has it since 2.2, and what it stands on has it always.
        self._read = raw.read1 if hasattr(raw, "read1") else raw._fp.read1  # noqa: SLF001 # see above
        self.heartbeat = _heartbeat(response)
        self.rollback_allowed = response.headers.get(ALLOW_ROLLBACK) == "1"

    def read(self, timeout: float) -> bytes:
        """What has arrived; nothing at the end, however it came.

        Raises:
            TimeoutError: nothing arrived in that time.
        """
        try:
            self._sock.settimeout(timeout)
            return bytes(self._read(_CHUNK))
        except _PROBLEMS as problem:
            if isinstance(problem, TimeoutError | requests.Timeout | ReadTimeoutError):
                raise TimeoutError from None
            return b""

    def close(self) -> None:
        """Lets go of the connection, which cannot be used again."""
        with suppress(*_PROBLEMS):
            self._response.raw.close()
        self._response.close()

    def interrupt(self) -> None:
        """From another thread: ends the stream for the one that reads it."""
        with suppress(OSError):
            # Past what TLS would do first, which is the reading thread's to touch.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def abandon(self) -> None:
        """In a forked child: closes its copy of the socket and nothing else."""
        with suppress(OSError):
            os.close(self._sock.detach())


class Transport:
    """A kept-alive connection to one controller. Use it from one thread."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._listening: Listening | None = None
        self._is_interrupted = False
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"wavegate-python/{VERSION}"
        if config.app_name is not None:
            self._session.headers["Wavegate-App"] = config.app_name
        # A callable, because requests lets a .netrc entry override a header but not this.
        self._session.auth = self._authorize

    def fetch(self, etag: str | None) -> Outcome:
        """Asks for the ruleset, or for nothing if it still has this ETag."""
        headers = {"Accept": "application/json"}
        if etag is not None:
            headers["If-None-Match"] = etag
        try:
            response, body = self._ask("GET", self._config.ruleset_url, headers=headers)
        except _PROBLEMS as problem:
            return Unavailable(problem=_reason(problem))
        match response.status_code:
            case HTTPStatus.OK:
                return Fetched(
                    body=body,
                    etag=response.headers.get("ETag"),
                    rollback_allowed=response.headers.get(ALLOW_ROLLBACK) == "1",
                )
            case HTTPStatus.NOT_MODIFIED if etag is not None:
                return NotModified()
            case _:
                return _failure(response)

    def send(self, document: bytes, *, timeout: float | None = None, url: str | None = None) -> Delivery:
        """Hands over counts, or what else is to be told to another address."""
        headers = {"Content-Type": "application/json"}
        try:
            response, _ = self._ask(
                "POST", url or self._config.counts_url, headers=headers, data=document, timeout=timeout
            )
        except _PROBLEMS as problem:
            return Unavailable(problem=_reason(problem))
        match response.status_code:
            case HTTPStatus.OK | HTTPStatus.ACCEPTED | HTTPStatus.NO_CONTENT:
                return Accepted()
            case (
                HTTPStatus.BAD_REQUEST | HTTPStatus.REQUEST_ENTITY_TOO_LARGE | HTTPStatus.UNPROCESSABLE_ENTITY
            ) as status:
                return Rejected(status=status)
            case _:
                return _failure(response)

    def listen(self, event_id: str) -> Listening | NoStream | Refused | Unavailable:
        """Opens a stream of what comes after the ruleset of this id."""
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Last-Event-ID": event_id}
        try:
            response = self._session.request(
                "GET",
                self._config.stream_url,
                headers=headers,
                timeout=self._config.timeout,
                stream=True,
                allow_redirects=False,
            )
        except _PROBLEMS as problem:
            reason = _reason(problem)
            return NoStream(problem=reason) if isinstance(problem, requests.Timeout) else Unavailable(problem=reason)
        sock = _socket_of(response)
        if response.status_code == HTTPStatus.OK and _is_stream(response) and sock is not None:
            self._listening = Listening(response, sock)
            if self._is_interrupted:
                self._listening.interrupt()
            return self._listening
        with response:
            if response.status_code != HTTPStatus.OK:
                # To its end, so that the connection may be used again.
                with suppress(*_PROBLEMS):
                    _read(response, monotonic() + self._config.timeout)
            if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                return Refused(status=response.status_code)
            said = "with no stream" if response.status_code == HTTPStatus.OK else str(response.status_code)
            return NoStream(problem=f"it answered {said}", retry_after=_retry_after(response))

    def stop_listening(self) -> None:
        """Closes the stream, if one is open."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def acknowledge(self, document: bytes) -> None:
        """Says which ruleset is in use, if that can be said at once; the next time is soon enough."""
        # Another connection than the stream's, and not kept: of each there are as many as there are apps.
        headers = {"Content-Type": "application/json", "Connection": "close"}
        timeout = min(self._config.timeout, _LONGEST_ACKNOWLEDGEMENT)
        with suppress(*_PROBLEMS):
            self._ask("POST", self._config.acks_url, headers=headers, data=document, timeout=timeout)

    def identify(self, instance: str) -> None:
        """From now on every request says whose it is."""
        self._session.headers["Wavegate-Instance"] = instance

    def interrupt(self) -> None:
        """From another thread: no more listening; what the thread reads ends."""
        self._is_interrupted = True
        if (listening := self._listening) is not None:
            listening.interrupt()

    def close(self) -> None:
        """Lets go of the connection."""
        self._session.close()

    def abandon(self) -> None:
        """In a forked child: closes its copies of the connections, past locks that the parent's thread may hold."""
        if self._listening is not None:
            self._listening.abandon()
        for adapter in self._session.adapters.values():
            pools: Any = getattr(getattr(adapter, "poolmanager", None), "pools", None)
            for pool in list(getattr(pools, "_container", {}).values()):
                for connection in list(getattr(getattr(pool, "pool", None), "queue", ())):
                    sock = getattr(connection, "sock", None)
                    if sock is not None:
                        sock.close()

    def _ask(
        self, method: str, url: str, *, timeout: float | None = None, **options: Any
    ) -> tuple[requests.Response, bytes]:
        """The response with its whole body, wherever on the same host it is.

        Raises:
            _PROBLEMS: there is none.
        """
        timeout = timeout or self._config.timeout
        deadline = monotonic() + 2 * timeout
        for _ in range(_MOST_REDIRECTS + 1):
            with self._session.request(
                method, url, timeout=timeout, stream=True, allow_redirects=False, **options
            ) as response:
                if not response.is_redirect:
                    return response, _read(response, deadline)
                target = urljoin(url, response.headers["Location"])
            if not _is_same_host(url, target):
                # The key would go there, too.
                raise requests.TooManyRedirects(f"it redirects to another host, {urlsplit(target).hostname}")
            url = target
        raise requests.TooManyRedirects("it redirects in circles")

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._config.sdk_key is not None:
            request.headers["Authorization"] = f"Bearer {self._config.sdk_key}"
        return request


def _read(response: requests.Response, deadline: float) -> bytes:
    body = bytearray()
    # `read1` gives what has arrived, where `read` waits for a full chunk of a trickle; urllib3 has it since 2.2.
    read = getattr(response.raw, "read1", response.raw.read)
    while chunk := read(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > LARGEST_BODY:
            raise _TooLarge(f"its answer has more than {LARGEST_BODY >> 20} MiB")
        if monotonic() > deadline:
            raise _TooSlow("its answer did not end in time")
    return bytes(body)


def _is_stream(response: requests.Response) -> bool:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/event-stream"


def _heartbeat(response: requests.Response) -> float:
    try:
        seconds = float(response.headers.get(HEARTBEAT, ""))
    except ValueError:
        return _USUAL_HEARTBEAT
    return seconds if 0 < seconds <= _LONGEST_HEARTBEAT else _USUAL_HEARTBEAT


def _socket_of(response: requests.Response) -> socket.socket | None:
    """The connection's, or, where the server will close it, the one that is left to read from."""
    raw: Any = response.raw
    sock = getattr(getattr(raw, "connection", None), "sock", None)
    if sock is None:
        sock = getattr(getattr(getattr(getattr(raw, "_fp", None), "fp", None), "raw", None), "_sock", None)
    return sock if isinstance(sock, socket.socket) else None


def _is_same_host(one: str, other: str) -> bool:
    """And as safe: a redirect from http to https is welcome, the other way round it is not."""
    ours, theirs = urlsplit(one), urlsplit(other)
    if ours.hostname != theirs.hostname:
        return False
    return (ours.scheme, ours.port) == (theirs.scheme, theirs.port) or (ours.scheme, theirs.scheme) == ("http", "https")


def _failure(response: requests.Response) -> Refused | Unavailable:
    status = response.status_code
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Refused(status=status)
    return Unavailable(problem=f"it answered {status}", retry_after=_retry_after(response))


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        # Digits beyond that are no time to wait but an attack on `float`.
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now())
    except (ValueError, OverflowError, OSError):
        return None


def _reason(problem: Exception) -> str:
    """One short line: requests wraps the cause in layers of repr that say less."""
    match problem:
        case requests.Timeout():
            return "it did not answer in time"
        case requests.exceptions.SSLError():
            return f"no trusted connection ({problem})"
        case requests.ConnectionError():
            # The cause is inside urllib3's account of its retries.
            cause = getattr(problem.args[0], "reason", problem) if problem.args else problem
            return f"no connection ({type(cause).__name__})"
        case requests.TooManyRedirects() | _TooLarge() | _TooSlow():
            return str(problem)
        case _:
            return f"{type(problem).__name__}: {problem}"
