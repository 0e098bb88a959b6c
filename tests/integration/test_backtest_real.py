"""A rollout that really ran, replayed: the same decisions at the same looks, down to the numbers."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.database import database
from support.people import person
from support.world import World
from wavegate_controller.clock import SystemClock
from wavegate_controller.documents import RolloutDocument, parse
from wavegate_controller.domain.foresight.replayed import Backtested
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.providers import PrometheusProvider
from wavegate_controller.providers.past import Past
from wavegate_controller.service.backtest import Replay, backtest, counters_of
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.rollouts import act, create_rollout
from wavegate_controller.store import SqlStore

FLAG = "really-ran"
#: The counter as it stands: a scrape that is on its way at a look changes no digit of it.
QUERY = 'sum(wavegate_bad_total{flag="{{flag}}",variant="{{candidate}}",kind="error"})'
PLAN = {
    "waves": [{"percent": share, "bake": "100ms", "target": "100ms"} for share in (10, 25, 50, 100)],
    "gates": [
        {"type": "error_rate"},
        {"type": "threshold", "name": "errors", "query": QUERY, "operator": "<", "limit": 1000, "failures": 1, "of": 1},
    ],
    "allowances": [{"rule": "counter_without_rate", "gate": "errors", "reason": "as it stands, for the digits"}],
    "guardrail": {"cohorts": 1, "stale_after": "2s"},
    "interval": "1s",
}


@pytest.fixture
def services(tmp_path, prometheus):
    with database(tmp_path) as engine:
        world = World.over(SqlStore(engine))
        world.flag(FLAG, variants={"new": 1, "old": 0}, default_variant="old")
        provider = PrometheusProvider(prometheus.url, timeout=2)
        yield replace(world.services, clock=SystemClock(), provider=provider)
        provider.close()


def traffic(app, requests, errors=0):
    app.count("new", requests=requests, errors=errors)
    app.count("old", requests=4 * requests, errors=1)
    app.wait_scraped()


def test_the_replay_decides_as_the_reconciler_did_to_the_look(services, start_app):
    app = start_app(flag=FLAG)
    traffic(app, 60)
    document = parse(RolloutDocument, {"flag": FLAG, "candidate": "new", "plan": PLAN})
    draft = create_rollout(services, document, by=person())
    act(services, draft.id, Event.START, by=person())
    for errors in (0, 0, 1, 0, 0, 40):
        traffic(app, 60, errors)
        reconcile(services, draft.id)
    with services.store.transaction() as work:
        ran = list(reversed(work.decisions.list(draft.id, limit=100)))
        ended = work.rollouts.get(draft.id)
    started, *looked = ran

    times = [each.at for each in (started, *looked)]
    step = timedelta(seconds=1)
    past = Past(services.provider, times, step=step)
    replayed = list(Replay(past, replace(draft, version=1), counters_of(past, draft)).looks())

    assert ended.state is State.ROLLED_BACK
    assert [(look.at, look.decision.event, look.decision.reason) for look in replayed] == [
        (each.at, each.event, each.reason) for each in looked
    ]
    assert [look.decision.sentence for look in replayed] == [each.sentence for each in looked]
    assert {each.event for each in looked} >= {Event.PROMOTE, Event.ROLL_BACK}

    into = Backtested(name="", plan=draft.plan, begin=times[0], until=times[0])
    backtest(Past(services.provider, times, step=step), replace(draft, version=1), into, repeat=False)

    assert into.runs[0].rolled_back
    assert into.runs[0].end == looked[-1].at
