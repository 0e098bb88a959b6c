"""A relay put together: it follows its upstream as the SDK does, and serves with the controller's data plane."""

import hashlib
import logging
import os
import time
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final

from wavegate.client.checks import ConfigError
from wavegate.client.config import Config as ClientConfig
from wavegate.client.counters import Counters
from wavegate.client.local import read_last_known_good
from wavegate.client.poller import Poller
from wavegate.client.poster import Poster
from wavegate.client.transport import Transport
from wavegate.evaluation import Ruleset
from wavegate.evaluation.deltas import document_hash
from wavegate_controller.bootstrap import listen, run
from wavegate_controller.clock import SystemClock
from wavegate_controller.delivery import Cors, Delivery, Flagd, Hub, Keys, Ofrep, RateLimits, SdkRoutes
from wavegate_controller.delivery.asgi import Application, Receive, Scope, Send, answer, problem
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.relay.admission import Admission
from wavegate_controller.relay.counting import RelayedCounts, RelayedExposures
from wavegate_controller.relay.metrics import exposition
from wavegate_controller.relay.reporting import Reports
from wavegate_controller.relay.upstream import Upstream
from wavegate_controller.telemetry import log_to_stderr

_log: Final = logging.getLogger("wavegate")


@dataclass(frozen=True, kw_only=True, slots=True)
class RelaySettings:
    """What a relay is told. Durations are above zero.

    Attributes:
        upstream: base URL of a controller or another relay.
        sdk_key: shown to it for the ruleset; says which environment is relayed. None where no key is needed.
        cache: a directory for the ruleset and the hashes of keys; None for none.
        key_interval: how long a key that was revoked upstream may still hold here.
        post_interval: how often counts are handed on.
        heartbeat: of the streams.
        cors_origins: as the controller's `ofrep_cors_origins`.
        rate_limit: as the controller's `ofrep_rate_limit`.
    """

    upstream: str
    sdk_key: str | None = field(default=None, repr=False)
    cache: Path | None = None
    key_interval: timedelta = timedelta(seconds=1)
    post_interval: timedelta = timedelta(seconds=5)
    timeout: timedelta = timedelta(seconds=5)
    heartbeat: timedelta = timedelta(seconds=10)
    cors_origins: tuple[str, ...] = ()
    rate_limit: float = 0

    def client(self) -> ClientConfig:
        """As the SDK's client is told.

        Raises:
            Invalid: a setting cannot be used.
        """
        try:
            return ClientConfig(
                url=self.upstream,
                sdk_key=self.sdk_key,
                cache_path=self._kept("ruleset"),
                post_interval=self.post_interval.total_seconds(),
                timeout=self.timeout.total_seconds(),
                app_name="wavegate-relay",
            )
        except ConfigError as refused:
            setting, _, problem = str(refused).partition(": ")
            raise Invalid("upstream" if setting == "url" else setting, *_parted(problem)) from None

    def keys_file(self) -> Path | None:
        """Where the hashes of keys are kept."""
        return self._kept("keys")

    def _kept(self, what: str) -> Path | None:
        """Apart for each upstream and key, so that nothing is ever served that another one gave."""
        if self.cache is None:
            return None
        source = hashlib.sha256(f"{self.upstream.rstrip('/')} {self.sdk_key or ''}".encode()).hexdigest()[:16]
        return self.cache / f"{what}-{source}.json"


