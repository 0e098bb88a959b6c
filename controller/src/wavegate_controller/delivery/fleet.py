"""Who is connected, and how far each revision has come. In memory, for as long as somebody is connected.

Where several processes serve one environment, each tells the others what it hears itself, so that all know of all
clients. A client is one entry, whoever tells of it: behind a load balancer its stream is held by one process, and what
it acknowledges may come to another.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Final

from wavegate_controller.domain.delivery import ClientNews, ConnectedClient, DeliveredRevision, FleetNews

_INSTANCE: Final = re.compile(r"[0-9a-f]{32}")
_NAME: Final = re.compile(r"[!-~]{1,64}")
#: Beyond it new clients are served, and not counted.
_MOST_CLIENTS: Final = 200_000
#: A client that polls and was silent for so long is gone; one that a relay or another process told of, too.
_SILENT: Final = 60.0
#: Clients that are remembered by name when they have left.
_MOST_GONE: Final = 10_000
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
    is_relay: bool = False
    #: Whether this process hears it itself, and which others said that they do.
    is_here: bool = True
    there: set[str] = field(default_factory=set)
    streams: int = 0
    is_streaming_there: bool = False
    revision: int | None = None
    since: float = 0.0

    @property
    def is_streaming(self) -> bool:
        """Whether changes are pushed to it."""
        return self.streams > 0 or bool(self.via) or self.is_streaming_there


@dataclass(slots=True)
class _Revision:
    since: datetime
    began: float
    slowest: float | None = None
    #: Who used it and left.
    gone: set[str] = field(default_factory=set)
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
        self._revisions: OrderedDict[int, _Revision] = OrderedDict()
        #: What other processes were not told yet; kept only once they want to be told.
        self._is_shared = False
        self._changed: set[str] = set()
        self._left: set[str] = set()
        #: Those others, and when they were last heard.
        self._processes: dict[str, float] = {}

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
                self._is_here(instance, client)
                self._uses(instance, client, revision, self._clock())

    def left(self, instance: str) -> None:
        """A stream of this client ended."""
        with self._lock:
            client = self._clients.get(instance)
            if client is not None:
                client.streams -= 1
                if client.streams <= 0:
                    self._leaves(instance, client)

    def polled(self, instance: str, *, sdk: str, app: str, revision: int | None) -> None:
        """A client asked, and showed which revision it uses if that is the newest."""
        with self._lock:
            client = self._client(instance, sdk, app)
            if client is not None:
                self._is_here(instance, client)
                self._uses(instance, client, revision, self._clock())

    def acknowledged(
        self, clients: Iterable[tuple[str, int, float, str, str]], gone: Iterable[str], *, by: str
    ) -> None:
        """Clients use a revision, for so many seconds already; `by` is who says so, a relay perhaps."""
        with self._lock:
            now = self._clock()
            if (relay := self._clients.get(by)) is not None:
                relay.is_relay = True
            for instance, revision, held, sdk, app in clients:
                client = self._client(instance, sdk, app, via="" if instance == by else by)
                if client is None:
                    continue
                if instance != by:
                    client.via = by
                    self._is_here(instance, client)
                self._uses(instance, client, revision, now - held)
            for instance in gone:
                if (client := self._clients.get(instance)) is not None and client.via == by:
                    self._leaves(instance, client)

    def news(self, *, all_of_it: bool = False) -> FleetNews:
        """What other processes were not told yet: clients, and those that left; or all that this one hears itself."""
        with self._lock:
            all_of_it = all_of_it or not self._is_shared
            self._is_shared = True
            if all_of_it:
                self._forget_silent(self._clock())
            now = self._clock()
            told = [
                self._news(instance, client, now)
                for instance, client in self._clients.items()
                if instance in self._changed or (all_of_it and client.is_here)
            ]
            left = sorted(self._left)
            self._changed, self._left = set(), set()
        return FleetNews(clients=tuple(told), left=tuple(left), is_all=all_of_it)

    def told(self, process: str, news: FleetNews, *, seconds_ago: float) -> None:
        """What another process knows, as it was so long ago."""
        with self._lock:
            now = self._clock()
            self._processes[process] = now
            for each in news.clients:
                client = self._clients.get(each.instance)
                if client is None and each.is_heard:
                    client = self._client(each.instance, each.sdk, each.app, is_here=False)
                if client is None:
                    continue
                if each.is_heard:
                    client.there.add(process)
                    client.is_streaming_there = each.streaming
                since = now - seconds_ago - each.held_seconds
                if client.revision is None or since > client.since:
                    self._uses(each.instance, client, each.revision, since, is_told=True)
            left: Iterable[str] = news.left
            if news.is_all:
                known = {each.instance for each in news.clients if each.is_heard}
                left = [name for name, client in self._clients.items() if process in client.there and name not in known]
            for instance in left:
                if (client := self._clients.get(instance)) is not None:
                    self._leaves_there(process, instance, client)

    def ended(self, process: str) -> None:
        """Another process stopped, and nobody hears of its clients."""
        with self._lock:
            self._ended(process)

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
                    streaming=client.is_streaming,
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
                        gone=len(record.gone),
                        slowest_seconds=record.slowest,
                    )
                )
            return found

    def __len__(self) -> int:
        """Clients that this process hears itself: those of all processes together are all."""
        with self._lock:
            return sum(client.is_here for client in self._clients.values())

    def _client(self, instance: str, sdk: str, app: str, via: str = "", *, is_here: bool = True) -> _Client | None:
        client = self._clients.get(instance)
        now = self._clock()
        if client is None:
            if len(self._clients) >= _MOST_CLIENTS or not _INSTANCE.fullmatch(instance):
                return None
            sdk, app = (name if _NAME.fullmatch(name) else "" for name in (sdk, app))
            client = self._clients[instance] = _Client(
                sdk=sdk, app=app, via=via, connected=now, seen=now, is_here=is_here
            )
            if is_here:
                self._comes(instance)
        client.seen = now
        return client

    def _is_here(self, instance: str, client: _Client) -> None:
        if not client.is_here:
            client.is_here = True
            self._comes(instance)

    def _comes(self, instance: str) -> None:
        self._left.discard(instance)
        self._changes(instance)

    def _changes(self, instance: str) -> None:
        if self._is_shared:
            self._changed.add(instance)

    def _leaves(self, instance: str, client: _Client) -> None:
        """This process hears it no more; another may."""
        client.is_here, client.via = False, ""
        self._changed.discard(instance)
        if self._is_shared:
            self._left.add(instance)
        if not client.there:
            self._forget(instance)

    def _leaves_there(self, process: str, instance: str, client: _Client) -> None:
        client.there.discard(process)
        if not client.is_here and not client.there:
            self._forget(instance)

    def _ended(self, process: str) -> None:
        self._processes.pop(process, None)
        for instance, client in list(self._clients.items()):
            # A relay that was forgotten took others along.
            if process in client.there and instance in self._clients:
                self._leaves_there(process, instance, client)

    def _uses(
        self, instance: str, client: _Client, revision: int | None, since: float, *, is_told: bool = False
    ) -> None:
        if revision is None or revision == client.revision:
            return
        client.revision, client.since = revision, since
        record = self._revisions.get(revision)
        if record is not None:
            record.gone.discard(instance)
        if record is not None and client.connected < record.began:
            seconds = max(0.0, since - record.began)
            record.slowest = max(record.slowest or 0.0, seconds)
            if not is_told:
                self._delivered(seconds)
        if not is_told:
            self._changes(instance)

    def _news(self, instance: str, client: _Client, now: float) -> ClientNews:
        return ClientNews(
            instance=instance,
            revision=client.revision,
            held_seconds=max(0.0, now - client.since) if client.revision is not None else 0.0,
            sdk=client.sdk,
            app=client.app,
            streaming=client.is_streaming,
            is_heard=client.is_here,
        )

    def _count(self, revision: int) -> tuple[int, int]:
        return sum(client.revision == revision for client in self._clients.values()), len(self._clients)

    def _forget(self, instance: str) -> None:
        """It is gone, and so is what was connected to it, if it was a relay."""
        client = self._clients.pop(instance)
        self._changed.discard(instance)
        record = None if client.revision is None else self._revisions.get(client.revision)
        if record is not None and len(record.gone) < _MOST_GONE:
            record.gone.add(instance)
        if client.is_relay:
            for other in [other for other, client in self._clients.items() if client.via == instance]:
                self._leaves(other, self._clients[other])

    def _forget_silent(self, now: float) -> None:
        for process in [process for process, heard in self._processes.items() if now - heard > _SILENT]:
            self._ended(process)
        for instance, client in list(self._clients.items()):
            is_silent = client.is_here and not client.streams and now - client.seen > _SILENT
            # A relay that was forgotten took others along.
            if is_silent and instance in self._clients:
                self._leaves(instance, client)
