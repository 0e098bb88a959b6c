"""`wavegate lint`: each rule with a bad and a good example on the live data of a real Prometheus."""

import json
import socket
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import yaml
from click.testing import CliRunner

from support import control_plane
from support.database import database
from support.history import PrometheusWithAPast, series
from support.pages import pages_for, text_of
from support.people import person
from support.prometheus import now
from support.waiting import wait_until
from support.world import World
from wavegate_controller.cli import main
from wavegate_controller.clock import SystemClock
from wavegate_controller.documents import RolloutDocument, parse
from wavegate_controller.documents.rollouts import PlanChange
from wavegate_controller.domain.errors import StaleVersion
from wavegate_controller.domain.foresight.findings import Rule
from wavegate_controller.domain.rollout import State
from wavegate_controller.providers import PrometheusProvider
from wavegate_controller.service import linted, rollouts
from wavegate_controller.service.previewing import preview
from wavegate_controller.store import SqlStore

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
    for variant, waiting in (("off", 5), ("bad", 100)):
        samples[series("waiting_jobs", flag="search", variant=variant)] = [(at, waiting) for at in times]
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


def run(url, *gates, arguments=(), flag="search", candidate="on", allowances=(), environment=None):
    plan = {"gates": list(gates), "allowances": list(allowances)}
    text = yaml.safe_dump({"flag": flag, "candidate": candidate, "plan": plan})
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


def test_a_candidate_that_nobody_was_given_yet_is_no_error_as_long_as_stable_is_there(url):
    assert rules(url, threshold(ERROR_RATE, 0.05), candidate="new") == {"candidate_unseen"}
    assert rules(url, EXAMPLES["no_series"][0], candidate="new") == {"no_series"}


def test_series_that_another_may_stand_in_for_are_worth_a_warning_and_stop_nothing(url):
    errors = ERROR_RATE.replace("failures_total", "failurez_total")
    either = f"(sum(rate(answer_time_bucket{SCOPE}[2m])) or sum(rate(answers_total{SCOPE}[2m])))"

    stopped = run(url, threshold(errors, 0.05))
    warned = run(url, threshold(errors.replace(" / ", " or vector(0) / "), 0.05))
    answered = run(url, threshold(either, 1e3))

    assert (stopped.exit_code, warned.exit_code, answered.exit_code) == (5, 0, 0)
    assert "warning" in warned.output
    assert "no_series" in warned.output
    assert "no_series" in answered.output


def test_a_limit_is_held_against_stable_as_an_earlier_candidate_may_have_been_bad(url):
    gate = threshold(f"sum(waiting_jobs{SCOPE})", 20)

    assert rules(url, gate, candidate="bad") == set()


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
    reason = {"rule": "counter_without_rate", "gate": "watched", "reason": "it is reset at midnight"}
    allowed = run(url, gate, allowances=[reason])

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


def test_a_server_that_is_away_is_a_warning_and_no_verdict():
    done = run("http://127.0.0.1:9", threshold(ERROR_RATE, 0.05), {"type": "error_rate"})

    assert done.exit_code == 0
    assert done.stdout.count("! warning") == done.stdout.count("cannot_look") == 2
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


#: Of metrics that are there, whatever flag the rollout is of.
COUNTER = threshold('sum(answers_total{flag="search",variant="{{candidate}}"}) # {{flag}}', 5000)
RATE = threshold('sum(rate(answers_total{flag="search",variant="{{candidate}}"}[2m])) # {{flag}}', 2)
UNSCOPED = threshold("sum(queue_length)", 20)
DESPITE = {"despite_lint": "it is reset at midnight"}


@pytest.fixture(scope="module")
def world(url, tmp_path_factory):
    with database(tmp_path_factory.mktemp("world")) as engine:
        world = World.over(SqlStore(engine))
        provider = PrometheusProvider(url)
        world.services = replace(world.services, clock=SystemClock(), provider=provider, history=provider)
        yield world
        provider.close()


@pytest.fixture(scope="module")
def api(world):
    return control_plane.client(world.services)


@pytest.fixture
def flag(world, request):
    key = request.node.name[-60:].strip("_").replace("_", "-")
    world.flag(key)
    return key


