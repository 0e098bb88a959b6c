"""The composition root: the only module that knows every part."""

import logging
import os
import socket
import sys
from dataclasses import dataclass
from typing import Any, Final, cast

import uvicorn
from a2wsgi import WSGIMiddleware
from flask import Flask, Response

from wavegate_controller.api import make_api
from wavegate_controller.clock import SystemClock
from wavegate_controller.config import Config
from wavegate_controller.delivery import Delivery, PostedCounts, Snapshot
from wavegate_controller.documents.counts import BOUNDS
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.ports import MetricProvider
from wavegate_controller.providers import Access, PrometheusProvider, ScrapeProvider
from wavegate_controller.providers.webhook import Webhooks
from wavegate_controller.scheduler import Reconciler
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.service.services import Services
from wavegate_controller.store import SqlStore, migrate, open_engine
from wavegate_controller.telemetry import PrometheusRecorder
from wavegate_controller.web import make_web

_log: Final = logging.getLogger("wavegate")
#: How long a stop waits for open requests.
_GRACE_SECONDS: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Controller:
    """A controller that is wired but not yet running.

    Attributes:
        app: the ASGI application, data plane and control plane.
    """

    services: Services
    app: Delivery
    reconciler: Reconciler

    def start(self) -> None:
        """Serve the stored ruleset and begin to watch."""
        publish_latest(self.services)
        self.reconciler.start()

    def close(self) -> None:
        """Watch no longer."""
        self.reconciler.close()


def build(config: Config) -> Controller:
    """Wire all parts; creates or migrates the database.

    Raises:
        Invalid: a setting cannot be used.
    """
    engine = open_engine(config.database_url)
    migrate.upgrade(engine)
    snapshot = Snapshot()
    recorder = PrometheusRecorder()
    counts = PostedCounts()
    recorder.show(counts.totals, bounds=BOUNDS)
    services = Services(
        environment=config.environment,
        store=SqlStore(engine),
        clock=SystemClock(),
        provider=_provider(config),
        webhooks=_webhooks(config),
        sink=snapshot,
        recorder=recorder,
    )
    control_plane = WSGIMiddleware(cast("Any", make_flask(services, recorder, config)))
    keys = [key.get_secret_value() for key in config.sdk_keys]
    return Controller(
        services=services,
        app=Delivery(snapshot, counts, keys=keys, otherwise=cast("Any", control_plane)),
        reconciler=Reconciler(services, every=config.tick),
    )


def _provider(config: Config) -> MetricProvider:
    timeout = config.prometheus_timeout.total_seconds()
    if config.scrape_targets:
        try:
            return ScrapeProvider(config.scrape_targets, timeout=timeout)
        except Invalid as refusal:
            raise Invalid("scrape_targets", refusal.problem, refusal.expected) from None
    token, password = config.prometheus_bearer_token, config.prometheus_password
    access = Access(
        bearer_token=token.get_secret_value() if token else None,
        basic_auth=(config.prometheus_username, password.get_secret_value()) if password else None,
        headers={name: value.get_secret_value() for name, value in config.prometheus_headers.items()},
        ca_file=config.prometheus_ca_file,
        client_cert=config.prometheus_client_cert,
        client_key=config.prometheus_client_key,
    )
    try:
        return PrometheusProvider(config.prometheus_url, timeout=timeout, access=access, lag=config.prometheus_lag)
    except Invalid as refusal:
        raise Invalid(f"prometheus_{refusal.field}", refusal.problem, refusal.expected) from None


def _webhooks(config: Config) -> Webhooks:
    secret = config.webhook_secret
    return Webhooks(config.webhook_urls, secret=secret.get_secret_value() if secret else None)


def make_flask(services: Services, recorder: PrometheusRecorder, config: Config) -> Flask:
    """The control plane: API, pages, own metrics."""
    app = Flask(__name__, static_folder=None)
    # Documents are written in the order that people read them.
    cast("Any", app.json).sort_keys = False
    app.register_blueprint(make_api(services, tokens=config.tokens))
    app.register_blueprint(make_web(services))

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(recorder.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")

    return app


def serve(config: Config) -> None:
    """Run a controller until SIGTERM or SIGINT.

    Raises:
        Invalid: a setting cannot be used, a taken port included.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=config.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    for library in ("alembic", "apscheduler"):
        logging.getLogger(library).setLevel(logging.WARNING)
    listener = _listen(config)
    controller = build(config)
    controller.start()
    host, port = listener.getsockname()[:2]
    _log.info("action=serving url=http://%s:%d environment=%s", host, port, config.environment)
    server = uvicorn.Server(
        uvicorn.Config(
            controller.app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
    server.run(sockets=[listener])
    controller.close()
    _log.info("action=stopped")
    logging.shutdown()
    # A look that waits for a hanging Prometheus would keep the process for its whole time-out. It is not worth that:
    # whatever it would have done is one transaction, and the next start does it.
    os._exit(0)


def _listen(config: Config) -> socket.socket:
    """Bind before anything else, so that a taken port is said at once and touches no database."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        raise Invalid(
            "port", f"cannot listen on {config.host}:{config.port}: {error.strerror}", "a free port"
        ) from None
    return listener
