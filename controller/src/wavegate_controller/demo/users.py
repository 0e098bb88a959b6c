"""Simulated users of the product apps: a steady crowd that remembers which variant each app last served."""

import itertools
import json
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from random import SystemRandom
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from wavegate_controller.ports import Clock

_TIMEOUT_SECONDS: Final = 5.0
#: Of its own: the generator of the process may be somebody's who wants to be reproducible.
_CHANCE: Final = SystemRandom()
_CLOSING_SECONDS: Final = 1.0
#: How far behind its schedule the crowd may fall, such as when all wait for slow answers, before it lets requests go.
_PATIENCE_SECONDS: Final = 0.5


@dataclass(kw_only=True, slots=True)
class Served:
    """What one app process has given to the users of one feature.

    Attributes:
        by_variant: answers, errors included, by variant.
        failed: answers that were errors, by variant.
        lost: requests without an answer, or with one that names no variant.
        last_candidate_at: when somebody last got an answer of the candidate variant.
        since_candidate: answers of other variants since then.
    """

    by_variant: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    last_candidate_at: datetime | None = None
    since_candidate: int = 0

    @property
    def requests(self) -> int:
        """All answers."""
        return self.by_variant.total()


class Users:
    """Runs until closed.

    Args:
        apps: app name to base URL.
        paths: feature to the path where the apps serve it.
        candidate: name of the candidate variant.
        rate: requests a second, over all features and apps.
        clock: for the times that are remembered.
        count: how many different people.
        workers: how many of them wait for an answer at the same time, at most.
    """

    def __init__(
        self,
        apps: Mapping[str, str],
        paths: Mapping[str, str],
        *,
        candidate: str,
        rate: float,
        clock: Clock,
        count: int = 1000,
        workers: int = 48,
    ) -> None:
        self._addresses = {name: urlsplit(url).netloc for name, url in apps.items()}
        self._paths = dict(paths)
        self._candidate = candidate
        self._pause = 1 / rate
        self._clock = clock
        self._count = count
        self._served = {(app, feature): Served() for app in apps for feature in paths}
        self._turns = itertools.cycle(self._served)
        self._due = monotonic()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True, name=f"user-{n}") for n in range(workers)]

    def start(self) -> None:
        """Begin to use the apps."""
        self._due = monotonic()
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Let go; who waits for a slow answer is given a moment."""
        self._closing.set()
        deadline = monotonic() + _CLOSING_SECONDS
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - monotonic()))

    def served(self, app: str, feature: str) -> Served:
        """What was seen so far: a copy."""
        with self._lock:
            seen = self._served[app, feature]
            return Served(
                by_variant=seen.by_variant.copy(),
                failed=seen.failed.copy(),
                lost=seen.lost,
                last_candidate_at=seen.last_candidate_at,
                since_candidate=seen.since_candidate,
            )

    def _work(self) -> None:
        with ExitStack() as parts:
            connections = {
                app: parts.enter_context(closing(HTTPConnection(address, timeout=_TIMEOUT_SECONDS)))
                for app, address in self._addresses.items()
            }
            while True:
                due, app, feature = self._next()
                if self._closing.wait(due - monotonic()):
                    return
                variant, failed = self._ask(connections[app], feature)
                self._remember(app, feature, variant, failed=failed)

    def _ask(self, connection: HTTPConnection, feature: str) -> tuple[str | None, bool]:
        user = _CHANCE.randrange(self._count)
        try:
            connection.request("GET", f"{self._paths[feature]}?user=user-{user:04}")
            answer = connection.getresponse()
            variant: str | None = json.loads(answer.read())["variant"]
        except (OSError, HTTPException, ValueError, KeyError):
            connection.close()  # the next request opens it anew
            return None, True
        return variant, answer.status != HTTPStatus.OK

    def _next(self) -> tuple[float, str, str]:
        with self._lock:
            self._due = max(self._due + self._pause, monotonic() - _PATIENCE_SECONDS)
            return self._due, *next(self._turns)

    def _remember(self, app: str, feature: str, variant: str | None, *, failed: bool) -> None:
        now = self._clock.now()
        with self._lock:
            seen = self._served[app, feature]
            if variant is None:
                seen.lost += 1
                return
            seen.by_variant[variant] += 1
            seen.failed[variant] += failed
            if variant == self._candidate:
                seen.last_candidate_at, seen.since_candidate = now, 0
            else:
                seen.since_candidate += 1
