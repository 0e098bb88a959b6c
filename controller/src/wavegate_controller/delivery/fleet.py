"""Who is connected, and how far each revision has come. In memory, for as long as somebody is connected."""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Final

from wavegate_controller.domain.delivery import ConnectedClient, DeliveredRevision

_INSTANCE: Final = re.compile(r"[0-9a-f]{32}")
_NAME: Final = re.compile(r"[!-~]{1,64}")
#: Beyond it new clients are served, and not counted.
_MOST_CLIENTS: Final = 200_000
#: A client that polls and was silent for so long is gone.
_SILENT: Final = 60.0
#: Revisions whose delivery is remembered.
_REMEMBERED: Final = 100


@dataclass(slots=True)
class _Client:
    sdk: str
    app: str
    #: The relay that tells of it; empty for one that is connected to us.
    via: str
    connected: float
    seen: float
    streams: int = 0
    revision: int | None = None
    since: float = 0.0


@dataclass(slots=True)
class _Revision:
    since: datetime
    began: float
    slowest: float | None = None
    #: Once the next one came.
    delivered: int = 0
    of: int = 0


class Fleet:
    """The clients of one environment; safe to use from several threads.

    Args:
        delivered: told how long a revision took to each client that was connected when it came.
        clock: seconds that only run forward.
    """

    def __init__(self, delivered: Callable[[float], None], *, clock: Callable[[], float] = monotonic) -> None:
        self._delivered = delivered
        self._clock = clock
        self._lock = threading.Lock()
        self._clients: dict[str, _Client] = {}
        self._relays: set[str] = set()
        self._revisions: OrderedDict[int, _Revision] = OrderedDict()

    def published(self, revision: int, *, at: datetime) -> None:
        """A revision is served from now on."""
        with self._lock:
            now = self._clock()
            self._forget_silent(now)
            if self._revisions:
                before = next(reversed(self._revisions))
                self._revisions[before].delivered, self._revisions[before].of = self._count(before)
            self._revisions[revision] = _Revision(since=at, began=now)
            while len(self._revisions) > _REMEMBERED:
                self._revisions.popitem(last=False)

    def joined(self, instance: str, *, sdk: str, app: str, revision: int | None) -> None:
        """A stream of this client was opened; it says which revision it uses."""
        with self._lock:
            client = self._client(instance, sdk, app)
            if client is not None:
                client.streams += 1
                self._uses(client, revision, self._clock())

    def left(self, instance: str) -> None:
        """A stream of this client ended."""
        with self._lock:
            client = self._clients.get(instance)
            if client is not None:
                client.streams -= 1
                if client.streams <= 0:
                    self._forget(instance)

    def polled(self, instance: str, *, sdk: str, app: str, revision: int | None) -> None:
        """A client asked, and showed which revision it uses if that is the newest."""
        with self._lock:
            client = self._client(instance, sdk, app)
            if client is not None:
                self._uses(client, revision, self._clock())

    def acknowledged(
        self, clients: Iterable[tuple[str, int, float, str, str]], gone: Iterable[str], *, by: str
    ) -> None:
        """Clients use a revision, for so many seconds already; `by` is who says so, a relay perhaps."""
        with self._lock:
            now = self._clock()
            for instance, revision, held, sdk, app in clients:
                client = self._client(instance, sdk, app, via="" if instance == by else by)
                if client is not None:
                    self._uses(client, revision, now - held)
            for instance in gone:
                if (client := self._clients.get(instance)) is not None and client.via == by:
                    del self._clients[instance]

    def clients(self) -> Sequence[ConnectedClient]:
        """All that are connected, those furthest behind first."""
        with self._lock:
            now = self._clock()
            self._forget_silent(now)
            found = [
                ConnectedClient(
                    instance=instance,
                    sdk=client.sdk,
                    app=client.app,
                    revision=client.revision,
                    held_seconds=max(0.0, now - client.since),
                    streaming=client.streams > 0 or bool(client.via),
                )
                for instance, client in self._clients.items()
            ]
        return sorted(found, key=lambda client: client.rank)

    def revisions(self) -> Sequence[DeliveredRevision]:
        """Newest first."""
        with self._lock:
            self._forget_silent(self._clock())
            found: list[DeliveredRevision] = []
            for revision, record in reversed(self._revisions.items()):
                delivered, of = (record.delivered, record.of) if found else self._count(revision)
                found.append(
                    DeliveredRevision(
                        revision=revision,
                        since=record.since,
                        delivered=delivered,
                        of=of,
                        slowest_seconds=record.slowest,
                    )
                )
            return found

    def __len__(self) -> int:
        return len(self._clients)

    def _client(self, instance: str, sdk: str, app: str, via: str = "") -> _Client | None:
        client = self._clients.get(instance)
        now = self._clock()
        if client is None:
            if len(self._clients) >= _MOST_CLIENTS or not _INSTANCE.fullmatch(instance):
                return None
            sdk, app = (name if _NAME.fullmatch(name) else "" for name in (sdk, app))
            client = self._clients[instance] = _Client(sdk=sdk, app=app, via=via, connected=now, seen=now)
            if via:
                self._relays.add(via)
        client.seen = now
        return client

    def _uses(self, client: _Client, revision: int | None, since: float) -> None:
        if revision is None or revision == client.revision:
            return
        client.revision, client.since = revision, since
        record = self._revisions.get(revision)
        if record is not None and client.connected < record.began:
            seconds = max(0.0, since - record.began)
            record.slowest = max(record.slowest or 0.0, seconds)
            self._delivered(seconds)

    def _count(self, revision: int) -> tuple[int, int]:
        return sum(client.revision == revision for client in self._clients.values()), len(self._clients)

    def _forget(self, instance: str) -> None:
        """It is gone, and so is what was connected to it, if it was a relay."""
        del self._clients[instance]
        if instance in self._relays:
            self._relays.discard(instance)
            for other in [other for other, client in self._clients.items() if client.via == instance]:
                del self._clients[other]

    def _forget_silent(self, now: float) -> None:
        for instance in [
            instance
            for instance, client in self._clients.items()
            if not client.streams and not client.via and now - client.seen > _SILENT
        ]:
            self._forget(instance)
