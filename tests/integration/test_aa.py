"""`wavegate aa` on the past of a real Prometheus."""

import json
import random
from datetime import timedelta

import pytest
import yaml
from click.testing import CliRunner

from support.history import PrometheusWithAPast, series
from support.prometheus import now
from wavegate_controller.cli import main

STEP = timedelta(minutes=1)
HOURS = 5
PLAN = {
    "interval": "1m",
    "waves": [{"percent": 50, "bake": "10m"}, {"percent": 100, "bake": "10m"}],
    "gates": [{"type": "error_rate", "final_margin": 2, "early_harm": 1}],
}


def past():
    """Five hours of stable alone: of one flag all cohorts are alike, of the other every second one fails more."""
    chance, end = random.Random("aa"), now()
    times = [end - number * STEP for number in reversed(range(HOURS * 60))]
    samples = {}
    for flag in ("alike", "uneven"):
        for cohort in range(16):
            rate = 0.2 if flag == "uneven" and cohort % 2 == 0 else 0.02
            requests = bad = 0
            rows = []
            for at in times:
                rows.append((at.timestamp(), requests, bad))
                many = max(0, round(chance.gauss(60, 60**0.5)))
                requests += many
                bad += sum(chance.random() < rate for _ in range(many))
            labels = {"flag": flag, "variant": "off", "cohort": str(cohort)}
            samples[series("wavegate_requests_total", **labels)] = [(at, number) for at, number, _ in rows]
            samples[series("wavegate_bad_total", kind="error", **labels)] = [(at, number) for at, _, number in rows]
    return samples


@pytest.fixture(scope="module")
def url():
    with PrometheusWithAPast() as server:
        server.remember(past())
        yield server.url


def run(url, flag, *arguments, plan=PLAN):
    command = ["aa", "-f", "-", "--prometheus", url, "--over", f"{HOURS}h", *arguments]
    return CliRunner(env={"COLUMNS": "160"}).invoke(main, command, input=yaml.safe_dump({"flag": flag, "plan": plan}))


def test_traffic_without_a_difference_raises_no_more_alarms_than_promised(url):
    done = run(url, "alike", "--json", "--beside", "other")

    found = json.loads(done.stdout)
    assert done.exit_code == 0, done.output
    assert found["rollouts"] >= 20
    assert found["requests_per_second"] == pytest.approx(16, rel=0.05)
    assert found["gates"]["error-rate"]["mean"] == pytest.approx(0.02, rel=0.1)
    assert found["gates"]["error-rate"]["design_effect"] < 3
    assert found["beside"]["other"]["share"] == pytest.approx(0.5, abs=0.02)


def test_traffic_whose_halves_differ_is_told_by_its_alarms(url):
    done = run(url, "uneven")

    assert done.exit_code == 5, done.output
    assert "half 1" in done.stdout
    assert "the plan promises 5% at most" in done.stdout


def test_a_flag_that_shares_its_users_with_another_is_told(url):
    done = run(url, "alike", "--beside", "alike")

    assert done.exit_code == 5
    assert "NOT independent" in done.stdout


def test_a_plan_that_compares_nothing_promises_nothing(url):
    gate = {"type": "threshold", "name": "queue", "query": "up", "operator": "<", "limit": 1}

    done = run(url, "alike", plan=PLAN | {"gates": [gate]})

    assert done.exit_code == 2
    assert "promises nothing" in done.stderr
