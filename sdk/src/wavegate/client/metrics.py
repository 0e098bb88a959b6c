"""The counts as Prometheus metrics: shown when it scrapes, or kept in the value files of `prometheus_client`.

The only module that imports prometheus_client. The names and labels are a contract: controllers
query them.
"""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry, values
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from wavegate.client import process
from wavegate.client.counters import COHORT_NAMES, DURATION_BOUNDS, Arm, Counters
from wavegate.client.log import log
from wavegate.client.worker import Worker

#: Where an app keeps its metrics.
Registry: TypeAlias = CollectorRegistry

_ARM: Final = ("flag", "variant")
#: Name without `_total`, labels, and what it says to whoever reads /metrics.
_COUNTERS: Final = {
    "wavegate_evaluations": ((*_ARM, "reason"), "Answers given, by reason."),
    "wavegate_requests": ((*_ARM, "cohort"), "Requests finished under a variant."),
    "wavegate_bad": ((*_ARM, "cohort", "kind"), "Requests under a variant that ended badly."),
    "wavegate_value": ((*_ARM, "cohort", "kind"), "What requests under a variant added up to."),
    "wavegate_pilot_requests": (
        (*_ARM, "person"),
        "Requests finished by the people of a pilot, each by a hash that tells nobody who it is.",
    ),
    "wavegate_exposed_users": (_ARM, "Users who began a request under a variant, each once per process and wave."),
}
_DURATION: Final = "wavegate_duration_seconds"
_DURATION_HELP: Final = "How long requests took under a variant."
#: Name, what it says, and which process speaks for all in multi-process mode: the one furthest behind.
_GAUGES: Final = {
    "wavegate_ruleset_revision": ("The revision in use.", "livemin"),
    "wavegate_ruleset_age_seconds": ("Since the controller last confirmed the ruleset.", "livemax"),
    "wavegate_stream_connected": (
        "Whether changes are pushed; of a client that polls by choice, whether it was answered.",
        "livemin",
    ),
}
_INFO: Final = "wavegate_client_info"
_INFO_HELP: Final = "What the app calls itself that counts here; always 1."
_BUCKETS: Final = (*map(floatToGoString, DURATION_BOUNDS), "+Inf")

#: Name without `_total`, label values, and the count.
Sample: TypeAlias = tuple[str, tuple[str, ...], float]


class Exposition:
    """The collector of one registry."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def describe(self) -> Iterable[Metric]:
        """The names, for the registry to keep others from using them."""
        return [*_families().values()]

    def collect(self) -> Iterator[Metric]:
        """Called at scrape."""
        families = _families()
        for name, value in _gauges(self._counters):
            families[name].add_metric([], value)
        for app in list(self._counters.apps):
            families[_INFO].add_metric([app], 1.0)
        for name, labels, count in _counts(self._counters):
            families[name].add_metric(labels, count)
        for arm in self._counters.all_arms():
            below = zip(_BUCKETS, accumulate(arm.buckets), strict=True)
            families[_DURATION].add_metric((arm.flag, arm.variant), list(below), arm.seconds[0])
        yield from families.values()


def counters_in(registry: Registry | None) -> Counters:
    """The counters that show up in this registry; the process's default one if None."""
    registry = REGISTRY if registry is None else registry
    with process.quiet:
        counters = _by_registry.get(registry)
        if counters is None:
            counters = _by_registry[registry] = Counters()
            registry.register(Exposition(counters))
            process.adopt(counters)
            # It decides that once, from PROMETHEUS_MULTIPROC_DIR, when it is first imported.
            if getattr(values.ValueClass, "_multiprocess", False):
                ValueFiles(counters).start()
    return counters


_by_registry: WeakKeyDictionary[CollectorRegistry, Counters] = WeakKeyDictionary()


