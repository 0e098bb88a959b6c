"""What every use-case needs, handed in as one value."""

from dataclasses import dataclass, field

from wavegate_controller.ports import Clock, MetricProvider, Recorder, RulesetSink, Store, Webhooks
from wavegate_controller.service.folds import Folds


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """The world as the services see it; built in one place, `bootstrap`."""

    environment: str
    store: Store
    clock: Clock
    provider: MetricProvider
    webhooks: Webhooks
    sink: RulesetSink
    recorder: Recorder
    folds: Folds = field(default_factory=Folds)
