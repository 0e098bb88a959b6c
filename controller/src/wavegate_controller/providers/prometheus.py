"""Asks a Prometheus-compatible server over HTTP; the one door to it.

How it fails: it answers Value; NoData, when a healthy server has nothing to say; or Broken with the reason, for every
outage, refusal and broken answer there is. It never raises, and it answers within its timeout.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import quote

from wavegate_controller.domain.counts import CounterSelector
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.measurement import Answer, Broken, BrokenReason, Labelled, Series
from wavegate_controller.providers import readings, response, rules
from wavegate_controller.providers.http import Access, Reply, Server
from wavegate_controller.providers.response import Data

_Read = TypeVar("_Read")

_QUERY: Final = "/api/v1/query"
_QUERY_RANGE: Final = "/api/v1/query_range"
#: Error type of queries that are right in themselves but cannot be evaluated on the data there is now.
_EXECUTION: Final = "execution"
#: Error type of queries that the server itself gave up on.
_TIMEOUT: Final = "timeout"


class PrometheusProvider:
    """One Prometheus, or what speaks its HTTP API; a `ports.MetricProvider`, safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 10.0,
        access: Access | None = None,
        lag: timedelta = timedelta(0),
    ) -> None:
        """Nothing is asked yet: a server that is away at the start is no reason not to start.

        Args:
            url: root of the API, without `/api/v1`.
            timeout: seconds for a whole answer, from the connection to its last byte.
            access: credentials.
            lag: how long before the time asked for to look, for stores that samples reach late or piece by piece.

        Raises:
            Invalid: an argument that cannot work.
        """
        if lag < timedelta(0):
            raise Invalid("lag", f"{lag} would ask for the future", "0 or more, such as 30s")
        self._server = Server(url, timeout=timeout, access=access)
        self._server_timeout = f"{math.ceil(timeout * 1000)}ms"
        self._lag = lag

    @property
    def notice(self) -> str | None:
        """Nothing to say: every kind of gate works."""
        return None

    def query(self, promql: str, *, at: datetime) -> Answer:
        """One number at one time."""
        at -= self._lag
        data = self._ask(promql, at=at)
        answer = data if isinstance(data, Broken) else response.number(data, at=at)
        return self._server.presentable(answer) if isinstance(answer, Broken) else answer

    def samples(self, selector: CounterSelector, *, at: datetime, lookback: timedelta) -> tuple[Series, ...] | Broken:
        """Raw samples of the last `lookback` before `at`, oldest first; series without one there are left out."""
        at -= self._lag
        promql = f"{selector.promql}[{lookback // timedelta(milliseconds=1)}ms]"
        reply = self._exchange(promql, at=at)
        data = reply if isinstance(reply, Broken) else _read(reply)
        series = data if isinstance(data, Broken) else response.raw_samples(data, at=at)
        if not isinstance(series, Broken):
            return series
        # A selector can only fail to be evaluated because there is too much of what it selects.
        if not isinstance(reply, Broken) and _error_type(reply) == _EXECUTION:
            series = replace(series, reason=BrokenReason.TOO_LARGE)
        return self._server.presentable(series)

    def vector(self, promql: str, *, at: datetime) -> tuple[Labelled, ...] | Broken:
        """All series of a query at one time."""
        return self._reading(self._exchange(promql, at=at - self._lag), readings.vector)

    def values(self, promql: str, *, start: datetime, end: datetime, step: timedelta) -> tuple[Series, ...] | Broken:
        """All series of a query at the times from start to end; `too_large` where the server gives no so many."""
        form = {
            "query": promql,
            "timeout": self._server_timeout,
            "start": f"{start.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
            "step": f"{step.total_seconds():g}",
        }
        reply = self._server.ask(_QUERY_RANGE, form)
        series = self._reading(reply, readings.ranges)
        if isinstance(series, Broken) and isinstance(reply, Reply) and _is_too_much(reply):
            return replace(series, reason=BrokenReason.TOO_LARGE)
        return series

    def kind_of(self, metric: str) -> str | None:
        """What the server knows a metric to be, such as counter or gauge; None where it knows nothing."""
        reply = self._server.ask(readings.METADATA.format(quote(metric, safe="")))
        return readings.kind_of(reply.body, metric) if isinstance(reply, Reply) else None

    def check(self, promql: str) -> Broken | None:
        """Why this query can never give one number, whatever the data; None when it may, or nobody could be asked.

        The reason is always `query_rejected`.
        """
        reply = self._exchange(promql, at=None)
        answer = reply if isinstance(reply, Broken) else _read(reply)
        if isinstance(answer, Data):
            problem = response.misses_one_number(answer)
            return Broken(reason=BrokenReason.QUERY_REJECTED, detail=problem) if problem else None
        if answer.reason is not BrokenReason.QUERY_REJECTED:
            return None
        rejected_now = not isinstance(reply, Broken) and _error_type(reply) == _EXECUTION
        return None if rejected_now else self._server.presentable(answer)

    def alert_rule(self, name: str) -> Broken | None:
        """Why an alert of this name could not fire although it should; None when a healthy rule would raise it."""
        reply = self._server.ask(rules.PATH.format(quote(name, safe="")))
        if isinstance(reply, Reply) and reply.status == HTTPStatus.OK:
            problem = rules.alert_rule(reply.body, name)
        else:
            read = reply if isinstance(reply, Broken) else _read(reply)
            problem = read if isinstance(read, Broken) else None
        return problem and self._server.presentable(problem)

    def close(self) -> None:
        """Give the kept connections back."""
        self._server.close()

    def _reading(self, reply: Reply | Broken, read: Callable[[Data], _Read | Broken]) -> _Read | Broken:
        data = reply if isinstance(reply, Broken) else _read(reply)
        answer = data if isinstance(data, Broken) else read(data)
        return self._server.presentable(answer) if isinstance(answer, Broken) else answer

    def _ask(self, promql: str, *, at: datetime) -> Data | Broken:
        reply = self._exchange(promql, at=at)
        return reply if isinstance(reply, Broken) else _read(reply)

    def _exchange(self, promql: str, *, at: datetime | None) -> Reply | Broken:
        form = {"query": promql, "timeout": self._server_timeout}
        if at is not None:
            form["time"] = f"{at.timestamp():.3f}"
        return self._server.ask(_QUERY, form)


