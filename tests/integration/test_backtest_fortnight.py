"""A fortnight in which nothing is wrong: rollouts one after the other, and no more false alarms than promised."""

import random
from datetime import timedelta
from math import comb

import pytest

from support.history import PrometheusWithAPast, series
from support.prometheus import now
from wavegate_controller.documents import RolloutDocument, parse
from wavegate_controller.domain.foresight.replayed import Backtested
from wavegate_controller.domain.foresight.supposed import draft
from wavegate_controller.domain.rollout import State
from wavegate_controller.providers import PrometheusProvider
from wavegate_controller.providers.past import Past
from wavegate_controller.service.backtest import backtest

STEP = timedelta(minutes=2)
FORTNIGHT = timedelta(days=14)
PLAN = {
    "interval": "2m",
    "waves": [{"percent": percent, "bake": "10m"} for percent in (25, 50, 100)],
    "gates": [{"type": "error_rate", "final_margin": 1}],
}


def a_fortnight(end):
    """Two variants that are one, 8 requests a second, of which more fail by day; and a bad quarter of an hour."""
    chance = random.Random("fortnight")
    times = [end - FORTNIGHT + number * STEP for number in range(int(FORTNIGHT / STEP))]
    samples = {}
    for variant in ("on", "off"):
        for cohort in map(str, range(16)):
            requests = bad = 0
            rows = []
            for number, at in enumerate(times):
                rows.append((at.timestamp(), requests, bad))
                rate = 0.2 if 3000 <= number < 3008 else 0.02 if 8 <= at.hour < 20 else 0.01
                many = max(0, round(chance.gauss(30, 30**0.5)))
                requests += many
                bad += sum(chance.random() < rate for _ in range(many))
            labels = {"flag": "same", "variant": variant, "cohort": cohort}
            samples[series("wavegate_requests_total", **labels)] = [(at, number) for at, number, _ in rows]
            samples[series("wavegate_bad_total", kind="error", **labels)] = [(at, number) for at, _, number in rows]
    return times, samples


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_fortnight_without_a_difference_gives_no_more_false_alarms_than_promised():
    times, samples = a_fortnight(now().replace(second=0, microsecond=0))
    plan = parse(RolloutDocument, {"flag": "same", "plan": PLAN}).plan_to_domain()
    into = Backtested(name="", plan=plan, begin=times[0], until=times[0])
    with PrometheusWithAPast() as server:
        server.remember(samples)
        history = PrometheusProvider(server.url, timeout=30)
        past = Past(history, times, step=STEP)
        rollout = draft("same", plan, stable="off", candidate="on", at=times[0])
        backtest(past, rollout, into, repeat=True)
        history.close()

    ended = [run for run in into.runs if run.state is not State.RUNNING]
    assert len(ended) > 50
    # With a probability of 5 % each, more than so many would come by chance once in a thousand fortnights.
    alarms, likely = into.rollbacks, 0.0
    for most in range(len(ended)):
        likely += comb(len(ended), most) * 0.05**most * 0.95 ** (len(ended) - most)
        if likely > 0.999:
            break
    assert alarms <= most
