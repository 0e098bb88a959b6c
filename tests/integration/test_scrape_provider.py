"""The apps' own /metrics as a source: the same counts as from a Prometheus, and a clear word where it ends."""

from datetime import timedelta
from itertools import count

import pytest
from flask import Flask
from prometheus_client import CollectorRegistry, generate_latest

import wavegate
from support.control_plane import client
from support.database import database
from support.faults import fails, fault_server, hangs, says, writes
from support.live_controller import live_controller
from support.people import identity
from support.rollouts import NOW
from support.waiting import wait_until
from support.world import World
from wavegate_controller.domain.counts import BAD_METRIC, REQUESTS_METRIC, CounterSelector, Needs, advance
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.measurement import Broken, BrokenReason
from wavegate_controller.providers import ScrapeProvider
from wavegate_controller.remote import RemoteController, RemoteProblem
from wavegate_controller.store import SqlStore
from wavegate_controller.web import make_web

COUNTERS = CounterSelector(flags=("f",), needs=Needs(bad=frozenset({"error"})))
RULESET = {
    "schema": 1,
    "environment": "test",
    "revision": 1,
    "flags": {
        "f": {
            "variants": {"on": True, "off": False},
            "default_variant": "off",
            "rollout": {"stable": "off", "candidate": "on", "weight": 50_000},
        }
    },
}
_seconds = count(1)


class App:
    """A process of a product app that uses the SDK and shows its metrics."""

    def __init__(self, server) -> None:
        self.server = server
        self.url = f"{server.url}/metrics"
        self.restart()

    def restart(self) -> None:
        self.registry = CollectorRegistry()
        self.wavegate = wavegate.Client.offline(RULESET, registry=self.registry)
        self.server.behaviour = self._show

    def _show(self, handler) -> None:
        page = says(generate_latest(self.registry))
        page(handler)

    def serve(self, users: int, *, bad: int = 0) -> dict[str, int]:
        """Requests by variant; the first `bad` of those with the candidate fail."""
        served = {"on": 0, "off": 0}
        for number in range(users):
            with self.wavegate.trial("f", f"user-{number}") as trial:
                served["on" if trial.enabled else "off"] += 1
                if trial.enabled and served["on"] <= bad:
                    trial.bad("error")
        return served


@pytest.fixture
def apps():
    with fault_server() as first, fault_server() as second:
        yield App(first), App(second)


@pytest.fixture
def provider(apps):
    provider = ScrapeProvider([app.url for app in apps], timeout=2)
    yield provider
    provider.close()


def read(provider, *, selector=COUNTERS):
    """Each read is a second after the one before."""
    return provider.samples(selector, at=NOW + timedelta(seconds=next(_seconds)), lookback=timedelta(seconds=45))


def test_the_sdks_counters_are_counted_exactly_over_apps_that_restart_and_go_away(apps, provider):
    first, second = apps
    first.serve(100)
    _, cursor = advance(None, read(provider), at=NOW)
    served = first.serve(100, bad=3)
    more = second.serve(40)
    increments, cursor = advance(cursor, read(provider), at=NOW)
    first.restart()
    after_restart = first.serve(30)
    second.server.behaviour = writes(b"")
    later, _ = advance(cursor, read(provider), at=NOW)

    assert increments.total(REQUESTS_METRIC, "on") == served["on"] + more["on"]
    assert increments.total(REQUESTS_METRIC, "off") == served["off"] + more["off"]
    assert increments.total(BAD_METRIC, "on", kinds=("error",)) == 3
    assert increments.total(BAD_METRIC, "off", kinds=("error",)) == 0
    assert later.total(REQUESTS_METRIC, "on") == after_restart["on"]
    assert len({key.cohort for key in increments.amounts}) > 8


def test_only_what_is_asked_for_is_given(apps, provider):
    names = {series.labels["__name__"] for series in read(provider)}

    assert names == {"wavegate_requests_total", "wavegate_bad_total"}
    assert {series.labels.get("kind") for series in read(provider)} == {None, "error"}
    assert read(provider, selector=CounterSelector(flags=("g",), needs=Needs())) == ()