def start(api, flag, **body):
    return api.post(f"/api/v1/rollouts/{flag}/start", json={"actor": "ada"} | body)


def test_a_rollout_is_not_started_in_spite_of_an_error_and_each_finding_is_told(world, api, flag):
    world.draft(flag, gates=[COUNTER, RATE | {"name": "rate", "limit": 0.01}])

    refused = start(api, flag)

    assert (refused.status_code, refused.json["type"]) == (409, "urn:wavegate:problem:lint")
    told = [(each["subject"], each["gate"], each["rule"], each["severity"]) for each in refused.json["findings"]]
    assert told == [
        (f"{flag}:1", "watched", "counter_without_rate", "error"),
        (f"{flag}:1", "rate", "always_crossed", "error"),
    ]
    assert all(each["found"] and each["why"] and each["mend"] for each in refused.json["findings"])
    assert f"rollout '{flag}:1' was not started, as lint found 2 errors" in refused.json["detail"]
    assert api.get(f"/api/v1/rollouts/{flag}/decisions").json["items"] == []


def test_a_rollout_is_started_despite_lint_with_a_reason_that_is_kept(world, api, flag):
    world.draft(flag, gates=[COUNTER])

    started = start(api, flag, **DESPITE)

    assert (started.json["state"], [each["rule"] for each in started.json["findings"]]) == (
        "running",
        ["counter_without_rate"],
    )
    said = "start by ada (despite lint, counter_without_rate of watched: it is reset at midnight)"
    assert started.json["moved_by"]["sentence"] == said
    (entry,) = api.get(f"/api/v1/audit?action=rollout.start&subject={flag}:1").json["items"]
    assert entry["evidence"]["sentence"] == said


def test_warnings_are_told_and_what_the_plan_allows_stops_nothing(world, api, flag):
    allowed = {"rule": "counter_without_rate", "gate": "watched", "reason": "it is reset at midnight"}
    world.draft(flag, gates=[COUNTER, UNSCOPED | {"name": "queue"}], allowances=[allowed])

    started = start(api, flag, **DESPITE)

    assert started.json["state"] == "running"
    assert [(each["rule"], each["suppressed"]) for each in started.json["findings"]] == [
        ("not_scoped", None),
        ("counter_without_rate", "it is reset at midnight"),
    ]
    assert started.json["moved_by"]["sentence"] == "start by ada"


def test_the_gates_of_a_draft_are_looked_at_when_somebody_asks(world, api, flag):
    world.draft(flag, gates=[COUNTER, RATE | {"name": "rate"}])

    found = api.get(f"/api/v1/rollouts/{flag}/findings").json

    assert ([each["rule"] for each in found["findings"]], found["clean"]) == (["counter_without_rate"], ["rate"])


