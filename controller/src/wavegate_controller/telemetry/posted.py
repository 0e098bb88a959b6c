"""Counts that apps posted, shown beside our own under the names that an SDK gives them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric


class Outcomes(Protocol):
    """Sums of one variant; lists by cohort have one more place, for users who were targeted."""

    requests: list[int]
    bad: dict[str, list[int]]
    values: dict[str, list[float]]
    duration_buckets: list[int]
    duration_sum: float
    exposed_users: int


class Totals(Protocol):
    """Sums of what apps of one environment posted."""

    @property
    def evaluations(self) -> Mapping[tuple[str, str, str], int]:
        """Answers by flag, variant and reason."""
        ...

    @property
    def arms(self) -> Mapping[tuple[str, str], Outcomes]:
        """Outcomes by flag and variant."""
        ...


class PostedCollector:
    """A collector for prometheus_client; names and labels are the SDK's contract."""

    def __init__(self, totals: Callable[[], Mapping[str, Totals]], bounds: Sequence[float]) -> None:
        self._totals = totals
        self._edges = (*map(str, bounds), "+Inf")

    def describe(self) -> Iterable[Metric]:
        """Nothing: the names are taken by nobody else here."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Called at scrape."""
        arm = ("environment", "flag", "variant")
        given = CounterMetricFamily("wavegate_evaluations", "Answers given, by reason.", labels=(*arm, "reason"))
        requests = CounterMetricFamily(
            "wavegate_requests", "Requests finished under a variant.", labels=(*arm, "cohort")
        )
        bad = CounterMetricFamily(
            "wavegate_bad", "Requests under a variant that ended badly.", labels=(*arm, "cohort", "kind")
        )
        values = CounterMetricFamily("wavegate_value", "Values added up.", labels=(*arm, "cohort", "kind"))
        duration = HistogramMetricFamily("wavegate_duration_seconds", "How long requests took.", labels=arm)
        exposed = CounterMetricFamily("wavegate_exposed_users", "Users who were given a variant.", labels=arm)
        totals = self._totals()
        for environment, sums in totals.items():
            for (flag, variant, reason), count in sums.evaluations.items():
                given.add_metric((environment, flag, variant, reason), count)
        all_arms = (((name, *key), each) for name, sums in totals.items() for key, each in sums.arms.items())
        for labels, outcomes in all_arms:
            for cohort, count in zip(_cohorts(outcomes.requests), outcomes.requests, strict=True):
                requests.add_metric((*labels, cohort), count)
            for kind, counts in outcomes.bad.items():
                for cohort, count in zip(_cohorts(counts), counts, strict=True):
                    bad.add_metric((*labels, cohort, kind), count)
            for kind, amounts in outcomes.values.items():
                for cohort, amount in zip(_cohorts(amounts), amounts, strict=True):
                    values.add_metric((*labels, cohort, kind), amount)
            buckets = list(zip(self._edges, accumulate(outcomes.duration_buckets), strict=True))
            duration.add_metric(labels, buckets, outcomes.duration_sum)
            exposed.add_metric(labels, outcomes.exposed_users)
        yield from (given, requests, bad, values, duration, exposed)


def _cohorts(by_cohort: Sequence[object]) -> Iterator[str]:
    yield from map(str, range(len(by_cohort) - 1))
    yield "targeted"
