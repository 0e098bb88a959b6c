"""Several use-cases as one: all of them are kept, or none is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

from wavegate_controller.domain.counts import CounterSelector
from wavegate_controller.domain.decision import Decision
from wavegate_controller.domain.measurement import Answer, Broken, BrokenReason, Series
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.ports import Notices, Recorder, Store, UnitOfWork
from wavegate_controller.service.services import Services


class _Undone(Exception):
    """Leaves a transaction that is not to be kept."""


class _JoinedStore:
    """Fulfils `ports.Store`: every transaction is a part of one that is open already."""

    def __init__(self, work: UnitOfWork, notices: Notices) -> None:
        self._work = work
        self.notices = notices

    @contextmanager
    def transaction(self) -> Iterator[UnitOfWork]:
        """What raises is undone by itself."""
        with self._work.attempt():
            yield self._work


class _LastRevisions:
    """Fulfils `ports.RulesetSink`: keeps the newest revision of each environment until it may go out."""

    def __init__(self) -> None:
        self.rulesets: dict[str, PublishedRuleset] = {}

    def publish(self, ruleset: PublishedRuleset) -> None:
        """Keep it."""
        self.rulesets[ruleset.environment] = ruleset


class _Silent:
    """Fulfils `ports.MetricProvider` while a transaction is open, in which nobody waits for a metrics server."""

    notice = None

    def query(self, promql: str, *, at: datetime) -> Answer:  # noqa: ARG002 - the port's signature
        """Nothing."""
        return _unasked()

    def check(self, promql: str) -> Broken | None:  # noqa: ARG002 - the port's signature
        """Whoever joins use-cases checks queries before."""
        return None

    def alert_rule(self, name: str) -> Broken | None:  # noqa: ARG002 - the port's signature
        """As `check`."""
        return None

    def samples(
        self,
        selector: CounterSelector,  # noqa: ARG002 - the port's signature
        *,
        at: datetime,  # noqa: ARG002 - the port's signature
        lookback: timedelta,  # noqa: ARG002 - the port's signature
    ) -> tuple[Series, ...] | Broken:
        """Nothing."""
        return _unasked()


class _Later:
    """What use-cases need of `ports.Recorder`: counts what was decided once it is kept."""

    def __init__(self) -> None:
        self.decisions: list[tuple[Rollout, Decision]] = []

    def decided(self, rollout: Rollout, decision: Decision) -> None:
        """Remember it."""
        self.decisions.append((rollout, decision))


def _unasked() -> Broken:
    return Broken(reason=BrokenReason.UNREACHABLE, detail="nothing is measured in the middle of a transaction")


class Joined:
    """The services of one transaction over several use-cases.

    Attributes:
        services: to be handed to the use-cases.
        is_kept: set it, and what was done stays.
    """

    def __init__(self, services: Services, work: UnitOfWork) -> None:
        self.sink = _LastRevisions()
        self.recorder = _Later()
        store: Store = _JoinedStore(work, services.store.notices)
        self.services = replace(
            services,
            store=store,
            sink=self.sink,
            recorder=cast("Recorder", self.recorder),
            provider=_Silent(),
            history=None,
        )
        self.work = work
        self.is_kept = False


def _leave_unless(is_kept: bool) -> None:
    if not is_kept:
        raise _Undone


@contextmanager
def joined(services: Services) -> Iterator[Joined]:
    """One transaction; its rulesets go out when it was kept, in which case nothing can have come in between."""
    together: Joined | None = None
    try:
        with services.store.transaction() as work:
            together = Joined(services, work)
            yield together
            _leave_unless(together.is_kept)
    except _Undone:
        return
    if together is not None:
        for ruleset in together.sink.rulesets.values():
            services.sink.publish(ruleset)
        for rollout, decision in together.recorder.decisions:
            services.recorder.decided(rollout, decision)