def test_a_metrics_server_that_is_away_or_hangs_is_a_warning_and_the_rollout_starts(world, monkeypatch):
    monkeypatch.setattr(linted, "_LONGEST_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as hangs:
        for number, address in enumerate(("127.0.0.1:9", "{}:{}".format(*hangs.getsockname())), 1):
            key = f"hangs-{number}"
            world.flag(key)
            world.draft(key, gates=[threshold(ERROR_RATE, 0.05), {"type": "error_rate"}])
            gone = PrometheusProvider(f"http://{address}", timeout=30)
            services = replace(world.services, provider=gone, history=gone)

            started, found = rollouts.start(services, f"{key}:1", by=person())

            assert started.state is State.RUNNING
            assert {(each.gate, each.rule) for each in found} == {
                ("watched", Rule.CANNOT_LOOK),
                ("error-rate", Rule.CANNOT_LOOK),
            }


def test_no_transaction_is_open_while_the_metrics_server_is_asked(world, url, flag):
    asked = []

    class Writes(PrometheusProvider):
        def vector(self, promql, *, at):
            # SQLite has one writer: where a transaction were open, this one would wait for its end and fail.
            with world.services.store.transaction() as work:
                work.flags.get("production", flag)
            asked.append(promql)
            return super().vector(promql, at=at)

    provider = Writes(url)
    services = replace(world.services, history=provider)
    client = control_plane.client(services)

    assert apply(client, a_rollout(flag, RATE)).status_code == 200
    assert asked
    provider.close()


def a_rollout(flag, *gates, **spec):
    return {
        "apiVersion": "wavegate/v1",
        "kind": "Rollout",
        "spec": {"flag": flag, "plan": {"gates": list(gates)}, "start": True} | spec,
    }


def apply(api, *documents, **further):
    return api.post("/api/v1/configuration/apply", json={"documents": documents, "actor": "ada"} | further)


def test_nothing_is_applied_where_a_rollout_would_start_in_spite_of_an_error(world, api, flag):
    other = {"apiVersion": "wavegate/v1", "kind": "Flag", "spec": {"key": "other"}}

    planned = api.post("/api/v1/configuration/plan", json={"documents": [other, a_rollout(flag, COUNTER)]})
    refused = apply(api, other, a_rollout(flag, COUNTER))

    assert [each["rule"] for each in planned.json["changes"][1]["findings"]] == ["counter_without_rate"]
    assert planned.json["changes"][1]["blocked"] is None
    assert (refused.status_code, refused.json["type"]) == (409, "urn:wavegate:problem:lint")
    assert refused.json["findings"][0]["subject"] == f"Rollout production/{flag}"
    assert refused.json["detail"].startswith("nothing was applied, as lint found 1 error")
    assert api.get("/api/v1/flags/other").status_code == 404


def test_a_rollout_is_applied_despite_lint_with_a_reason(world, api, flag):
    applied = apply(api, a_rollout(flag, COUNTER), **DESPITE)
    again = apply(api, a_rollout(flag, COUNTER))

    assert applied.json["changes"][0]["findings"][0]["rule"] == "counter_without_rate"
    assert api.get(f"/api/v1/rollouts/{flag}").json["state"] == "running"
    assert "despite lint" in api.get(f"/api/v1/rollouts/{flag}").json["moved_by"]["sentence"]
    assert (again.status_code, again.json["changes"][0]["action"], again.json["changes"][0]["findings"]) == (
        200,
        "none",
        [],
    )


def test_a_draft_is_applied_and_what_lint_finds_is_told(world, api, flag):
    applied = apply(api, a_rollout(flag, COUNTER, start=False))

    assert [each["rule"] for each in applied.json["changes"][0]["findings"]] == ["counter_without_rate"]
    assert api.get(f"/api/v1/rollouts/{flag}").json["state"] == "draft"


def test_the_page_lists_what_was_found_and_starts_despite_it_with_a_reason(world, flag):
    world.draft(flag, gates=[COUNTER])
    browser = pages_for(world.services)

    refused = browser.post(f"/flags/{flag}/acts/start", data={"rollout": f"{flag}:1"})
    done = browser.post(f"/flags/{flag}/acts/start", data={"rollout": f"{flag}:1"} | DESPITE)

    assert refused.status_code == 409
    assert "answers_total is a counter, taken as it stands" in text_of(refused.text)
    assert 'name="despite_lint"' in refused.text
    assert done.status_code == 303
    assert world.rollout(f"{flag}:1").state is State.RUNNING


def test_a_plan_is_looked_at_while_it_is_written(world, flag):
    document = parse(RolloutDocument, {"flag": flag, "plan": {"gates": [COUNTER]}})

    found = preview(world.services, document, by=person())

    assert [each.rule for each in found.findings] == [Rule.COUNTER_WITHOUT_RATE]
    assert found.only_text == ""


def test_a_draft_that_was_changed_while_it_was_looked_at_is_not_started(world, url, flag):
    world.draft(flag, gates=[RATE])

    class Changes(PrometheusProvider):
        def vector(self, promql, *, at):
            if world.rollout(f"{flag}:1").version == 1:
                plan = parse(PlanChange, {"plan": {"gates": [COUNTER]}})
                rollouts.change_plan(world.services, f"{flag}:1", plan, by=person())
            return super().vector(promql, at=at)

    provider = Changes(url)

    with pytest.raises(StaleVersion):
        rollouts.start(replace(world.services, history=provider), f"{flag}:1", by=person())
    provider.close()
