"""Metrics of the controller in a registry of its own, and one log line for each thing that moved."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain.alerting import AlertRecord
from wavegate_controller.domain.answers import Taken
from wavegate_controller.domain.decision import Decision, DecisionReason
from wavegate_controller.domain.measurement import BrokenReason
from wavegate_controller.domain.notification import Backlog, Delivery, DeliveryState
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.transitions import Event
from wavegate_controller.telemetry.posted import PostedCollector, Totals

_log: Final = logging.getLogger("wavegate")


#: A tick of a thousand rollouts takes seconds where the metrics server is slow.
_TICK_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
#: Beyond the longest wait that is usual, all is one.
_QUERY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Few, since there is one of each for every operation that is used.
_REQUEST_BUCKETS: Final = (0.025, 0.1, 0.5, 2.5)


class PrometheusRecorder:
    """Fulfils `ports.Recorder`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        Info("wavegate_controller", "The version that runs.", registry=self._registry).info(
            {"version": version("wavegate-controller")}
        )
        self._decisions = Counter(
            "wavegate_controller_decisions",
            "Decisions taken, by what they did and why.",
            ("event", "reason"),
            registry=self._registry,
        )
        for why in DecisionReason:  # from the start, so that the first roll back is an increase
            self._decisions.labels(event=Event.ROLL_BACK.value, reason=why.value)
        self._verdicts = Counter(
            "wavegate_controller_verdicts",
            "Verdicts of gates on the evidence that was decided on.",
            ("gate", "verdict"),
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
            buckets=_TICK_BUCKETS,
            registry=self._registry,
        )
        self._lag = Gauge(
            "wavegate_controller_tick_lag_seconds",
            "How late the latest of the looks came that the last tick found due.",
            registry=self._registry,
        )
        self._last_tick = Gauge(
            "wavegate_controller_last_tick_timestamp_seconds",
            "When the last tick ended well; 0 while none did.",
            registry=self._registry,
        )
        self._tick_failures = Counter(
            "wavegate_controller_tick_failures",
            "Ticks that ended in an error, such as of a database that is away.",
            registry=self._registry,
        )
        self._claims = Gauge(
            "wavegate_controller_claims",
            "Rollouts that this process claimed in its last tick.",
            registry=self._registry,
        )
        self._overtaken = Counter(
            "wavegate_controller_looks_overtaken",
            "Looks that came to nothing: meanwhile another process had the claim, or somebody moved the rollout.",
            registry=self._registry,
        )
        self._lease_failures = Counter(
            "wavegate_controller_lease_failures",
            "Signs of life that could not be written: without them others take over what was claimed.",
            registry=self._registry,
        )
        self._queries = Histogram(
            "wavegate_controller_query_seconds",
            "Time that the metrics server took for an answer, good or not, by kind of question.",
            ("question",),
            buckets=_QUERY_BUCKETS,
            registry=self._registry,
        )
        self._query_failures = Counter(
            "wavegate_controller_query_failures",
            "Questions that the metrics server did not answer, by why.",
            ("reason",),
            registry=self._registry,
        )
        for reason in BrokenReason:  # see above
            self._query_failures.labels(reason=reason.value)
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
        self._feedback = Counter(
            "wavegate_controller_feedback",
            "Answers of people that came to this process, by what became of each.",
            ("outcome",),
            registry=self._registry,
        )
        for became in (*Taken, "limited", "refused"):  # see above
            self._feedback.labels(outcome=str(became))
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
        self._requests = Counter(
            "wavegate_controller_requests",
            "Requests to the API and the pages, by operation, method and class of status.",
            ("operation", "method", "status"),
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "wavegate_controller_request_seconds",
            "Time until such a request was answered, by operation.",
            ("operation",),
            buckets=_REQUEST_BUCKETS,
            registry=self._registry,
        )
        self._audit = Gauge(
            "wavegate_controller_audit_entries", "Entries of the audit; it never falls.", registry=self._registry
        )

    def revision_delivered(self, environment: str, seconds: float) -> None:
        """Count that a revision came into use at a client."""
        self._delivery.labels(environment=environment).observe(seconds)

    def requested(self, operation: str, *, method: str, status: int, seconds: float) -> None:
        """Count a request to the control plane."""
        self._requests.labels(operation=operation, method=method, status=f"{status // 100}xx").inc()
        self._request_seconds.labels(operation=operation).observe(seconds)

    def show_connected(self, clients: Callable[[], Mapping[str, int]]) -> None:
        """Show how many clients each environment has."""
        self._registry.register(_Connected(clients))

    def decided(self, rollout: Rollout, decision: Decision) -> None:
        """Count a committed decision; moves are logged, holds only in detail."""
        self._decisions.labels(event=decision.event.value, reason=decision.reason.value).inc()
        for verdict in decision.verdicts:
            self._verdicts.labels(gate=verdict.gate, verdict=verdict.kind.value).inc()
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

    def ticked(self, *, seconds: float, rollouts: int, now: datetime) -> None:
        """Count one tick."""
        self._ticks.observe(seconds)
        self._looks.inc(rollouts)
        self._claims.set(rollouts)
        self._last_tick.set(now.timestamp())

    def tick_failed(self) -> None:
        """Count a tick of which nothing came."""
        self._tick_failures.inc()

    def overtaken(self) -> None:
        """Count a look that came to nothing."""
        self._overtaken.inc()

    def lease_failed(self) -> None:
        """Count a sign of life that could not be written."""
        self._lease_failures.inc()

    def queried(self, question: str, *, seconds: float, reason: str | None) -> None:
        """Count a question to the metrics server; a reason says why it was not answered."""
        self._queries.labels(question=question).observe(seconds)
        if reason:
            self._query_failures.labels(reason=reason).inc()

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

    def feedback_taken(self, outcome: str) -> None:
        """Count an answer of a person, taken or not."""
        self._feedback.labels(outcome=outcome).inc()

    def waiting(self, backlog: Backlog, *, audit_entries: int, now: datetime) -> None:
        """Show how much waits, and how long the audit is."""
        self._pending.set(backlog.pending)
        self._dead.set(backlog.dead)
        self._oldest.set((now - backlog.oldest).total_seconds() if backlog.oldest else 0)
        self._audit.set(audit_entries)

    def show(self, totals: Callable[[], Mapping[str, Totals]], *, bounds: Sequence[float]) -> None:
        """Show counts that apps posted beside our own, under the names that an SDK gives them, by environment."""
        self._registry.register(PostedCollector(totals, bounds))

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
