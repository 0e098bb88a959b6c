"""`wavegate lint`: each rule with a bad and a good example on the live data of a real Prometheus."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import yaml
from click.testing import CliRunner

from support.history import PrometheusWithAPast, series
from support.prometheus import now
from support.waiting import wait_until
from wavegate_controller.cli import main
from wavegate_controller.providers import PrometheusProvider

STEP, SAMPLES = 15, 241
RULES = """
groups:
- name: test
  interval: 1s
  rules:
  - alert: SummariesTooSlow
    expr: vector(0) > 1
"""
SCOPE = '{flag="{{flag}}",variant="{{candidate}}"}'


def past():
    end = now().timestamp()
    times = [end - STEP * (SAMPLES - 1 - number) for number in range(SAMPLES)]
    arms = {variant: {"flag": "search", "variant": variant} for variant in ("on", "off")}
    samples = {}
    for labels in arms.values():
        samples |= {
            series("answers_total", **labels): [(at, 10 * number) for number, at in enumerate(times)],
            series("failures_total", **labels): [(at, number // 10) for number, at in enumerate(times)],
            series("answer_seconds_count", **labels): [(at, 10 * number) for number, at in enumerate(times)],
            series("answer_seconds_sum", **labels): [(at, 3.0 * number) for number, at in enumerate(times)],
            series("queue_length", **labels): [(at, 5 + number % 3) for number, at in enumerate(times)],
        }
        for le, part in (("0.1", 1), ("0.5", 9), ("+Inf", 10)):
            samples[series("answer_seconds_bucket", le=le, **labels)] = [
                (at, part * number) for number, at in enumerate(times)
            ]
        for cohort in map(str, range(16)):
            common = labels | {"cohort": cohort}
            samples[series("wavegate_requests_total", **common)] = [(at, number) for number, at in enumerate(times)]
            for kind in ("error", "slow"):
                samples[series("wavegate_bad_total", kind=kind, **common)] = [
                    (at, number // 50) for number, at in enumerate(times)
                ]
    return samples


@pytest.fixture(scope="module")
def url():
    with PrometheusWithAPast(RULES) as server:
        server.remember(past())
        provider = PrometheusProvider(server.url)
        wait_until(lambda: provider.alert_rule("SummariesTooSlow") is None)
        provider.close()
        yield server.url


@contextmanager
def webhook(verdict):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"verdict": verdict}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/check"
    finally:
        server.shutdown()
        server.server_close()


def run(url, *gates, arguments=(), flag="search", comments="", environment=None):
    text = comments + yaml.safe_dump({"flag": flag, "plan": {"gates": list(gates)}})
    runner = CliRunner(env={"COLUMNS": "200", **(environment or {})})
    return runner.invoke(main, ["lint", "-f", "-", "--prometheus", url, *arguments], input=text)


def rules(url, *gates, **options):
    done = run(url, *gates, arguments=("--json",), **options)
    assert done.exit_code in (0, 5), done.output
    return {each["rule"] for each in json.loads(done.stdout)}


def threshold(query, limit=1.0, operator="<", window="1m"):
    return {
        "type": "threshold",
        "name": "watched",
        "query": query,
        "operator": operator,
        "limit": limit,
        "window": window,
    }


ERROR_RATE = f"sum(rate(failures_total{SCOPE}[{{{{window}}}}])) / (sum(rate(answers_total{SCOPE}[{{{{window}}}}])) > 0)"
#: Rule to a gate that breaks it and one that does not.
EXAMPLES = {
    "query_rejected": (threshold(f"sum(rate(answers_total{SCOPE})"), threshold(ERROR_RATE, 0.05)),
    "several_series": (
        threshold('rate(answers_total{flag="{{flag}}"}[1m]) # {{candidate}}'),
        threshold('sum(rate(answers_total{flag="{{flag}}"}[1m])) # {{candidate}}'),
    ),
    "no_series": (
        threshold('sum(rate(answers_total{flag="{{flag}}x",variant="{{candidate}}"}[1m]))'),
        threshold(f"sum(rate(answers_total{SCOPE}[1m]))"),
    ),
    "label_missing": (
        threshold('sum(rate(answers_total{feature="{{flag}}",variant="{{candidate}}"}[1m]))'),
        threshold(f"sum(rate(answers_total{SCOPE}[1m]))"),
    ),
    "division_by_zero": (threshold(ERROR_RATE.replace(" > 0", ""), 0.05), threshold(ERROR_RATE, 0.05)),
    "range_too_short": (threshold(ERROR_RATE, 0.05, window="30s"), threshold(ERROR_RATE, 0.05, window="2m")),
    "counter_without_rate": (
        threshold(f"sum(answers_total{SCOPE})", 1e6),
        threshold(f"sum(increase(answers_total{SCOPE}[5m]))", 1e3),
    ),
    "rate_of_gauge": (
        threshold(f"sum(rate(queue_length{SCOPE}[5m]))"),
        threshold(f"avg_over_time(sum(queue_length{SCOPE})[5m:15s])", 10),
    ),
    "not_scoped": (threshold("sum(queue_length)", 20), threshold(f"sum(queue_length{SCOPE})", 20)),
    "always_crossed": (threshold(f"sum(queue_length{SCOPE})", 2), threshold(f"sum(queue_length{SCOPE})", 20)),
    "never_crossed": (threshold(f"sum(queue_length{SCOPE})", 5000), threshold(f"sum(queue_length{SCOPE})", 6.5)),
    "unit_mismatch": (
        threshold(f"sum(rate(answer_seconds_sum{SCOPE}[2m])) / (sum(rate(answer_seconds_count{SCOPE}[2m])) > 0)", 500),
        threshold(f"sum(rate(answer_seconds_sum{SCOPE}[2m])) / (sum(rate(answer_seconds_count{SCOPE}[2m])) > 0)", 0.5),
    ),
    "no_bucket_edge": (
        threshold('sum(rate(answer_seconds_bucket{flag="{{flag}}",variant="{{candidate}}",le="0.3"}[2m]))', 0.1, ">"),
        threshold('sum(rate(answer_seconds_bucket{flag="{{flag}}",variant="{{candidate}}",le="0.5"}[2m]))', 0.1, ">"),
    ),
    "alert_unknown": (
        {"type": "alert", "name": "slow", "alert": "SumariesTooSlow"},
        {"type": "alert", "name": "slow", "alert": "SummariesTooSlow"},
    ),
}


@pytest.mark.parametrize("rule", EXAMPLES)
def test_a_bad_gate_is_found_and_a_good_one_is_not(url, rule):
    bad, good = EXAMPLES[rule]

    assert rule in rules(url, bad)
    assert rule not in rules(url, good)


def test_a_quantile_is_compared_with_an_edge(url):
    quantile = f"histogram_quantile(0.5, sum by (le) (rate(answer_seconds_bucket{SCOPE}[2m])))"

    assert rules(url, threshold(quantile, 0.45)) == {"no_bucket_edge"}
    assert rules(url, threshold(quantile, 0.5)) == set()


def test_nothing_is_found_about_a_gate_without_a_fault(url):
    done = run(url, threshold(ERROR_RATE, 0.05))

    assert done.exit_code == 0
    assert done.stdout.strip() == "✓ nothing found about watched"


def test_counters_of_gates_that_compare_are_looked_for(url):
    gate = {"type": "error_rate"}

    assert rules(url, gate) == set()
    assert rules(url, gate, flag="nobody-asks") == {"counters_missing"}
    assert rules(url, {"type": "error_rate", "kinds": ["fallback"]}) == {"counters_missing"}


def test_a_webhook_must_answer_and_be_allowed(url):
    with webhook("pass") as address:
        gate = {"type": "webhook", "name": "evaluation", "url": address}
        allowed = {"WAVEGATE_WEBHOOK_URLS": json.dumps([address])}

        assert rules(url, gate, environment=allowed) == set()
        assert rules(url, gate) == {"webhook_silent"}
    assert rules(url, gate, environment=allowed) == {"webhook_silent"}


def test_a_finding_says_what_why_and_how_and_may_stand_with_a_reason(url):
    gate = threshold(f"sum(answers_total{SCOPE})", 1e6)

    found = run(url, gate)
    allowed = run(url, gate, comments="# lint: allow counter_without_rate for watched: it is reset at midnight\n")

    assert found.exit_code == 5
    assert "✗ error watched: counter_without_rate" in found.stdout
    assert "answers_total is a counter, taken as it stands" in found.stdout
    assert "→ put it into rate(" in found.stdout
    assert allowed.exit_code == 0
    assert "counter_without_rate, allowed: it is reset at midnight" in allowed.stdout


def test_warnings_fail_only_where_that_is_asked_for(url):
    gate = threshold("sum(queue_length)", 20)

    assert run(url, gate).exit_code == 0
    assert run(url, gate, arguments=("--strict",)).exit_code == 5


def test_a_server_that_is_away_is_a_note_and_no_verdict():
    done = run("http://127.0.0.1:9", threshold(ERROR_RATE, 0.05), {"type": "error_rate"})

    assert done.exit_code == 0
    assert done.stdout.count("note") == done.stdout.count("cannot_look") == 2
    assert "counters_missing" not in done.stdout


@pytest.mark.parametrize("command", [["lint"], ["estimate", "--traffic", "1"], ["backtest", "--from", "1h"], ["aa"]])
def test_a_template_that_only_a_controller_knows_is_not_taken_for_the_default_plan(command):
    done = CliRunner().invoke(main, [*command, "-f", "-"], input="{flag: search, template: careful}")

    assert done.exit_code == 2
    assert "template: is known to a controller" in done.stderr


def test_a_source_without_a_past_is_refused(url):
    done = run(url, threshold(ERROR_RATE), environment={"WAVEGATE_SCRAPE_TARGETS": '["http://127.0.0.1:9/metrics"]'})

    assert done.exit_code == 2
    assert "scrape_targets" in done.stderr
