"""A real Prometheus with apps to scrape whose counters the test holds in its hand."""

from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from support.waiting import wait_until
from wavegate.client.counters import BadKind
from wavegate_controller.demo.prometheus import LocalPrometheus
from wavegate_controller.domain.counts import BAD_METRIC, REQUESTS_METRIC
from wavegate_controller.domain.measurement import Value
from wavegate_controller.providers import PrometheusProvider

SCRAPE_INTERVAL = timedelta(milliseconds=200)
#: Apps that may run at once: Prometheus takes new addresses only after seconds, so they are known from the start.
PLACES = 4
_marks = count(1)


def now() -> datetime:
    return datetime.now(UTC)


class App:
    """One process of a product app, as Prometheus sees it: a place to scrape, empty until `start`."""

    def __init__(self, server: "Prometheus", path: str) -> None:
        self._server = server
        self.path = path
        self.registry: CollectorRegistry | None = None

    def start(self, *, flag: str, variants: tuple[str, ...] = ("new", "old")) -> None:
        """As a new process does: every counter exists and is 0."""
        registry = CollectorRegistry()
        self._requests = Counter(REQUESTS_METRIC, "Requests", ["flag", "variant"], registry=registry)
        self._bad = Counter(BAD_METRIC, "Bad outcomes", ["flag", "variant", "kind"], registry=registry)
        self._mark = Gauge("test_mark", "Seen by the next scrape", registry=registry)
        self._flag = flag
        for variant in variants:
            self.count(variant, requests=0)
            for kind in BadKind:
                self._bad.labels(flag, variant, kind)
        self.registry = registry

    def count(self, variant: str, *, requests: int, errors: int = 0) -> None:
        self._requests.labels(self._flag, variant).inc(requests)
        self._bad.labels(self._flag, variant, "error").inc(errors)

    def stop(self) -> None:
        """The process is gone, and its counters with it; its place answers 404."""
        self.registry = None

    def wait_scraped(self) -> None:
        """Until Prometheus has all that was counted up to now."""
        mark = next(_marks)
        self._mark.set(mark)
        query = f'test_mark{{instance=~".*{self.path}"}} == {mark}'
        wait_until(lambda: isinstance(self._server.provider.query(query, at=now()), Value))


class Prometheus(LocalPrometheus):
    """A `LocalPrometheus` with `PLACES` places for apps."""

    def __init__(self) -> None:
        self._apps = {path: App(self, path) for path in (f"/place-{number}" for number in range(PLACES))}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        # A scrape that is given up in the middle is no error of a test, and must not be told on its standard error.
        self._http.handle_error = lambda *_: None
        root = f"http://127.0.0.1:{self._http.server_port}"
        super().__init__({"apps": [f"{root}{path}" for path in self._apps]}, scrape_interval=SCRAPE_INTERVAL)
        Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @cached_property
    def provider(self) -> PrometheusProvider:
        return PrometheusProvider(self.url, timeout=5)

    def start_app(self, *, flag: str) -> App:
        """Another running app, at a place of its own."""
        free = next(app for app in self._apps.values() if app.registry is None)
        free.start(flag=flag)
        return free

    def stop_apps(self) -> None:
        for app in self._apps.values():
            app.stop()

    def close(self) -> None:
        super().close()
        self.provider.close()
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        apps = self._apps

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry = apps[self.path].registry
                body = b"" if registry is None else generate_latest(registry)
                self.send_response(404 if registry is None else 200)
                self.send_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
