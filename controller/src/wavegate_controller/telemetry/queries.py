"""A metric provider whose answers are timed and whose failures are counted."""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import perf_counter
from typing import Protocol, TypeVar

from wavegate_controller.domain.counts import CounterSelector
from wavegate_controller.domain.measurement import Answer, Broken, Labelled, Series
from wavegate_controller.ports import MetricHistory, MetricProvider
from wavegate_controller.telemetry.spans import Spans

_Reply = TypeVar("_Reply")


class QueryRecorder(Protocol):
    """Where questions are counted."""

    def queried(self, question: str, *, seconds: float, reason: str | None) -> None:
        """A question was answered; with a reason it was not."""
        ...


class CountedProvider:
    """Fulfils `ports.MetricProvider` with what another answers."""

    def __init__(self, provider: MetricProvider, recorder: QueryRecorder, spans: Spans) -> None:
        self._provider = provider
        self._recorder = recorder
        self._spans = spans

    @property
    def notice(self) -> str | None:
        """As the other says."""
        return self._provider.notice

    def query(self, promql: str, *, at: datetime) -> Answer:
        """One number at one time."""
        return self._count("number", promql, lambda: self._provider.query(promql, at=at))

    def check(self, promql: str) -> Broken | None:
        """Why a query can never give one number; a refusal is an answer here, and no failure."""
        return self._count("check", promql, lambda: self._provider.check(promql), refusal_is_answer=True)

    def alert_rule(self, name: str) -> Broken | None:
        """Why an alert could not fire."""
        return self._count("alert_rule", name, lambda: self._provider.alert_rule(name))

    def samples(self, selector: CounterSelector, *, at: datetime, lookback: timedelta) -> tuple[Series, ...] | Broken:
        """Raw samples."""
        return self._count(
            "samples", selector.promql, lambda: self._provider.samples(selector, at=at, lookback=lookback)
        )

    def _count(
        self, question: str, about: str, ask: Callable[[], _Reply], *, refusal_is_answer: bool = False
    ) -> _Reply:
        begun = perf_counter()
        with self._spans.span("query", {"wavegate.question": question, "db.query.text": about}) as span:
            reply = ask()
            reason = reply.reason.value if isinstance(reply, Broken) and not refusal_is_answer else None
            if reason:
                span.fail(reason)
        self._recorder.queried(question, seconds=perf_counter() - begun, reason=reason)
        return reply


class CountedHistory(CountedProvider):
    """Fulfils `ports.MetricHistory` with what another answers."""

    def __init__(self, history: MetricHistory, recorder: QueryRecorder, spans: Spans) -> None:
        super().__init__(history, recorder, spans)
        self._history = history

    def vector(self, promql: str, *, at: datetime) -> tuple[Labelled, ...] | Broken:
        """All series of a query at one time."""
        return self._count("vector", promql, lambda: self._history.vector(promql, at=at))

    def values(self, promql: str, *, start: datetime, end: datetime, step: timedelta) -> tuple[Series, ...] | Broken:
        """All series of a query at the times from start to end."""
        return self._count("values", promql, lambda: self._history.values(promql, start=start, end=end, step=step))

    def kind_of(self, metric: str) -> str | None:
        """What a metric is known to be."""
        return self._count("kind", metric, lambda: self._history.kind_of(metric))
