"""The composition root: the only module that knows every part."""

import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final, cast

import uvicorn
from a2wsgi import WSGIMiddleware
from flask import Flask, Response

from wavegate_controller.api import HEALTH, make_api, tell_requests
from wavegate_controller.clock import SystemClock
from wavegate_controller.config import Config
from wavegate_controller.delivery import (
    Cors,
    Delivery,
    Feed,
    FeedbackRoute,
    FeedRoutes,
    Flagd,
    Grant,
    Happening,
    Hub,
    Keys,
    Limits,
    Ofrep,
    PostedCounts,
    RateLimits,
    SdkRoutes,
)
from wavegate_controller.delivery.asgi import Application
from wavegate_controller.delivery.feedback import RATE_OF_A_PERSON, FeedbackLimits
from wavegate_controller.delivery.keys import hash_of
from wavegate_controller.delivery.protocol import BoundedProtocol
from wavegate_controller.documents.counts import BOUNDS
from wavegate_controller.domain.access import EVERYWHERE, SYSTEM, Role
from wavegate_controller.domain.credential import Credential
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.identity import FixedToken, Identity
from wavegate_controller.inbox import Inbox
from wavegate_controller.keyring import Keyring
from wavegate_controller.notify import OutsideMessenger, Sender
from wavegate_controller.passwords import Argon2Passwords
from wavegate_controller.ports import EVENTS, IdentityProvider, MetricHistory, MetricProvider, Store
from wavegate_controller.providers import Access, PrometheusProvider, ScrapeProvider
from wavegate_controller.providers.past import Past
from wavegate_controller.providers.webhook import Webhooks
from wavegate_controller.scheduler import Reconciler
from wavegate_controller.service.accounts import first_admin, invite
from wavegate_controller.service.happenings import happening_to_document, happenings, newest
from wavegate_controller.service.publish import follow, publish_latest
from wavegate_controller.service.services import Services
from wavegate_controller.siblings import Siblings
from wavegate_controller.store import OnlyProcess, SqlStore, migrate, open_engine
from wavegate_controller.telemetry import (
    CountedHistory,
    CountedProvider,
    NoSpans,
    PrometheusRecorder,
    Spans,
    TracedSink,
    log_to_stderr,
    open_spans,
)
from wavegate_controller.web import make_door, make_web

_log: Final = logging.getLogger("wavegate")
#: How long a stop waits for open requests.
_GRACE_SECONDS: Final = 1
#: SDKs that poll ask more often; what is silent for longer would only hold a file.
_KEEP_ALIVE_SECONDS: Final = 30
#: Connections that may wait to be accepted: all apps come back at once after a restart.
_BACKLOG: Final = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Controller:
    """A controller that is wired but not yet running.

    Attributes:
        app: the ASGI application, data plane and control plane.
        reconciler: watches; None where other processes do.
        sender: tells people; None where other processes do.
        inbox: writes down what people said.
        siblings: talks with the other processes; None where there can be none.
        alone: keeps other processes away from a database that takes only one.
        spans: say what the process does, where somebody listens.
    """

    services: Services
    hub: Hub
    feed: Feed
    app: Delivery
    reconciler: Reconciler | None
    sender: Sender | None
    keyring: Keyring
    inbox: Inbox
    siblings: Siblings | None
    alone: OnlyProcess
    spans: Spans

    def start(self) -> None:
        """Serve the stored ruleset and begin to watch."""
        follow(self.services)
        publish_latest(self.services)
        self.keyring.start()
        self.inbox.start()
        if self.siblings:
            self.siblings.start()
        if self.reconciler:
            self.reconciler.start()
        if self.sender:
            self.sender.start()

    def close(self) -> None:
        """Watch no longer, and leave to others what was claimed."""
        if self.sender:
            self.sender.close()
        if self.reconciler:
            self.reconciler.close()
            self.reconciler.leave()
        if self.siblings:
            self.siblings.close()
        self.keyring.close()
        self.inbox.close()
        self.spans.close()


