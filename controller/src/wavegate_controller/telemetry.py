"""What the controller tells of itself: metrics in a registry of its own, and one log line for each thing that moved."""

import logging
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain.decision import Decision
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.transitions import Event

_log: Final = logging.getLogger("wavegate")


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
        self._looks = Counter("wavegate_controller_looks", "Looks at single rollouts.", registry=self._registry)
        self._failures = Counter(
            "wavegate_controller_reconcile_failures",
            "Looks at a rollout that ended in an error of the controller's own.",
            registry=self._registry,
        )

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

    def failed(self, rollout_id: str, error: Exception) -> None:
        """Count and log an error of ours; the rollout stays as it is and is looked at again."""
        self._failures.inc()
        _log.error("action=reconcile_failed rollout=%s", rollout_id, exc_info=error)

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self._registry)