def _read(reply: Reply) -> Data | Broken:
    """What status and body say together."""
    if reply.status == HTTPStatus.OK:
        return response.data_of(reply.body)
    error = response.error_of(reply.body)
    said = f"status {reply.status}" + (f": {error[1]}" if error else "")
    match reply.status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Broken(reason=BrokenReason.UNAUTHORIZED, detail=f"{said}; check the credentials for Prometheus")
        # Only with Prometheus' own words: a proxy's 400 says nothing about the query.
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY if error:
            return Broken(reason=BrokenReason.QUERY_REJECTED, detail=error[1])
        case HTTPStatus.SERVICE_UNAVAILABLE if error and error[0] == _TIMEOUT:
            return Broken(reason=BrokenReason.TIMEOUT, detail=said)
        case HTTPStatus.NOT_FOUND:
            said += "; is this URL the root of a Prometheus API?"
        case status if 300 <= status < 400:  # noqa: PLR2004 - redirects
            # Queries of a redirect to a login page carry tokens.
            said += f" to {reply.location.split('?')[0] or 'nowhere'}, not followed; configure the final URL"
    return Broken(reason=BrokenReason.SERVER_ERROR, detail=said)


def _is_too_much(reply: Reply) -> bool:
    """Whether asking for less may help: too many points of a series, or more samples than the server loads."""
    error = response.error_of(reply.body) if reply.status != HTTPStatus.OK else None
    return error is not None and (error[0] == _EXECUTION or "maximum resolution" in error[1])


def _error_type(reply: Reply) -> str | None:
    error = response.error_of(reply.body) if reply.status != HTTPStatus.OK else None
    return error[0] if error else None
