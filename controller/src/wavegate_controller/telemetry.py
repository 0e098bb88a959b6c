"""What the controller tells of itself: metrics in a registry of its own, and one log line for each thing that moved."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain.alerting import AlertRecord
from wavegate_controller.domain.decision import Decision
from wavegate_controller.domain.notification import Backlog, Delivery, DeliveryState
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.transitions import Event

_log: Final = logging.getLogger("wavegate")


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


class PrometheusRecorder:
    """Fulfils `ports.Recorder`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "wavegate_controller_decisions",
            "Decisions taken, by what they did and why.",
            ("event", "reason"),
            registry=self._registry,
        )
        self._weight = Gauge(
            "wavegate_controller_candidate_ratio",
            "Share of the users that a flag's rollout gives the candidate.",
            ("flag",),
            registry=self._registry,
        )
        self._ticks = Histogram(
            "wavegate_controller_tick_seconds",
            "Time for one look at all rollouts that were due.",
            registry=self._registry,
        )
        self._lag = Gauge(
            "wavegate_controller_tick_lag_seconds",
            "How late the latest of the looks came that the last tick found due.",
            registry=self._registry,
        )
        self._looks = Counter("wavegate_controller_looks", "Looks at single rollouts.", registry=self._registry)
        self._delivery = Histogram(
            "wavegate_delivery_seconds",
            "From when this process served a revision until a connected client used it.",
            ("environment",),
            buckets=(0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
            registry=self._registry,
        )
        self._failures = Counter(
            "wavegate_controller_reconcile_failures",
            "Looks at a rollout that ended in an error of the controller's own.",
            registry=self._registry,
        )
        self._deliveries = Counter(
            "wavegate_controller_deliveries",
            "Attempts to deliver a message, by channel and how they ended: delivered, failed, or dead.",
            ("channel", "outcome"),
            registry=self._registry,
        )
        self._alerts = Counter(
            "wavegate_controller_alerts",
            "Alerts that Alertmanager reported, each counted once, by what came of it.",
            ("outcome",),
            registry=self._registry,
        )
        self._pending = Gauge(
            "wavegate_controller_outbox_pending", "Messages that wait to be delivered.", registry=self._registry
        )
        self._dead = Gauge(
            "wavegate_controller_outbox_dead",
            "Messages that were given up; see `wavegate notify deliveries --state dead`.",
            registry=self._registry,
        )
        self._oldest = Gauge(
            "wavegate_controller_outbox_age_seconds",
            "How long the oldest message that waits has waited.",
            registry=self._registry,
        )
        self._audit = Gauge(
            "wavegate_controller_audit_entries", "Entries of the audit; it never falls.", registry=self._registry
        )

    def revision_delivered(self, environment: str, seconds: float) -> None:
        """Count that a revision came into use at a client."""
        self._delivery.labels(environment=environment).observe(seconds)

    def show_connected(self, clients: Callable[[], Mapping[str, int]]) -> None:
        """Show how many clients each environment has."""
        self._registry.register(_Connected(clients))

    def decided(self, rollout: Rollout, decision: Decision) -> None:
        """Count a committed decision; moves are logged, holds only in detail."""
        self._decisions.labels(event=decision.event.value, reason=decision.reason.value).inc()
        self._weight.labels(flag=rollout.flag_key).set(rollout.weight / FULL_WEIGHT)
        _log.log(
            logging.DEBUG if decision.event is Event.TICK else logging.INFO,
            "action=%s flag=%s rollout=%s state=%s weight=%d reason=%s: %s",
            decision.event.value,
            rollout.flag_key,
            rollout.id,
            rollout.state.value,
            rollout.weight,
            decision.reason.value,
            decision.sentence,
        )

    def ticked(self, *, seconds: float, rollouts: int) -> None:
        """Count one tick."""
        self._ticks.observe(seconds)
        self._looks.inc(rollouts)

    def late(self, *, seconds: float) -> None:
        """Show how far the reconciler is behind."""
        self._lag.set(seconds)

    def failed(self, rollout_id: str, error: Exception) -> None:
        """Count and log an error of ours; the rollout stays as it is and is looked at again."""
        self._failures.inc()
        _log.error("action=reconcile_failed rollout=%s", rollout_id, exc_info=error)

    def delivered(self, delivery: Delivery) -> None:
        """Count an attempt; what is given up is logged."""
        outcome = "failed" if delivery.state is DeliveryState.PENDING else delivery.state.value
        self._deliveries.labels(channel=delivery.channel, outcome=outcome).inc()
        _log.log(
            logging.WARNING if delivery.state is DeliveryState.DEAD else logging.INFO,
            "action=message_%s channel=%s delivery=%d message=%s attempts=%d error=%r",
            outcome,
            delivery.channel,
            delivery.id,
            delivery.message.action,
            delivery.attempts,
            delivery.error,
        )

    def alerted(self, record: AlertRecord) -> None:
        """Count and log an alert."""
        self._alerts.labels(outcome=record.outcome.value).inc()
        _log.info(
            "action=alert_%s flag=%s environment=%s alert=%r fingerprint=%r outcome=%s: %s",
            "fired" if record.alert.is_firing else "resolved",
            record.flag,
            record.environment,
            record.alert.name,
            record.alert.fingerprint,
            record.outcome.value,
            record.detail,
        )

    def waiting(self, backlog: Backlog, *, audit_entries: int, now: datetime) -> None:
        """Show how much waits, and how long the audit is."""
        self._pending.set(backlog.pending)
        self._dead.set(backlog.dead)
        self._oldest.set((now - backlog.oldest).total_seconds() if backlog.oldest else 0)
        self._audit.set(audit_entries)

    def show(self, totals: Callable[[], Mapping[str, Totals]], *, bounds: Sequence[float]) -> None:
        """Show counts that apps posted beside our own, under the names that an SDK gives them, by environment."""
        self._registry.register(_Posted(totals, bounds))

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self._registry)


class _Connected:
    """A collector for prometheus_client."""

    def __init__(self, clients: Callable[[], Mapping[str, int]]) -> None:
        self._clients = clients

    def collect(self) -> Iterator[Metric]:
        """Called at scrape."""
        family = GaugeMetricFamily("wavegate_connected_clients", "Clients connected now.", labels=("environment",))
        for environment, count in self._clients().items():
            family.add_metric((environment,), count)
        yield family


class _Posted:
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
