"""A controller's services over a real database, with a clock and a metrics server that the test moves by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from support.people import QUICK_PASSWORDS, person
from support.rollouts import NOW
from wavegate.client.counters import BadKind, ValueKind
from wavegate.evaluation import COHORTS, Ruleset, ruleset_from_json
from wavegate_controller.delivery import Hub
from wavegate_controller.documents import FlagDocument, RolloutDocument, parse
from wavegate_controller.domain.counts import CounterSelector
from wavegate_controller.domain.measurement import Answer, Broken, BrokenReason, Series, Value
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.transitions import Event
from wavegate_controller.notify import OutsideMessenger
from wavegate_controller.ports import Messenger, Store
from wavegate_controller.providers.webhook import Webhooks
from wavegate_controller.service.flags import create_flag
from wavegate_controller.service.rollouts import act, create_rollout
from wavegate_controller.service.services import Services
from wavegate_controller.store import SqlStore
from wavegate_controller.store.sealing import Vault, new_key
from wavegate_controller.telemetry import PrometheusRecorder

#: What the SDK counts, by metric.
KINDS = {
    "wavegate_requests_total": ("",),
    "wavegate_bad_total": tuple(BadKind),
    "wavegate_value_total": tuple(ValueKind),
    "wavegate_exposed_users_total": ("",),
}
#: Users are counted by cohort, except when they are seen first.
COHORTS_OF = {metric: tuple(map(str, range(COHORTS))) for metric in KINDS} | {"wavegate_exposed_users_total": ("",)}

ENCRYPTION_KEY = new_key()


class ManualClock:
    """Time stands still until the test moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, **duration: float) -> None:
        self._now += timedelta(**duration)


@dataclass
class HandMetrics:
    """A metrics server whose counters the test raises and which it may take away."""

    clock: ManualClock
    value: Answer = field(default_factory=lambda: Value(value=0.3))
    away: bool = False
    rule_problem: Broken | None = None
    counters: dict[tuple[str, ...], float] = field(default_factory=dict)
    queries: list[str] = field(default_factory=list)
    failures: int = 0
    #: What happens while it is asked for a number.
    on_query: Callable[[], None] | None = None

    def count(self, variant: str, requests: int, bad: int = 0, *, instance: str = "shop:1") -> None:
        """Requests and errors, all cohorts in turn; like the SDK's, all counters exist from the first one on."""
        for metric, kinds in KINDS.items():
            for kind in kinds:
                for cohort in COHORTS_OF[metric]:
                    self.counters.setdefault((metric, variant, kind, cohort, instance), 0)
        for number in range(requests):
            self.counters["wavegate_requests_total", variant, "", f"{number % COHORTS}", instance] += 1
        for _ in range(bad):
            self.failures += 1
            self.counters["wavegate_bad_total", variant, "error", f"{self.failures % COHORTS}", instance] += 1

    notice = None

    def query(self, promql: str, *, at: datetime) -> Answer:
        self.queries.append(promql)
        if self.on_query is not None:
            self.on_query()
        return self._outage() if self.away else self.value

    def check(self, promql: str) -> Broken | None:
        if "((" in promql:
            return Broken(reason=BrokenReason.QUERY_REJECTED, detail="parse error: unclosed left parenthesis")
        return None

    def alert_rule(self, name: str) -> Broken | None:
        return self._outage() if self.away else self.rule_problem

    def samples(self, selector: CounterSelector, *, at: datetime, lookback: timedelta) -> Sequence[Series] | Broken:
        self.queries.append(selector.promql)
        if self.away:
            return self._outage()
        return tuple(
            Series(labels=labels, samples=((at.timestamp(), value),))
            for flag in selector.flags
            for (metric, variant, kind, cohort, instance), value in self.counters.items()
            if selector.matches(
                labels := {
                    "__name__": metric,
                    "flag": flag,
                    "variant": variant,
                    "instance": instance,
                    **({"kind": kind} if kind else {}),
                    **({"cohort": cohort} if cohort else {}),
                }
            )
        )

    def _outage(self) -> Broken:
        return Broken(reason=BrokenReason.UNREACHABLE, detail="connection refused")


@dataclass
class World:
    """Everything a story needs."""

    services: Services
    clock: ManualClock
    metrics: HandMetrics
    hub: Hub

    @classmethod
    def over(
        cls,
        store: Store,
        *,
        webhooks: Webhooks | None = None,
        messenger: Messenger | None = None,
        beside: "World | None" = None,
    ) -> "World":
        """A world on this store; `beside` another one it has the same time, metrics and streams."""
        clock = beside.clock if beside else ManualClock()
        metrics, hub = (beside.metrics, beside.hub) if beside else (HandMetrics(clock), Hub())
        if isinstance(store, SqlStore) and not store.vault.has_key:
            # As every installation on PostgreSQL has one.
            store.vault = Vault([ENCRYPTION_KEY])
        services = Services(
            environment="production",
            store=store,
            clock=clock,
            provider=metrics,
            webhooks=webhooks or Webhooks(),
            sink=hub,
            fleets=hub,
            recorder=PrometheusRecorder(),
            messenger=messenger or OutsideMessenger(),
            passwords=QUICK_PASSWORDS,
        )
        return cls(services=services, clock=clock, metrics=metrics, hub=hub)

    def flag(self, key: str = "ai-summaries", **fields: Any) -> None:
        create_flag(self.services, parse(FlagDocument, {"key": key} | fields), by=person())

    def draft(self, flag: str = "ai-summaries", **plan: Any) -> Rollout:
        plan = {"waves": [{"percent": share, "bake": "1m", "target": "1m"} for share in (10, 25, 50, 100)]} | plan
        return create_rollout(self.services, parse(RolloutDocument, {"flag": flag, "plan": plan}), by=person("anna"))

    def started(self, flag: str = "ai-summaries", **plan: Any) -> Rollout:
        return act(self.services, self.draft(flag, **plan).id, Event.START, by=person("anna"))

    def rollout(self, rollout_id: str = "ai-summaries:1") -> Rollout:
        with self.services.store.transaction() as work:
            return work.rollouts.get(rollout_id)

    @property
    def ruleset(self) -> Ruleset:
        channel = self.hub.channel("production")
        assert channel is not None
        assert channel.current is not None
        return ruleset_from_json(channel.current.body)

    def served(self, flag: str = "ai-summaries") -> int:
        """Weight of the candidate in the ruleset that apps fetch."""
        rollout = self.ruleset.flags[flag].rollout
        return 0 if rollout is None else rollout.weight