def build(config: Config) -> Controller:
    """Wire all parts; creates or migrates the database.

    Raises:
        Invalid: a setting cannot be used.
    """
    engine = open_engine(config.database_url)
    alone = OnlyProcess(engine)
    if waiting := migrate.upgrade_beside_others(engine):
        _log.info("action=migrations_wait count=%d: run `wavegate db upgrade` once no older process runs", len(waiting))
    recorder = PrometheusRecorder()
    hub = Hub(
        heartbeat=config.stream_heartbeat.total_seconds(),
        limits=Limits(streams=config.max_streams, streams_of_a_key=config.max_streams_per_key),
        rollback_allowed=config.allow_revision_rollback,
        delivered=recorder.revision_delivered,
    )
    recorder.show_connected(hub.connected)
    counts = PostedCounts()
    recorder.show(counts.totals, bounds=BOUNDS)
    store = SqlStore(engine, encryption_keys=[key.get_secret_value() for key in config.encryption_keys])
    store.seal()
    spans = open_spans(wanted=config.traces)
    services = _services(config, store, hub, recorder, spans)
    control_plane = cast("Any", WSGIMiddleware(cast("Any", make_flask(services, recorder, config))))
    feed = _feed(services.store, heartbeat=config.stream_heartbeat)
    keys = Keys()
    keys.listen(hub.revoke)
    inbox = Inbox(services)
    feedback = FeedbackRoute(
        hub,
        keys,
        counts,
        inbox,
        limits=FeedbackLimits(key=RateLimits(config.feedback_rate_limit), person=RateLimits(RATE_OF_A_PERSON)),
        cors=Cors(config.feedback_cors_origins),
        now=services.clock.now,
        tell=recorder.feedback_taken,
    )
    return Controller(
        services=services,
        hub=hub,
        feed=feed,
        app=Delivery(
            (_data_plane(config, hub, counts, keys, feedback) if "data" in config.roles else {})
            | ({"/api/": FeedRoutes(feed, control_plane)} if "control" in config.roles else {}),
            otherwise=control_plane,
        ),
        reconciler=Reconciler(
            services,
            every=config.tick,
            keep=config.retention,
            keep_feedback=config.feedback_retention,
            around=lambda: spans.span("tick", {}),
        )
        if "reconcile" in config.roles
        else None,
        sender=Sender(services) if "reconcile" in config.roles else None,
        keyring=_keyring(services, keys, config),
        inbox=inbox,
        siblings=Siblings(services) if engine.dialect.name == "postgresql" else None,
        alone=alone,
        spans=spans,
    )


def _services(config: Config, store: Store, hub: Hub, recorder: PrometheusRecorder, spans: Spans) -> Services:
    pages = config.public_url or f"http://{config.host}:{config.port}"
    provider = make_provider(config)
    past = provider if isinstance(provider, PrometheusProvider) else None
    history = None if past is None else CountedHistory(past, recorder, spans)
    return Services(
        environment=config.environment,
        store=store,
        clock=SystemClock(),
        provider=history or CountedProvider(provider, recorder, spans),
        history=history,
        rewind=None if past is None else partial(Past, past),
        webhooks=make_webhooks(config),
        sink=TracedSink(hub, spans),
        fleets=hub,
        recorder=recorder,
        passwords=Argon2Passwords(),
        messenger=OutsideMessenger(services=config.notification_services, urls=config.notification_urls, pages=pages),
        pages=pages,
        alerts=config.alerts,
        needs_stages=config.stages == "required",
        delivery_attempts=config.notification_attempts,
    )


def _data_plane(
    config: Config, hub: Hub, counts: PostedCounts, keys: Keys, feedback: FeedbackRoute
) -> dict[str, Application]:
    ofrep = Ofrep(hub, keys, limits=RateLimits(config.ofrep_rate_limit), cors=Cors(config.ofrep_cors_origins))
    counts.include(ofrep.served)
    return {"/sdk/": SdkRoutes(hub, counts, keys, feedback), "/ofrep/": ofrep, "/flagd/": Flagd(hub, keys)}


