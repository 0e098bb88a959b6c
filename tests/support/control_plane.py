"""A control plane over a real database, its clock and its metrics server in the test's hand."""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from flask import Flask

from support.database import database
from wavegate_controller.api import make_api
from wavegate_controller.delivery import Snapshot
from wavegate_controller.domain.measurement import Broken, BrokenReason
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.services import Services
from wavegate_controller.store import SqlStore
from wavegate_controller.telemetry import PrometheusRecorder


class Clock:
    def __init__(self):
        self.time = datetime(2026, 1, 2, 8, 0, tzinfo=UTC)

    def now(self):
        return self.time

    def advance(self, **duration):
        self.time += timedelta(**duration)


class DeadPrometheus:
    """Answers nothing, but knows broken PromQL when it sees it: tells a hold from a refusal."""

    def query(self, promql, *, at):
        return Broken(reason=BrokenReason.UNREACHABLE, detail="connection refused")

    def samples(self, selector, *, at, lookback):
        return Broken(reason=BrokenReason.UNREACHABLE, detail="connection refused")

    def check(self, promql):
        if promql.count("(") != promql.count(")"):
            return Broken(reason=BrokenReason.QUERY_REJECTED, detail="parse error: unclosed left parenthesis")
        return None


@dataclass(frozen=True)
class ControlPlane:
    services: Services
    clock: Clock

    def client(self, **tokens):
        """A client of the API, beside a page that is not the API's."""
        app = Flask("control_plane")
        app.register_blueprint(make_api(self.services, tokens=tokens))
        return app.test_client()

    def look(self, rollout_id):
        """What the reconciler does when the rollout is due."""
        return reconcile(self.services, rollout_id)

    def without_database(self):
        """The same control plane after its database went away."""

        class Gone:
            def transaction(self):
                raise OSError("disk I/O error")

        return replace(self, services=replace(self.services, store=Gone()))


@contextmanager
def control_plane(directory):
    clock = Clock()
    with database(directory) as engine:
        yield ControlPlane(
            services=Services(
                environment="test",
                store=SqlStore(engine),
                clock=clock,
                provider=DeadPrometheus(),
                sink=Snapshot(),
                recorder=PrometheusRecorder(),
            ),
            clock=clock,
        )
