"""One GET to the controller, and its four possible outcomes; it never raises for what a server does.

The only module that imports requests.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

import requests

from wavegate.client.config import Config

ALLOW_ROLLBACK = "Wavegate-Allow-Revision-Rollback"


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """The SDK key is not accepted; asking more often would not help."""

    status: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Unavailable:
    """No usable answer: no connection, a timeout, an error status."""

    problem: str


Outcome: TypeAlias = Fetched | NotModified | Refused | Unavailable


class Transport:
    """A kept-alive connection to one controller. Use it from one thread."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._session = requests.Session()
        # A callable, because requests lets a .netrc entry override a header but not this.
        self._session.auth = self._authorize

    def fetch(self, etag: str | None) -> Outcome:
        """Asks for the ruleset, or for nothing if it still has this ETag."""
        headers = {"Accept": "application/json"}
        if etag is not None:
            headers["If-None-Match"] = etag
        try:
            response = self._session.get(self._config.ruleset_url, headers=headers, timeout=self._config.timeout)
        except (requests.RequestException, OSError, ValueError) as problem:
            return Unavailable(problem=_reason(problem))
        match response.status_code:
            case HTTPStatus.OK:
                return Fetched(
                    body=response.content,
                    etag=response.headers.get("ETag"),
                    rollback_allowed=response.headers.get(ALLOW_ROLLBACK) == "1",
                )
            case HTTPStatus.NOT_MODIFIED if etag is not None:
                return NotModified()
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN as status:
                return Refused(status=status)
            case status:
                return Unavailable(problem=f"it answered {status}")

    def close(self) -> None:
        """Lets go of the connection."""
        self._session.close()

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._config.sdk_key is not None:
            request.headers["Authorization"] = f"Bearer {self._config.sdk_key}"
        return request


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
        case _:
            return f"{type(problem).__name__}: {problem}"
