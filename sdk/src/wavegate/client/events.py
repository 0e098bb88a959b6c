"""Server-sent events, taken apart as they arrive."""

from dataclasses import dataclass
from typing import Final

#: An event that is longer is no ruleset.
LARGEST_EVENT: Final = 16 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One event; a comment, which is a sign of life, is one without a name."""

    name: str
    data: bytes = b""


class TooLong(ValueError):
    """An event that does not end."""


class EventParser:
    """Takes bytes in whatever pieces they come.

    Attributes:
        retry: seconds after which the server wants to see us again, once it said so.
    """

    def __init__(self) -> None:
        self.retry: float | None = None
        self._lines = b""
        self._name = ""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[Event]:
        """The events that are complete now.

        Raises:
            TooLong: one has more bytes than any ruleset.
        """
        # Bytes, not text: only carriage returns and line feeds end a line here, and JSON may hold other separators.
        *lines, self._lines = (self._lines + piece).split(b"\n")
        events = [event for line in lines if (event := self._take(line.removesuffix(b"\r"))) is not None]
        if len(self._lines) + sum(map(len, self._data)) > LARGEST_EVENT:
            raise TooLong(f"an event has more than {LARGEST_EVENT >> 20} MiB")
        return events

    def _take(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"":
                return Event(name="")
            case b"event":
                self._name = value.decode("utf-8", "replace")
            case b"data":
                self._data.append(value)
            case b"retry" if value.isdigit():
                self.retry = int(value[:9]) / 1000
        return None

    def _dispatch(self) -> Event | None:
        name, data = self._name, self._data
        self._name, self._data = "", []
        return Event(name=name or "message", data=b"\n".join(data)) if data else None