class Relay:
    """A relay that is wired; as an ASGI application it answers as a controller's data plane does.

    Args:
        settings: what it is told.
        name: its own, by chance unless a test gives one.

    Raises:
        Invalid: a setting cannot be used.
    """

    def __init__(self, settings: RelaySettings, *, name: str | None = None) -> None:
        client = settings.client()
        self.hub = Hub(heartbeat=settings.heartbeat.total_seconds())
        self._clock = SystemClock()
        self._cache = client.cache_path
        self._keys = Keys()
        self._keys.listen(self.hub.revoke)
        counters = Counters()
        self._upstream = Upstream(settings.upstream, timeout=client.timeout)
        ofrep = Ofrep(
            self.hub,
            self._keys,
            limits=RateLimits(settings.rate_limit),
            cors=Cors(settings.cors_origins),
            count=lambda: RelayedExposures(counters),
        )
        modules: dict[str, Application] = {
            "/sdk/": SdkRoutes(self.hub, RelayedCounts(counters), self._keys),
            "/ofrep/": ofrep,
            "/flagd/": Flagd(self.hub, self._keys),
        }
        self.app = Admission(
            Delivery(modules, otherwise=self._own),
            self._keys,
            self._upstream.ask,
            name=name or os.urandom(8).hex(),
            every=settings.key_interval.total_seconds(),
            memory=settings.keys_file(),
        )
        self._poller = Poller(client, offer=self._offer, confirm=self._confirm, looked=self._looked)
        self._poster = Poster(client, counters)
        transport = Transport(client)
        transport.identify(self._poller.instance)
        self._reports = Reports(
            transport,
            client.acks_url,
            clients=lambda: () if self._environment is None else self.hub.clients(self._environment),
            is_following=lambda: self._poller.is_streaming,
        )
        self._environment: str | None = None
        self._confirmed: float | None = None
        self._is_connected = False

    def start(self) -> None:
        """Serve what the cache has, and follow the upstream."""
        if self._cache is not None and (kept := read_last_known_good(self._cache)) is not None:
            self._publish(kept, self._cache.read_bytes())
        self._poller.start(urgent=True)
        self._poster.start()
        self._reports.start()

    def close(self) -> None:
        """Follow no longer, and hand on what was counted, in two seconds at most."""
        self._poller.stop()
        self._poster.stop()
        self._reports.close()
        self.app.close()
        self._upstream.close()

    def _offer(self, ruleset: Ruleset, rollback_allowed: bool, document: bytes) -> bool:
        channel = self.hub.channel(ruleset.environment)
        current = None if channel is None else channel.current
        if current is not None:
            if current.body == document:
                return True
            if ruleset.revision <= current.revision and not rollback_allowed:
                return False
        self._publish(ruleset, document, is_meant=rollback_allowed)
        return True

    def _publish(self, ruleset: Ruleset, document: bytes, *, is_meant: bool = False) -> None:
        """As it came, byte by byte: it may have fields that only newer SDKs know."""
        published = PublishedRuleset(
            environment=ruleset.environment,
            revision=ruleset.revision,
            body=document,
            etag=document_hash(document),
            published_at=self._clock.now(),
        )
        self._environment = ruleset.environment
        self.hub.publish(published, is_meant=is_meant)

    def _confirm(self) -> None:
        self._confirmed = time.monotonic()

    def _looked(self, is_well: bool) -> None:
        self._is_connected = is_well

    async def _own(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 # ASGI's signature
        """What is asked about the relay itself."""
        channel = None if self._environment is None else self.hub.channel(self._environment)
        current = None if channel is None else channel.current
        path = scope.get("path", "")
        if path == "/healthz":
            await answer(send, HTTPStatus.OK, [(b"content-type", b"text/plain")], b"ok\n")
        elif path == "/readyz":
            reason = "relays follow each other" if self.app.is_circular else "no ruleset yet" if current is None else ""
            if reason:
                await problem(send, HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable", reason)
            else:
                await answer(send, HTTPStatus.OK, [(b"content-type", b"text/plain")], b"ready\n")
        elif path == "/metrics":
            text = exposition(
                revision=0 if current is None else current.revision,
                connected=self._is_connected,
                age=None if self._confirmed is None else time.monotonic() - self._confirmed,
                streams=0 if channel is None else len(channel.streams),
                keys=self.app.holding,
                circular=self.app.is_circular,
            )
            await answer(send, HTTPStatus.OK, [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")], text)
        else:
            detail = "a relay answers beneath /sdk/v1, /ofrep/v1 and /flagd/v1; ask the controller for the rest"
            await problem(send, HTTPStatus.NOT_FOUND, "Not Found", detail)


def serve(settings: RelaySettings, *, host: str, port: int, log_level: str) -> None:
    """Run a relay until SIGTERM or SIGINT.

    Raises:
        Invalid: a setting cannot be used, a taken port included.
    """
    relay = Relay(settings)
    log_to_stderr(log_level)
    listener = listen(host, port)
    relay.start()
    host, port = listener.getsockname()[:2]
    _log.info("action=relaying url=http://%s:%d upstream=%s", host, port, settings.upstream)
    run(relay.app, listener, relay.hub)
    relay.close()
    _log.info("action=stopped")
    logging.shutdown()
    # A request that hangs would keep the process for its time-out, and has nothing to tell any more.
    os._exit(0)


def _parted(problem: str) -> tuple[str, str]:
    """What is wrong and what would be right, as the SDK says them in one sentence."""
    wrong, _, right = problem.partition("; ")
    return (wrong, right.removeprefix("give ")) if right else ("cannot be used", wrong)
