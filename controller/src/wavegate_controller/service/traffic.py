"""What a flag's counters say of its traffic: read as the reconciler reads them, for a plan that did not begin yet."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Final, assert_never

from wavegate.evaluation import COHORTS
from wavegate_controller.documents.duration import format_duration
from wavegate_controller.domain.counts import (
    BAD_METRIC,
    EXPOSED_METRIC,
    REQUESTS_METRIC,
    VALUE_METRIC,
    CounterSelector,
    Increments,
    Needs,
    advance,
    copies,
    missing,
    series_key,
)
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.traffic import Expected, Traffic, clumping, spread
from wavegate_controller.domain.gates import ComparedGate, ErrorRateGate, ValueGate
from wavegate_controller.domain.measurement import Broken, BrokenReason, Cursor, Series, Value
from wavegate_controller.domain.plan import Plan
from wavegate_controller.domain.promql import escape, matchers
from wavegate_controller.domain.review import Thumbs
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.ports import MetricProvider
from wavegate_controller.service.counting import without
from wavegate_controller.service.measure import needs_of

_SHORTEST: Final = timedelta(minutes=1)
#: Fewer requests say nothing of a base rate.
_FEW: Final = 100
#: What is counted of thumbs: up, down, and the requests that they are among.
_THUMBS: Final[Sequence[tuple[str, Mapping[str, str]]]] = (
    (VALUE_METRIC, {"kind": "thumbs_up"}),
    (BAD_METRIC, {"kind": "thumbs_down"}),
    (REQUESTS_METRIC, {}),
)


class NotAnswered(Invalid):
    """The metrics server could not be asked: there may be traffic or not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What was counted.

    Attributes:
        traffic: in the terms of the plan's gates.
        over: the time that was looked at.
        requests: in that time.
        variant: whose outcomes are the base rates; None where all variants' are, since stable had too few requests.
    """

    traffic: Traffic
    over: timedelta
    requests: int
    variant: str | None


def users_seen(provider: MetricProvider, rollout: Rollout, *, at: datetime) -> float | None:
    """How many users the candidate was given to since the rollout began; None where nobody can say.

    Each process of an app counts the users that it sees, so that somebody who comes to several counts as several.
    """
    if rollout.started_at is None or at <= rollout.started_at:
        return None
    scope = _scope(rollout, {"flag": rollout.flag_key, "variant": rollout.candidate})
    seconds = max(round((at - rollout.started_at).total_seconds()), 60)
    answer = provider.query(f"sum(increase({EXPOSED_METRIC}{{{scope}}}[{seconds}s]))", at=at)
    return answer.value if isinstance(answer, Value) else None


def thumbs_seen(provider: MetricProvider, rollout: Rollout, *, since: datetime, at: datetime) -> tuple[Thumbs, ...]:
    """What people said with their thumbs about candidate and stable since then; nothing where nobody can say."""
    seconds = max(round((at - since).total_seconds()), 1)
    found = []
    for variant in (rollout.candidate, rollout.stable):
        counted = []
        for metric, kind in _THUMBS:
            series = f"{metric}{{{_scope(rollout, {'flag': rollout.flag_key, 'variant': variant, **kind})}}}"
            # `increase` misses what a counter began with, and the first thumb of all begins one.
            answer = provider.query(
                f"(sum(increase({series}[{seconds}s])) or vector(0))"
                f" + (sum(min_over_time({series}[{seconds}s]) unless ({series} offset {seconds}s)) or vector(0))",
                at=at,
            )
            if not isinstance(answer, Value):
                return ()
            counted.append(answer.value)
        up, down, requests = counted
        if requests:
            found.append(Thumbs(variant=variant, up=up, down=down, requests=requests))
    return tuple(found)


def _scope(rollout: Rollout, labels: Mapping[str, str]) -> str:
    # What a controller counted for its other environments has their name; any other series has none.
    return f'{matchers(labels)},environment=~"|{escape(re.escape(rollout.environment))}"'


def measure_traffic(
    provider: MetricProvider,
    plan: Plan,
    flag: str,
    *,
    stable: str | None,
    at: datetime,
    over: timedelta,
    elsewhere: frozenset[str] = frozenset(),
) -> Measured:
    """The traffic of a flag in the time `over` before `at`, but for what was counted in other environments.

    Raises:
        NotAnswered: the server does not say.
        Invalid: there is none, or it is not to be used; the message says why.
    """
    wanted = reduce(or_, (needs_of(gate) or Needs() for gate in plan.compared), Needs())
    selector = CounterSelector(flags=(flag,), needs=wanted)
    series = provider.samples(selector, at=at, lookback=over)
    while isinstance(series, Broken) and series.reason is BrokenReason.TOO_LARGE and over > 2 * _SHORTEST:
        over /= 2
        series = provider.samples(selector, at=at, lookback=over)
    if isinstance(series, Broken):
        raise NotAnswered(
            "traffic", f"cannot be measured: {series.reason}, {series.detail}", "a metrics server, or --traffic"
        )
    increments, seconds = _count(flag, without(series, elsewhere), wanted, at=at)
    requests = _requests(increments, None)
    if not requests or not seconds:
        raise Invalid(
            "traffic",
            f"flag {flag} has counted no trial in the last {format_duration(over)}",
            f"traffic under {REQUESTS_METRIC}, or --traffic",
        )
    variant = stable if stable is not None and _requests(increments, stable) >= _FEW else None
    return Measured(
        traffic=Traffic(
            requests_per_second=requests / seconds,
            metrics={gate.name: _expected(gate, increments, variant) for gate in plan.compared},
        ),
        over=over,
        requests=round(requests),
        variant=variant,
    )


def _count(flag: str, series: Sequence[Series], wanted: Needs, *, at: datetime) -> tuple[Increments, float]:
    """Everything between the first and the last sample of each series, and how long that is."""
    if label := copies(series):
        raise Invalid(
            "traffic", f"of flag {flag} comes several times, told apart by {label}", "an endpoint without copies"
        )
    if absent := missing(series, wanted):
        raise Invalid(
            "traffic", f"{absent} of flag {flag} is absent while others of its counters are there", "all of them"
        )
    first = {series_key(each.labels): each.samples[0] for each in series}
    increments, _ = advance(Cursor(read_at=at, last=first), series, at=at)
    begin = min((each.samples[0][0] for each in series), default=0.0)
    end = max((each.samples[-1][0] for each in series), default=0.0)
    return increments, end - begin


def _expected(gate: ComparedGate, increments: Increments, variant: str | None) -> Expected:
    requests = _by_cohort(increments, REQUESTS_METRIC, variant, ("",))
    match gate:
        case ErrorRateGate():
            bad = _by_cohort(increments, BAD_METRIC, variant, gate.kinds)
            return Expected(mean=min(sum(bad) / sum(requests), 1.0), clumping=clumping(requests, bad))
        case ValueGate():
            sums = _by_cohort(increments, VALUE_METRIC, variant, (gate.value.value,))
            return Expected(mean=sum(sums) / sum(requests), spread=spread(requests, sums))
        case _:
            assert_never(gate)


def _requests(increments: Increments, variant: str | None) -> float:
    return sum(_by_cohort(increments, REQUESTS_METRIC, variant, ("",)))


def _by_cohort(increments: Increments, metric: str, variant: str | None, kinds: Sequence[str]) -> list[float]:
    """By cohort, those who have none in a place of their own."""
    amounts = [0.0] * (COHORTS + 1)
    for key, amount in increments.amounts.items():
        if key.metric == metric and key.kind in kinds and variant in (None, key.variant):
            amounts[COHORTS if key.cohort is None else key.cohort] += amount
    return amounts
