"""What every use-case needs, handed in as one value."""

from dataclasses import dataclass, field, replace
from typing import Self

from wavegate_controller.domain.alerting import AlertPolicy
from wavegate_controller.ports import (
    Clock,
    Fleets,
    Messenger,
    MetricHistory,
    MetricProvider,
    Passwords,
    Recorder,
    Rewind,
    RulesetSink,
    Store,
    Webhooks,
)
from wavegate_controller.service.folds import Folds


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """The world as the services see it; built in one place, `bootstrap`.

    Attributes:
        environment: whose flags these services speak of.
        history: the source of metrics as one that remembers; None where it does not.
        rewind: gives that source as it would have answered in the past; None where it remembers nothing.
        pages: what the addresses of the controller's pages begin with; empty where nobody knows it.
        alerts: what alerts may do.
        delivery_attempts: after how many a message is given up.
        needs_stages: whether a flag without a passport stands at the beginning of its stages, or outside of them.
    """

    environment: str
    store: Store
    clock: Clock
    provider: MetricProvider
    webhooks: Webhooks
    sink: RulesetSink
    recorder: Recorder
    passwords: Passwords
    fleets: Fleets
    messenger: Messenger
    history: MetricHistory | None = None
    rewind: Rewind | None = None
    pages: str = ""
    alerts: AlertPolicy = field(default_factory=AlertPolicy)
    delivery_attempts: int = 50
    needs_stages: bool = False
    folds: Folds = field(default_factory=Folds)

    def within(self, environment: str) -> Self:
        """The same world, speaking of another environment.

        Raises:
            NotFound: there is no such environment.
        """
        if environment == self.environment:
            return self
        with self.store.transaction() as work:
            work.environments.get(environment)
        return replace(self, environment=environment)