class ValueFiles:
    """Keeps counters in this process's value files, where any process can read and add them up.

    That is prometheus_client's multi-process mode, in which nobody asks collectors such as ours.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._folded: dict[tuple[str, ...], float] = {}
        self._worker = Worker("wavegate-files", self._step)
        self._failed = False

    def start(self) -> None:
        """Begins to fold: now, once a second, and when the counters are flushed."""
        self._counters.flush = self.fold
        process.adopt(self)
        self._worker.start()

    def fold(self) -> None:
        """Adds to the files what was counted since the last time; every series exists from the first time on."""
        # Their lock is not ours; a child forked while we hold it could never count anything.
        with process.quiet:
            try:
                self._fold()
                self._failed = False
            except Exception:  # noqa: BLE001 # a full disk, a directory that is gone: no reason to disturb the app
                if not self._failed:
                    log().exception("the counts were not written", extra={"action": "counts_not_written"})
                self._failed = True

    def after_fork(self) -> None:
        """In a forked child: its files, which have its own number, begin where its counters do, at 0."""
        self._folded.clear()
        self._worker.start_again(delay=0)

    def at_exit(self) -> None:
        """The counters flush."""

    def _step(self) -> float:
        self.fold()
        return _FOLD_EVERY

    def _fold(self) -> None:
        for name, state in _gauges(self._counters):
            text, mode = _GAUGES[name]
            _value(("gauge", name, name, (), (), text), mode).set(state)
        for app in list(self._counters.apps):
            _value(("gauge", _INFO, _INFO, ("app",), (app,), _INFO_HELP), "livemax").set(1.0)
        for name, labels, count in _counts(self._counters):
            names, text = _COUNTERS[name]
            self._add(count, ("counter", name, f"{name}_total", names, labels, text))
        for arm in self._counters.all_arms():
            labels = (arm.flag, arm.variant)
            self._add(arm.seconds[0], ("histogram", _DURATION, f"{_DURATION}_sum", _ARM, labels, _DURATION_HELP))
            for bound, count in zip(_BUCKETS, arm.buckets, strict=True):
                # Not cumulated: whoever reads the files does that.
                names, bucket = (*_ARM, "le"), (*labels, bound)
                self._add(count, ("histogram", _DURATION, f"{_DURATION}_bucket", names, bucket, _DURATION_HELP))

    def _add(self, count: float, series: "Series") -> None:
        key = (series[2], *series[4])
        before = self._folded.get(key)
        if before != count:
            # By difference, not as it stands: the files of an earlier process with the same number are continued.
            _value(series).inc(count - (before or 0))
            self._folded[key] = count


_FOLD_EVERY: Final = 1.0
#: Type, metric, series, label names, label values and help: what prometheus_client knows a value by.
Series: TypeAlias = tuple[str, str, str, tuple[str, ...], tuple[str, ...], str]

# One object for each series: two would overwrite one another, since each remembers what it last wrote.
_values: dict[tuple[str, ...], Any] = {}


def _value(series: Series, mode: str = "") -> Any:
    key = (series[2], *series[4])
    if key not in _values:
        _values[key] = values.ValueClass(*series, multiprocess_mode=mode)
    return _values[key]


def _gauges(counters: Counters) -> Iterator[tuple[str, float]]:
    state = counters.state()
    for name, value in zip(_GAUGES, state, strict=True):
        if value is not None:
            yield name, float(value)


def _counts(counters: Counters) -> Iterator[Sample]:
    for key, cell in counters.all_evaluations():
        yield "wavegate_evaluations", key, cell[0]
    for key, cell in counters.all_people():
        yield "wavegate_pilot_requests", key, cell[0]
    for arm in counters.all_arms():
        yield from _outcomes(arm)


def _outcomes(arm: Arm) -> Iterator[Sample]:
    labels = (arm.flag, arm.variant)
    # The bad before all, so that no scrape shows more bad than there were requests.
    for kind, by_cohort in arm.bad.items():
        for cohort, count in zip(COHORT_NAMES, by_cohort, strict=True):
            yield "wavegate_bad", (*labels, cohort, str(kind)), count
    for kind, amounts in arm.values.items():
        for cohort, amount in zip(COHORT_NAMES, amounts, strict=True):
            yield "wavegate_value", (*labels, cohort, str(kind)), amount
    for cohort, count in zip(COHORT_NAMES, arm.requests, strict=True):
        yield "wavegate_requests", (*labels, cohort), count
    yield "wavegate_exposed_users", labels, arm.exposed[0]


def _families() -> dict[str, Any]:
    families: dict[str, Any] = {
        name: CounterMetricFamily(name, text, labels=list(labels)) for name, (labels, text) in _COUNTERS.items()
    }
    families[_DURATION] = HistogramMetricFamily(_DURATION, _DURATION_HELP, labels=list(_ARM))
    families[_INFO] = GaugeMetricFamily(_INFO, _INFO_HELP, labels=["app"])
    families |= {name: GaugeMetricFamily(name, text, labels=[]) for name, (text, _) in _GAUGES.items()}
    return families