def _feed(store: Store, *, heartbeat: timedelta) -> Feed:
    def read(after: int, limit: int) -> list[Happening]:
        return [
            Happening(
                id=entry.sequence,
                environment=entry.note.environment,
                action=entry.note.action,
                document=happening_to_document(entry),
            )
            for entry in happenings(store, after=after, limit=limit)
        ]

    feed = Feed(read, lambda: newest(store), heartbeat=heartbeat.total_seconds())
    store.notices.listen(EVENTS, feed.wake)
    return feed


def _keyring(services: Services, keys: Keys, config: Config) -> Keyring:
    unkeyed = config.environment if config.open and not config.sdk_keys else None

    def show(good: Mapping[str, Credential]) -> None:
        keys.replace(_grants(config, good), unkeyed=unkeyed)

    return Keyring(services, show, keys.used)


def _grants(config: Config, good: Mapping[str, Credential]) -> dict[str, Grant]:
    """The keys of the database and those of the settings."""
    stored = {secret_hash: Grant(key_id=key.id, environment=key.environment or "") for secret_hash, key in good.items()}
    fixed = {
        hash_of(key.get_secret_value()): Grant(key_id=f"settings:{number}", environment=config.environment)
        for number, key in enumerate(config.sdk_keys, 1)
    }
    return fixed | stored


def _identity_provider(config: Config) -> IdentityProvider | None:
    if not config.oidc_issuer:
        return None
    # Not at the top: it takes a tenth of a second, and most have no identity provider.
    from wavegate_controller.oidc import OidcProvider  # noqa: PLC0415

    secret = config.oidc_client_secret
    return OidcProvider(
        config.oidc_issuer,
        client_id=config.oidc_client_id,
        client_secret=secret.get_secret_value() if secret else None,
        scopes=config.oidc_scopes,
        claims=(config.oidc_name_claim, config.oidc_groups_claim),
        roles={
            group: {EVERYWHERE: roles} if isinstance(roles, Role) else roles
            for group, roles in config.oidc_roles.items()
        },
        label=config.oidc_label,
    )


def make_identity(services: Services, config: Config) -> Identity:
    """Tells who sends a request, as the settings have it."""
    return Identity(
        services,
        tokens={
            name: FixedToken(token=each.token.get_secret_value(), roles={each.environment: each.role})
            for name, each in config.tokens.items()
        },
        is_open=config.open,
        lifetime=config.session_lifetime,
        public_url=config.public_url,
    )


def make_provider(config: Config) -> MetricProvider:
    """The source of metrics that the settings name.

    Raises:
        Invalid: a setting cannot be used.
    """
    if config.scrape_targets:
        try:
            return ScrapeProvider(config.scrape_targets, timeout=config.prometheus_timeout.total_seconds())
        except Invalid as refusal:
            raise Invalid("scrape_targets", refusal.problem, refusal.expected) from None
    return make_history(config)


def make_history(config: Config) -> MetricHistory:
    """The source of metrics that the settings name, for whoever wants to know its past.

    Raises:
        Invalid: a setting cannot be used, or names a source without a memory.
    """
    if config.scrape_targets:
        raise Invalid("scrape_targets", "have no past that could be asked", "a Prometheus, by prometheus_url")
    timeout = config.prometheus_timeout.total_seconds()
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


def make_webhooks(config: Config) -> Webhooks:
    """What may ask the webhooks that the settings allow.

    Raises:
        Invalid: a setting cannot be used.
    """
    secret = config.webhook_secret
    return Webhooks(config.webhook_urls, secret=secret.get_secret_value() if secret else None)


