"""`wavegate estimate` on the counters of a real Prometheus."""

import json
import random
from datetime import timedelta

import pytest
from click.testing import CliRunner

from support.history import PrometheusWithAPast, series
from support.prometheus import now
from wavegate_controller.cli import main

STEP = 15
MINUTES = 30


def counted(rates, seed="past"):
    """Counters of one instance, half an hour up to now: metric and labels to what a second adds."""
    chance, end = random.Random(seed), now().timestamp()
    times = [end - MINUTES * 60 + STEP * number for number in range(MINUTES * 60 // STEP + 1)]
    past = {}
    for labels, rate in rates.items():
        total, values = 0.0, []
        for at in times:
            values.append((at, total))
            total += max(0, round(chance.gauss(rate * STEP, (rate * STEP) ** 0.5)))
        past[labels] = values
    return past


def flag(name, requests, errors, slow, **labels):
    rates = {}
    for cohort in map(str, range(16)):
        common = {"flag": name, "variant": "off", "cohort": cohort} | labels
        rates[series("wavegate_requests_total", **common)] = requests / 16
        rates[series("wavegate_bad_total", kind="error", **common)] = errors / 16
        rates[series("wavegate_bad_total", kind="slow", **common)] = slow / 16
    return rates


def posted():
    """What a controller of two environments shows of one flag, beside an app that calls its surroundings something."""
    clients = {series("wavegate_connected_clients", environment=name): 0 for name in ("production", "staging")}
    production = flag("posted", 200, 2, 2, environment="production")
    staging = flag("posted", 50, 25, 25, environment="staging")
    return clients | production | staging | flag("posted", 100, 1, 1, environment="eu-west")


@pytest.fixture(scope="module")
def url():
    with PrometheusWithAPast() as server:
        server.remember(counted(flag("busy", 2000, 40, 20) | flag("quiet", 0.4, 0.02, 0.02) | posted()))
        yield server.url


@pytest.fixture
def estimate(url):
    def run(*arguments, stdin=None):
        runner = CliRunner(env={"COLUMNS": "160"})
        return runner.invoke(main, ["estimate", "--prometheus", url, "--runs", "10", *arguments], input=stdin)

    return run


def test_traffic_and_base_rates_are_counted(estimate):
    done = estimate("--flag", "busy", "--json")

    found = json.loads(done.stdout)
    assert done.exit_code == 0, done.output
    assert found["traffic"]["requests_per_second"] == pytest.approx(2000, rel=0.03)
    assert found["traffic"]["metrics"]["error-rate"]["mean"] == pytest.approx(0.02, rel=0.1)
    assert found["traffic"]["metrics"]["latency"]["mean"] == pytest.approx(0.01, rel=0.1)
    assert found["ends"]["completed"] == 10
    assert [wave["percent"] for wave in found["waves"]] == [10, 25, 50, 100]
    assert all(timedelta(minutes=15).total_seconds() <= wave["takes"]["middle"] for wave in found["waves"])


@pytest.mark.parametrize(("environment", "requests", "errors"), [("production", 300, 0.01), ("staging", 150, 0.17)])
def test_what_the_controller_counted_for_another_environment_is_not_counted(estimate, environment, requests, errors):
    done = estimate("--flag", "posted", "--environment", environment, "--json")

    traffic = json.loads(done.stdout)["traffic"]
    assert traffic["requests_per_second"] == pytest.approx(requests, rel=0.05)
    assert traffic["metrics"]["error-rate"]["mean"] == pytest.approx(errors, rel=0.15)


def test_an_environment_that_nothing_is_counted_for_is_refused_with_those_there_are(estimate):
    done = estimate("--flag", "posted", "--environment", "stagin")

    assert done.exit_code == 2
    assert (
        "environment: 'stagin' is none of those that are counted for; expected one of production, staging"
        in " ".join(done.stderr.split())
    )


def test_what_if_needs_no_server_when_everything_is_said(estimate):
    said = ["--flag", "new", "--traffic", "500", "--base", "error-rate=0.01", "--base", "latency=0.02"]

    done = estimate(
        *said, "--waves", "20,50,100", "--bake", "5m", "--users", "1000", "--prometheus", "http://127.0.0.1:9"
    )

    assert done.exit_code == 0, done.output
    assert "20 %, 200 a day" in done.stdout
    assert "From start to 100 %" in done.stdout
    assert "the plan promises 5% at most" in done.stdout


def test_too_little_traffic_is_said_and_seen_in_the_exit_code(estimate):
    plan = {"waves": [{"percent": 50, "bake": "5m", "maximum": "1h"}, {"percent": 100, "bake": "5m"}]}

    done = estimate("-f", "-", stdin=json.dumps({"flag": "quiet", "plan": plan}))
    wider = estimate("-f", "-", "--margin", "3", "--traffic", "200", stdin=json.dumps({"flag": "quiet", "plan": plan}))

    assert done.exit_code == 5, done.output
    assert "too small for this plan" in done.stdout
    assert "final_margin 0.4 instead of 0.2" in done.stdout
    assert wider.exit_code == 0, wider.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--flag", "nobody"], "flag nobody has counted no trial in the last 1h"),
        (["--flag", "busy", "--base", "cost=1"], "'cost' is no gate that compares; there are error-rate, latency"),
        (["--flag", "busy", "--base", "latency=much"], "give a number, such as latency=0.01"),
        (["--flag", "busy", "--traffic", "-1"], "-1 requests a second is none"),
        (["--flag", "busy", "--waves", "50,10"], "does not rise above"),
        (["--flag", "busy", "--over", "soon"], '"15s", "10m" or "1h30m"'),
        (["--flag", "busy", "--prometheus", "http://127.0.0.1:9"], "cannot be measured: unreachable"),
        ([], "say which rollout"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(estimate, arguments, said):
    done = estimate(*arguments)

    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
