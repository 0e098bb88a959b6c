"""The questions of one tick: side by side, each asked once, and none to a server that was found to be away."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import datetime, timedelta
from threading import Lock
from typing import Final, TypeVar

from wavegate_controller.domain.counts import CounterSelector
from wavegate_controller.domain.measurement import Answer, Broken, BrokenReason, Series
from wavegate_controller.ports import MetricProvider

_Reply = TypeVar("_Reply")

#: What a server that is away answers.
_AWAY: Final = frozenset({BrokenReason.UNREACHABLE, BrokenReason.TIMEOUT})
#: So many of these in a row, and a question that costs nothing must show that the server is there.
_SUSPICIOUS: Final = 3
_COSTS_NOTHING: Final = "vector(1)"


class Asking:
    """Asks one provider at one evaluation time; safe to use from several threads."""

    def __init__(self, provider: MetricProvider, executor: Executor, *, at: datetime) -> None:
        self.at = at
        self._provider = provider
        self._executor = executor
        self._numbers: dict[str, Future[Answer]] = {}
        self._rules: dict[str, Future[Broken | None]] = {}
        self._lock = Lock()
        self._failures = 0
        self._outage: Broken | None = None

    def number(self, promql: str) -> Future[Answer]:
        """The answer to a query for one number; the same query is asked once, whoever wants to know."""
        if promql not in self._numbers:
            self._numbers[promql] = self._executor.submit(self._ask, lambda: self._provider.query(promql, at=self.at))
        return self._numbers[promql]

    def rule(self, name: str) -> Future[Broken | None]:
        """Why this alert could not fire; the same alert is asked about once."""
        if name not in self._rules:
            self._rules[name] = self._executor.submit(self._ask, lambda: self._provider.alert_rule(name))
        return self._rules[name]

    def samples(self, selector: CounterSelector, *, lookback: timedelta) -> tuple[Series, ...] | Broken:
        """Raw samples of counters, asked in the caller's thread."""
        return self._ask(lambda: self._provider.samples(selector, at=self.at, lookback=lookback))

    def _ask(self, question: Callable[[], _Reply]) -> _Reply | Broken:
        with self._lock:  # held while an outage is being confirmed: nobody walks into it meanwhile
            if self._outage is not None:
                return self._outage
        reply = question()
        with self._lock:
            self._learn_from(reply)
        return reply

    def _learn_from(self, reply: object) -> None:
        """A server that is away fails the rest of the tick at once; a few slow queries of somebody's do not."""
        if not _is_away(reply):
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= _SUSPICIOUS and self._outage is None:
            probe = self._provider.query(_COSTS_NOTHING, at=self.at)
            self._failures = 0
            self._outage = probe if isinstance(probe, Broken) and _is_away(probe) else None


def _is_away(reply: object) -> bool:
    return isinstance(reply, Broken) and reply.reason in _AWAY