def make_flask(services: Services, recorder: PrometheusRecorder, config: Config) -> Flask:
    """The control plane: API and pages; own health and metrics, which every process shows."""
    app = Flask(__name__, static_folder=None)
    tell_requests(app, recorder.requested)
    # Documents are written in the order that people read them.
    cast("Any", app.json).sort_keys = False
    identity = make_identity(services, config)
    if "control" in config.roles:
        provider = _identity_provider(config)
        app.register_blueprint(make_api(services, identity))
        app.register_blueprint(make_web(services, identity))
        app.register_blueprint(make_door(services, identity, provider, public_url=config.public_url))
    else:
        app.register_blueprint(make_api(services, identity, parts=HEALTH))

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(recorder.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")

    return app


def serve(config: Config) -> None:
    """Run a controller until SIGTERM or SIGINT.

    Raises:
        Invalid: a setting cannot be used, a taken port included.
    """
    log_to_stderr(config.log_level, layout=config.log_format)
    for library in ("alembic", "apscheduler"):
        logging.getLogger(library).setLevel(logging.WARNING)
    listener = listen(config.host, config.port)
    controller = build(config)
    controller.start()
    host, port = listener.getsockname()[:2]
    _log.info("action=serving url=http://%s:%d environment=%s role=%s", host, port, config.environment, config.role)
    if "control" in config.roles:
        _say_how_to_come_in(controller.services, config, f"http://{host}:{port}")
    run(controller.app, listener, controller.hub, controller.feed)
    controller.close()
    _log.info("action=stopped")
    logging.shutdown()
    # A look that waits for a hanging Prometheus would keep the process for its whole time-out. It is not worth that:
    # whatever it would have done is one transaction, and the next start does it.
    os._exit(0)


def run(app: Application, listener: socket.socket, *streams: Hub | Feed) -> None:
    """Serve an application with a data plane until SIGTERM or SIGINT; then these streams end first."""
    _tune()
    config = uvicorn.Config(
        cast("Any", app),
        http=BoundedProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = DataPlaneServer(config, *streams)
    for stop in (signal.SIGTERM, signal.SIGINT):
        # The server listens to signals only once it has begun, and raises again what stopped it once it has stopped:
        # the first must not be lost, and there is an after.
        signal.signal(stop, server.end)
    server.run(sockets=[listener])


class DataPlaneServer(uvicorn.Server):
    """Ends the streams before it waits for what else is open: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, *streams: Hub | Feed) -> None:
        super().__init__(config)
        self._streams = streams

    def end(self, *_: object) -> None:
        """As a signal handler: stop as soon as possible, be it before the first request."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and let everybody go."""
        for streams in self._streams:
            streams.close()
        await super().shutdown(sockets)


def _tune() -> None:
    """For ten thousand connections, whose objects live long and are looked through by each full collection."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 1000)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def invite_offline(config: Config, name: str) -> str:
    """The path of a new link for somebody, made in the database itself by who may read the settings.

    Raises:
        ControllerError: the settings cannot be used, or there is no such person.
    """
    engine = open_engine(config.database_url)
    try:
        migrate.check(engine)
        services = _services(config, SqlStore(engine), Hub(), PrometheusRecorder(), NoSpans())
        return f"/login/link/{invite(services, name, by=SYSTEM).secret}"
    finally:
        engine.dispose()


def _say_how_to_come_in(services: Services, config: Config, url: str) -> None:
    """On the terminal: in logs that others keep, a link would be one that others have."""
    if config.open:
        _log.warning("action=open whoever reaches this controller may do everything, under any name")
    elif invitation := first_admin(services):
        link = f"{config.public_url or url}/login/link/{invitation.secret}"
        print(  # noqa: T201 - see above
            f"\nNobody can sign in yet. Choose a password for {invitation.user.name!r} here, once, within a day:\n\n"
            f"    {link}\n\nLost it? Start again, or run `wavegate user link {invitation.user.name} --offline`.\n",
            flush=True,
        )


def listen(host: str, port: int) -> socket.socket:
    """Bind before anything else, so that a taken port is said at once and touches no database.

    Raises:
        Invalid: that cannot be.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise Invalid("port", f"cannot listen on {host}:{port}: {error.strerror}", "a free port") from None
    return listener