def test_all_rollouts_of_a_tick_share_one_read(apps, provider):
    at = NOW + timedelta(seconds=next(_seconds))

    for _ in range(5):
        provider.samples(COUNTERS, at=at, lookback=timedelta(seconds=45))

    assert [len(app.server.requests) for app in apps] == [1, 1]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (lambda _: writes(b""), "unreachable"),
        (lambda _: fails(500), "server_error"),
        (hangs, "timeout"),
    ],
    ids=["closed", "500", "silent"],
)
def test_apps_that_are_away_are_left_out_until_none_is_left(apps, behaviour, reason):
    provider = ScrapeProvider([app.url for app in apps], timeout=0.5)
    first, second = apps
    whole = len(read(provider))
    first.server.behaviour = behaviour(first.server)
    half = len(read(provider))
    second.server.behaviour = behaviour(second.server)
    nothing = read(provider)
    provider.close()

    assert half == whole / 2 > 0
    assert isinstance(nothing, Broken)
    assert nothing.reason == reason


@pytest.mark.parametrize(
    "page",
    [
        b'wavegate_requests_total{flag="f"} one\n',
        b'wavegate_requests_total{flag="f",variant="on"} NaN\n',
        b'wavegate_requests_total{flag="f} 1\n',
        b"wavegate_requests_total\xff 1\n",
    ],
    ids=["no number", "not finite", "broken labels", "not UTF-8"],
)
def test_a_page_that_is_no_metrics_is_broken(apps, provider, page):
    apps[0].server.behaviour = says(page)

    answer = read(provider)

    assert isinstance(answer, Broken)
    assert answer.reason == BrokenReason.MALFORMED_RESPONSE
    assert apps[0].server.url.removeprefix("http://") in answer.detail


def test_a_query_is_refused_with_what_would_be_needed(provider):
    answer = provider.query("up", at=NOW)

    assert answer == provider.check("up") == provider.alert_rule("TooSlow")
    assert answer.reason == BrokenReason.NOT_SUPPORTED
    assert "needs Prometheus" in answer.detail


@pytest.mark.parametrize("targets", [[], ["http://a/metrics", "http://a/metrics"], ["a:8000"], ["http://me:pw@a/"]])
def test_targets_that_cannot_work_are_refused(targets):
    with pytest.raises(Invalid):
        ScrapeProvider(targets)


def test_every_page_says_where_the_metrics_come_from(tmp_path, provider):
    with database(tmp_path) as engine:
        world = World.over(SqlStore(engine))
        world.flag()
        full, _ = pages(world.services)
        world.metrics.notice = provider.notice
        with_notice = pages(world.services)
        status = client(world.services).get("/api/v1/status").json

    assert "need Prometheus" not in full
    assert all("need Prometheus" in page for page in with_notice)
    assert status["notice"] == provider.notice


def pages(services):
    app = Flask("pages")
    app.register_blueprint(make_web(services, identity(services)))
    return [app.test_client().get(path).text for path in ("/", "/flags/ai-summaries")]


def test_a_controller_without_prometheus_rolls_a_bad_feature_back(apps, tmp_path):
    targets = "[" + ",".join(f'"{app.url}"' for app in apps) + "]"
    with live_controller(tmp_path, WAVEGATE_SCRAPE_TARGETS=targets, WAVEGATE_TICK="100ms") as url:
        controller = RemoteController(url)
        controller.create_flag({"key": "f"})
        document = {"flag": "f", "plan": {"interval": "1s", "gates": [{"type": "error_rate"}]}}
        threshold = {"type": "threshold", "name": "p95", "query": "up", "operator": "<", "limit": 1}
        with pytest.raises(RemoteProblem, match="needs Prometheus"):
            controller.create_rollout({**document, "plan": {"gates": [threshold]}}, actor="ada")
        rollout = controller.create_rollout(document, actor="ada")
        controller.act(rollout["id"], "start", actor="ada")
        wait_until(lambda: len(controller.decisions(rollout["id"], limit=5)) > 2)
        apps[0].serve(400, bad=400)
        wait_until(lambda: controller.rollout("f")["state"] == "rolled_back")

        assert "need Prometheus" in controller.status()["notice"]
