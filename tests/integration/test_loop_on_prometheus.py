"""The closed loop over a real Prometheus, with outages of it and of the apps in mid-wave."""

import signal
from dataclasses import replace
from itertools import count

import pytest
from prometheus_client import generate_latest

from support.database import database
from support.faults import fault_server, says
from support.people import person
from support.prometheus import SCRAPE_INTERVAL, App, now
from support.waiting import wait_until
from support.world import World
from wavegate_controller.clock import SystemClock
from wavegate_controller.demo.prometheus import LocalPrometheus
from wavegate_controller.documents import RolloutDocument, parse
from wavegate_controller.domain.measurement import Counts, Value
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.providers import PrometheusProvider
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.rollouts import act, create_rollout
from wavegate_controller.store import SqlStore

_names = count(1)


class Loop:
    """A rollout of `old` to `new`, looked at whenever the test says so; a wave may be left after 0.1 s."""

    def __init__(self, world: World, url: str) -> None:
        self.flag = f"loop-{next(_names)}"
        self.world = world
        self.provider = PrometheusProvider(url, timeout=1)
        world.services = replace(world.services, clock=SystemClock())
        world.flag(self.flag, variants={"new": 1, "old": 0}, default_variant="old")
        plan = {
            "waves": [{"percent": share, "bake": "100ms", "target": "100ms"} for share in (10, 25, 50, 100)],
            "gates": [{"type": "error_rate"}],
            "guardrail": {"cohorts": 1, "stale_after": "2s"},
            "interval": "1s",
        }
        document = {"flag": self.flag, "candidate": "new", "plan": plan}
        draft = create_rollout(world.services, parse(RolloutDocument, document), by=person("anna"))
        self.rollout = act(world.services, draft.id, Event.START, by=person("anna"))

    def look(self):
        return reconcile(replace(self.world.services, provider=self.provider), self.rollout.id)

    @property
    def weight(self) -> int:
        return self.world.rollout(self.rollout.id).weight

    def counted(self) -> tuple[int, int]:
        """Requests and errors of the new variant in the log of evidence."""
        with self.world.services.store.transaction() as work:
            log = work.evidence.since(self.rollout.id, self.rollout.created_at)
        counts = [each.answer.candidate for each in log if isinstance(each.answer, Counts)]
        return sum(each.requests for each in counts), sum(each.bad for each in counts)


def said(decision) -> tuple[str, str]:
    (verdict,) = decision.verdicts
    return decision.event.value, str(verdict.reason)


def traffic(app: App, requests: int = 60, errors: int = 0) -> None:
    app.count("new", requests=requests, errors=errors)
    app.count("old", requests=4 * requests, errors=1)
    app.wait_scraped()


@pytest.fixture
def loop(tmp_path, prometheus):
    with database(tmp_path) as engine:
        loop = Loop(World.over(SqlStore(engine)), prometheus.url)
        yield loop
        loop.provider.close()


def test_whatever_happens_to_prometheus_in_mid_wave_nothing_moves_but_on_a_true_breach(loop, prometheus, start_app):
    app = start_app(flag=loop.flag)
    traffic(app, errors=50)
    loop.look()
    traffic(app, 30)
    loop.look()
    app.count("new", requests=60, errors=1)
    app.count("old", requests=240, errors=1)

    prometheus.stop()
    stopped = [said(loop.look()) for _ in range(3)]
    prometheus.start()
    traffic(app)
    restarted, weight_restarted = loop.look(), loop.weight

    prometheus.pause()
    traffic_unseen = [app.count(variant, requests=60) for variant in ("new", "old")]
    frozen = [said(loop.look()) for _ in range(2)]
    weight_frozen = loop.weight
    prometheus.unpause()
    prometheus.wait_ready()
    prometheus._process.send_signal(signal.SIGHUP)
    traffic(app)
    reloaded = loop.look()

    assert stopped == [("tick", "unreachable")] * 3
    assert (restarted.event, weight_restarted) == (Event.PROMOTE, 25_000)
    assert len(traffic_unseen) == 2
    assert frozen == [("tick", "timeout")] * 2
    assert weight_frozen == 25_000
    assert reloaded.event is Event.PROMOTE
    # The 50 errors from before the first look are nobody's.
    assert loop.counted() == (30 + 60 + 60 + 60 + 60, 1)

    traffic(app, 60, errors=40)
    loop.look()

    assert (loop.world.rollout(loop.rollout.id).state, loop.weight) == (State.ROLLED_BACK, 0)


def test_apps_that_restart_come_go_and_hide_in_mid_wave_are_counted_exactly(loop, prometheus, start_app):
    first, second = start_app(flag=loop.flag), start_app(flag=loop.flag)
    for app in (first, second):
        traffic(app)
    loop.look()
    traffic(first, 10)
    first.start(flag=loop.flag)  # a deploy: the counters begin at 0
    traffic(first, 7)
    third = start_app(flag=loop.flag)
    traffic(third, 5)
    loop.look()
    hidden, first.registry = first.registry, None
    wait_until(lambda: loop.provider.query(f'up{{instance=~".*{first.path}"}}', at=now()) == Value(value=0.0))
    traffic(third, 3)
    loop.look()
    first.registry = hidden  # the same process, which went on counting while nobody could scrape it
    traffic(first, 11)
    second.stop()
    loop.look()

    assert loop.counted() == (10 + 7 + 5 + 3 + 11, 0)
    assert loop.world.rollout(loop.rollout.id).state is State.RUNNING


def test_a_wave_is_held_while_no_app_is_scraped(loop, prometheus, start_app):
    app = start_app(flag=loop.flag)
    traffic(app)
    loop.look()
    traffic(app)
    app.stop()
    seen = []

    def stale() -> bool:
        seen.append(said(loop.look()))
        return seen[-1][1] == "stale_samples"

    # What was counted before the app went is evidence; from then on there is none.
    wait_until(stale)
    weight = loop.weight
    wait_until(lambda: said(loop.look()) == ("tick", "stale_samples"))

    assert loop.weight == weight
    assert loop.counted() == (60, 0)


class Pair(LocalPrometheus):
    """Stands for a querier over two Prometheus that scrape the same apps, and removes no copies."""

    def _configuration(self):
        configuration = super()._configuration()
        for scrape in configuration["scrape_configs"]:
            replica = {"target_label": "prometheus_replica", "replacement": scrape["job_name"]}
            scrape["relabel_configs"] = [replica, {"target_label": "job", "replacement": "shop"}]
        return configuration


@pytest.mark.slow
def test_copies_of_the_counters_are_noticed_and_not_counted(tmp_path):
    app = App(None, "/metrics")

    def show(handler) -> None:
        page = says(generate_latest(app.registry))
        page(handler)

    with database(tmp_path) as engine, fault_server() as place:
        place.behaviour = show
        targets = {job: [f"{place.url}/metrics"] for job in ("a", "b")}
        app.start(flag="nobody-s-yet")
        with Pair(targets, scrape_interval=SCRAPE_INTERVAL) as server:
            loop = Loop(World.over(SqlStore(engine)), server.url)
            app.start(flag=loop.flag)
            server.wait_for_up(2)
            wait_until(lambda: said(loop.look())[1] != "stale_samples")
            decision = loop.look()
            loop.provider.close()

    assert said(decision) == ("tick", "several_series")
    assert "prometheus_replica" in decision.sentence
