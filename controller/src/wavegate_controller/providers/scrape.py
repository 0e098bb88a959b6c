"""Reads the apps' own /metrics, where there is no Prometheus to ask: enough for guardrail gates, and for nothing else.

How it fails: as the Prometheus provider does, it never raises. Apps that do not answer are left out, as Prometheus
leaves out what it cannot scrape; when none answers, or one says something that is no metrics, the answer is Broken.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from http import HTTPStatus
from threading import Lock
from typing import Final
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from wavegate_controller.domain.counts import BAD_METRIC, EXPOSED_METRIC, REQUESTS_METRIC, VALUE_METRIC, CounterSelector
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.measurement import Answer, Broken, BrokenReason, Series
from wavegate_controller.providers.http import Access, Server
from wavegate_controller.providers.response import malformed

_COUNTERS: Final = (REQUESTS_METRIC, BAD_METRIC, VALUE_METRIC, EXPOSED_METRIC)
#: Apps that are asked at once.
_AT_ONCE: Final = 8
_NEEDS_PROMETHEUS: Final = Broken(
    reason=BrokenReason.NOT_SUPPORTED,
    detail="a query needs Prometheus, and this controller reads the apps' own /metrics (scrape_targets)",
)
# What the exposition formats have in common; the text format of Prometheus is preferred.
_ACCEPT: Final = {"Accept": "text/plain;version=0.0.4"}

#: Labels and value.
_Sample = tuple[Mapping[str, str], float]


class ScrapeProvider:
    """The apps' own metrics, read when asked for; a `ports.MetricProvider`, safe to use from several threads."""

    def __init__(self, targets: Sequence[str], *, timeout: float = 10.0) -> None:
        """Nothing is read yet.

        Args:
            targets: URLs such as `http://app:8000/metrics`, one for each process.
            timeout: seconds for a whole answer.

        Raises:
            Invalid: an argument that cannot work.
        """
        if not targets or len(set(targets)) < len(targets):
            raise Invalid("targets", "is empty or repeats itself", "one URL for each app, each once")
        self._apps = {_instance(url): Server(url, timeout=timeout, access=Access(headers=_ACCEPT)) for url in targets}
        self._lock = Lock()
        self._read_at: datetime | None = None
        self._read: tuple[Series, ...] | Broken = ()

    @property
    def notice(self) -> str | None:
        """That this is not the full product."""
        return "Metrics are read from the apps' own /metrics; threshold gates and history need Prometheus."

    def query(self, promql: str, *, at: datetime) -> Answer:  # noqa: ARG002 - the port's signature
        """Not supported: PromQL is Prometheus'."""
        return _NEEDS_PROMETHEUS

    def check(self, promql: str) -> Broken | None:  # noqa: ARG002 - the port's signature
        """Refuses every query, so that no rollout begins that could never be measured."""
        return _NEEDS_PROMETHEUS

    def alert_rule(self, name: str) -> Broken | None:  # noqa: ARG002 - the port's signature
        """Not supported: alerts are Prometheus'."""
        return _NEEDS_PROMETHEUS

    def samples(
        self,
        selector: CounterSelector,
        *,
        at: datetime,
        lookback: timedelta,  # noqa: ARG002 - there is no past to look at: counters add up, so the present is enough
    ) -> tuple[Series, ...] | Broken:
        """The counters as they stand, stamped with the time asked for; read once for all who ask for that time."""
        with self._lock:
            if at != self._read_at:
                self._read, self._read_at = self._scrape(at), at
            read = self._read
        return read if isinstance(read, Broken) else tuple(each for each in read if selector.matches(each.labels))

    def close(self) -> None:
        """Give the kept connections back."""
        for app in self._apps.values():
            app.close()

    def _scrape(self, at: datetime) -> tuple[Series, ...] | Broken:
        with ThreadPoolExecutor(min(_AT_ONCE, len(self._apps))) as pool:
            answers = list(pool.map(self._scrape_one, self._apps.items()))
        away = [answer for answer in answers if isinstance(answer, Broken)]
        nonsense = [answer for answer in away if answer.reason is BrokenReason.MALFORMED_RESPONSE]
        if nonsense or len(away) == len(answers):
            return (nonsense or away)[0]
        return tuple(
            Series(labels=labels, samples=((at.timestamp(), value),))
            for answer in answers
            if not isinstance(answer, Broken)
            for labels, value in answer
        )

    def _scrape_one(self, target: tuple[str, Server]) -> list[_Sample] | Broken:
        instance, app = target
        reply = app.ask("")
        if isinstance(reply, Broken):
            return app.presentable(reply)
        if reply.status != HTTPStatus.OK:
            return Broken(reason=BrokenReason.SERVER_ERROR, detail=f"{instance}: status {reply.status}")
        answer = _counters(reply.body, instance=instance)
        return app.presentable(answer) if isinstance(answer, Broken) else answer


def _counters(body: bytes, *, instance: str) -> list[_Sample] | Broken:
    """The SDK's counters; the rest of the page, which may be long, is not even parsed."""
    try:
        lines = [line for line in body.decode().splitlines() if line.startswith(_COUNTERS)]
        families = list(text_string_to_metric_families("\n".join(lines) + "\n"))
    except ValueError as error:  # what is not UTF-8, too
        return malformed(f"{instance} does not speak Prometheus' text format: {error}")
    samples: list[_Sample] = [
        ({**sample.labels, "__name__": sample.name, "instance": instance}, float(sample.value))
        for family in families
        for sample in family.samples
        if sample.name in _COUNTERS
    ]
    if not all(math.isfinite(value) for _, value in samples):
        return malformed(f"{instance} shows a counter that is not a finite number")
    return samples


def _instance(url: str) -> str:
    """As Prometheus names it, with the path where it is not the usual one."""
    parts = urlsplit(url)
    return parts.netloc if parts.path == "/metrics" else parts.netloc + parts.path
