"""What was served, counted in plain list cells and shown to Prometheus when it scrapes.

The only module that imports prometheus_client. The names and labels are a contract: controllers
query them.

An increment such as `cell[0] += 1` loses nothing between threads, because CPython hands the
interpreter to another thread only at calls and backward jumps: no call may stand between the read
and the write. A lock would cost ten times as much as the whole increment.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import accumulate
from typing import Final, Protocol, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from wavegate.evaluation import COHORTS, Reason

Cell: TypeAlias = list[int]
#: Where an app keeps its metrics.
Registry: TypeAlias = CollectorRegistry

#: Wide enough for a cached lookup and for a long generation.
DURATION_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class BadKind(StrEnum):
    """Why an outcome counts against its variant."""

    #: An exception left the trial.
    ERROR = "error"
    #: It took longer than the trial's `slow_after`.
    SLOW = "slow"
    #: The app gave up on the variant and used something else.
    FALLBACK = "fallback"
    #: The person said that it was no good.
    THUMBS_DOWN = "thumbs_down"
    #: Anything else the app calls bad; one kind for all, so that no label can grow without bound.
    CUSTOM = "custom"


class Arm:
    """The outcomes of one variant of one flag, by cohort."""

    __slots__ = ("bad", "buckets", "requests", "seconds")

    def __init__(self) -> None:
        self.requests: Cell = [0] * COHORTS
        self.bad: dict[BadKind, Cell] = {kind: [0] * COHORTS for kind in BadKind}
        self.buckets: Cell = [0] * (len(DURATION_BOUNDS) + 1)
        self.seconds = [0.0]

    def count(self, cohort: int, kind: BadKind | None, seconds: float) -> None:
        """Counts one finished request: all that is known of it, together."""
        bucket = bisect_left(DURATION_BOUNDS, seconds)
        bad = None if kind is None else self.bad[kind]
        # From here on no calls, see above; and the request first, so that no scrape sees more bad than all.
        self.requests[cohort] += 1
        if bad is not None:
            bad[cohort] += 1
        self.buckets[bucket] += 1
        self.seconds[0] += seconds


class Source(Protocol):
    """A client, as far as its own metrics go."""

    @property
    def revision(self) -> int | None:
        """The revision in use; None before there is one."""

    @property
    def age(self) -> float | None:
        """Seconds since the controller last confirmed the ruleset; None for a client without one."""


class Counters:
    """All counts of one registry. Clients share them; a count outlives the ruleset it began under."""

    def __init__(self) -> None:
        self._sources: WeakSet[Source] = WeakSet()
        self._lock = threading.Lock()
        self._evaluations: dict[tuple[str, str, Reason], Cell] = {}
        self._arms: dict[tuple[str, str], Arm] = {}

    def evaluations(self, flag_key: str, variant: str | None, reason: Reason) -> Cell:
        """The cell for one kind of answer. No variant, the caller's default, is an empty label."""
        with self._lock:
            return self._evaluations.setdefault((flag_key, variant or "", reason), [0])

    def arm(self, flag_key: str, variant: str) -> Arm:
        """The cells for one variant; asking for it makes all its series appear, with 0."""
        with self._lock:
            return self._arms.setdefault((flag_key, variant), Arm())

    def attach(self, source: Source) -> None:
        """Shows a client's revision and age from now on."""
        with self._lock:
            self._sources.add(source)

    def detach(self, source: Source) -> None:
        """Shows them no longer."""
        with self._lock:
            self._sources.discard(source)

    def describe(self) -> Iterable[Metric]:
        """The names, for the registry to keep others from using them."""
        return list(_families())

    def collect(self) -> Iterator[Metric]:
        """Called at scrape."""
        evaluations, requests, bad, duration, revision, age = families = _families()
        with self._lock:
            cells, arms = list(self._evaluations.items()), list(self._arms.items())
            sources = list(self._sources)
        for (flag, variant, reason), cell in cells:
            evaluations.add_metric([flag, variant, reason], cell[0])
        for (flag, variant), arm in arms:
            # The bad before all, so that no scrape shows more bad than there were requests.
            for kind, by_cohort in arm.bad.items():
                for cohort, count in enumerate(by_cohort):
                    bad.add_metric([flag, variant, str(cohort), kind], count)
            for cohort, count in enumerate(arm.requests):
                requests.add_metric([flag, variant, str(cohort)], count)
            below = zip((*map(str, DURATION_BOUNDS), "+Inf"), accumulate(arm.buckets), strict=True)
            duration.add_metric([flag, variant], list(below), arm.seconds[0])
        # Of several clients the one furthest behind: that is the one to worry about.
        revisions = [source.revision for source in sources if source.revision is not None]
        ages = [seconds for source in sources if (seconds := source.age) is not None]
        if revisions:
            revision.add_metric([], min(revisions))
        if ages:
            age.add_metric([], max(ages))
        yield from families


def counters_in(registry: Registry | None) -> Counters:
    """The counters that show up in this registry; the process's default one if None."""
    registry = REGISTRY if registry is None else registry
    with _registering:
        counters = _by_registry.get(registry)
        if counters is None:
            counters = Counters()
            registry.register(counters)
            _by_registry[registry] = counters
    return counters


_registering = threading.Lock()
_by_registry: WeakKeyDictionary[CollectorRegistry, Counters] = WeakKeyDictionary()


def _families() -> tuple[
    CounterMetricFamily,
    CounterMetricFamily,
    CounterMetricFamily,
    HistogramMetricFamily,
    GaugeMetricFamily,
    GaugeMetricFamily,
]:
    arm = ["flag", "variant"]
    return (
        CounterMetricFamily("wavegate_evaluations", "Answers given, by reason.", labels=[*arm, "reason"]),
        CounterMetricFamily("wavegate_requests", "Requests finished under a variant.", labels=[*arm, "cohort"]),
        CounterMetricFamily(
            "wavegate_bad", "Requests under a variant that ended badly.", labels=[*arm, "cohort", "kind"]
        ),
        HistogramMetricFamily("wavegate_duration_seconds", "How long requests took under a variant.", labels=arm),
        GaugeMetricFamily("wavegate_ruleset_revision", "The revision in use.", labels=[]),
        GaugeMetricFamily(
            "wavegate_ruleset_age_seconds", "Since the controller last confirmed the ruleset.", labels=[]
        ),
    )
