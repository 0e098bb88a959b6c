"""What a relay asks its upstream besides the ruleset: whether a key holds, and whom that upstream follows.

The relay's door to requests. Nothing here raises for what a server does.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

import requests

#: Names the relays that an answer came through, the nearest first, so that a circle is seen.
RELAYS: Final = "wavegate-relays"
ENVIRONMENT: Final = "wavegate-environment"


@dataclass(frozen=True, kw_only=True, slots=True)
class Holds:
    """The key reads this environment."""

    environment: str
    relays: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DoesNotHold:
    """It is no key of theirs."""

    relays: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class NoAnswer:
    """Nobody can say now."""

    problem: str
    relays: tuple[str, ...] = ()


Standing: TypeAlias = Holds | DoesNotHold | NoAnswer


class Upstream:
    """One upstream. Use it from one thread.

    Args:
        url: its base URL.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self._url = url.rstrip("/") + "/sdk/v1/ruleset"
        self._timeout = timeout
        self._session = requests.Session()
        self._session.auth = _leave_as_it_is

    def ask(self, authorization: bytes, relays: tuple[str, ...]) -> Standing:
        """Whether who shows this `Authorization` header may read; an empty one shows nothing.

        `relays` are those that the question came through, this one last.
        """
        headers: dict[str, str | bytes] = {RELAYS: ", ".join(relays)}
        if authorization:
            # As bytes, for requests would write a text in an encoding of its own.
            headers["Authorization"] = authorization
        try:
            answer = self._session.head(self._url, headers=headers, timeout=self._timeout, allow_redirects=False)
        except (requests.RequestException, OSError, ValueError) as problem:
            return NoAnswer(problem=type(problem).__name__)
        through = relays_in(answer.headers.get(RELAYS, ""))
        environment = answer.headers.get(ENVIRONMENT, "")
        if answer.status_code == HTTPStatus.OK and environment:
            return Holds(environment=environment, relays=through)
        if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return DoesNotHold(relays=through)
        return NoAnswer(problem=f"it answered {answer.status_code}", relays=through)

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()


def relays_in(text: str) -> tuple[str, ...]:
    """The names in a header."""
    return tuple(name for name in text.replace(" ", "").split(",") if name)


def _leave_as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps requests from putting a password from ~/.netrc in the key's place."""
    return request
