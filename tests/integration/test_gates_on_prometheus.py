"""Presets and alerts against a real Prometheus that scrapes the SDK's metrics, and OpenTelemetry's."""

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, Gauge, Histogram

import wavegate
from support.prometheus import now
from support.rollouts import a_rollout
from support.waiting import wait_until
from wavegate_controller.documents.gates import PresetDocument
from wavegate_controller.documents.reading import parse
from wavegate_controller.domain.gates import AlertCounts, AlertGate, ErrorRateGate, ThresholdGate
from wavegate_controller.domain.measurement import BrokenReason, NoData, NoDataReason, Value
from wavegate_controller.service.measure import alert_query, threshold_query


def rollout(flag: str):
    return a_rollout(flag_key=flag, candidate="on", stable="off", wave_since=now() - timedelta(minutes=1))


def ruleset(flag: str):
    return {
        "schema": 1,
        "environment": "test",
        "revision": 1,
        "flags": {
            flag: {
                "variants": {"on": True, "off": False},
                "default_variant": "off",
                "state": "enabled",
                "rollout": {"stable": "off", "candidate": "on", "weight": 50_000},
            }
        },
    }


def gates(**preset):
    return parse(PresetDocument, preset).to_domain()


def value(provider, gate: ThresholdGate, flag: str) -> float:
    """The gate's number, as soon as two scrapes have seen what was counted."""
    query, answers = threshold_query(gate, rollout(flag)), []
    assert provider.check(query) is None

    def measured() -> bool:
        answers.append(provider.query(query, at=now()))
        return isinstance(answers[-1], Value)

    wait_until(measured)
    return answers[-1].value


@pytest.fixture
def place(start_app, prometheus):
    """Where the test puts a registry that Prometheus scrapes, once it was seen at rest."""

    def put(flag: str, registry: CollectorRegistry, metric: str) -> None:
        start_app(flag=flag).registry = registry
        wait_until(lambda: isinstance(prometheus.provider.query(f"count({metric})", at=now()), Value))

    return put


@pytest.fixture
def served(place, prometheus):
    """A flag whose users were served through the SDK; each request cost two cents and 500 tokens."""
    flag, registry = "preset-sdk", CollectorRegistry()
    client = wavegate.Client.offline(ruleset(flag), registry=registry)
    place(flag, registry, f'wavegate_requests_total{{flag="{flag}"}}')
    for number in range(200):
        with client.trial(flag, f"user-{number}") as trial:
            trial.cost_usd(0.02)
            trial.tokens(input=400, output=100)
    total = f'sum(wavegate_requests_total{{flag="{flag}"}})'
    wait_until(lambda: prometheus.provider.query(total, at=now()) == Value(value=200))
    return flag


def test_the_presets_on_the_sdk_s_metrics_give_a_number(served, prometheus):
    provider = prometheus.provider
    (cost,), (tokens,) = gates(preset="cost", limit=1), gates(preset="tokens", limit=1)
    (slow, slower) = gates(preset="latency", over=[0.5, 1], limit=0.05)

    assert value(provider, cost, served) == pytest.approx(0.02)
    assert value(provider, tokens, served) == pytest.approx(500)
    assert value(provider, slow, served) == pytest.approx(0)
    assert value(provider, slower, served) == pytest.approx(0)


def test_the_edge_of_a_whole_number_of_seconds_is_found_however_it_is_written(served, prometheus):
    (slow,) = gates(preset="latency", over=[1], limit=0.05)

    assert 'le=~"1([.]0)?"' in slow.query
    assert value(prometheus.provider, slow, served) == pytest.approx(0)


def test_the_compared_presets_name_counters_that_the_sdk_has(served, prometheus):
    for name in ("error-rate", "latency", "fallback-rate", "thumbs-down"):
        (gate,) = gates(preset=name)
        assert isinstance(gate, ErrorRateGate)
        query = f'sum(wavegate_bad_total{{flag="{served}",kind="{gate.kinds[0]}"}})'
        assert prometheus.provider.query(query, at=now()) == Value(value=0), name


OTEL = ["feature_flag_key", "feature_flag_result_variant"]


@pytest.fixture
def otel(place, prometheus):
    flag, registry = "preset-otel", CollectorRegistry()
    labels = [*OTEL, "gen_ai_request_model"]
    duration = Histogram(
        "gen_ai_client_operation_duration_seconds",
        "d",
        [*labels, "error_type"],
        registry=registry,
        buckets=(0.64, 2.56),
    )
    usage = Histogram(
        "gen_ai_client_token_usage", "t", [*labels, "gen_ai_token_type"], registry=registry, buckets=(64,)
    )
    first = Histogram("gen_ai_server_time_to_first_token_seconds", "f", labels, registry=registry, buckets=(0.5, 1.0))
    arm = (flag, "on", "small-2")
    children = [
        duration.labels(*arm, ""),
        duration.labels(*arm, "timeout"),
        usage.labels(*arm, "input"),
        usage.labels(*arm, "output"),
        first.labels(*arm),
    ]
    place(flag, registry, f'gen_ai_client_operation_duration_seconds_count{{feature_flag_key="{flag}"}}')
    well, failed, read, written, begun = children
    for number in range(100):
        (failed if number < 20 else well).observe(3.0 if number < 10 else 0.3)
        read.observe(300)
        written.observe(50)
        begun.observe(0.7 if number < 30 else 0.2)
    count = f'sum(gen_ai_server_time_to_first_token_seconds_count{{feature_flag_key="{flag}"}})'
    wait_until(lambda: prometheus.provider.query(count, at=now()) == Value(value=100))
    return flag


def test_the_presets_on_opentelemetry_s_metrics_give_a_number(otel, prometheus):
    provider = prometheus.provider
    (errors,) = gates(preset="error-rate", source="otel", limit=0.1)
    (slow,) = gates(preset="latency", source="otel", over=[0.64], limit=0.1)
    (first, late) = gates(preset="time-to-first-token", source="otel", over=[0.5, 1], limit=0.1)
    (tokens,) = gates(preset="tokens", source="otel", limit=1000)
    (by_model,) = gates(preset="tokens", source="otel", limit=1000, labels={"gen_ai_request_model": "small-2"})

    assert value(provider, errors, otel) == pytest.approx(0.2)
    assert value(provider, slow, otel) == pytest.approx(0.1)
    assert value(provider, first, otel) == pytest.approx(0.3)
    assert value(provider, late, otel) == pytest.approx(0)
    assert value(provider, tokens, otel) == pytest.approx(350)
    assert value(provider, by_model, otel) == pytest.approx(350)


def test_an_app_that_never_failed_has_no_errors_and_not_no_data(place, prometheus):
    flag, registry = "preset-faultless", CollectorRegistry()
    duration = Histogram("gen_ai_client_operation_duration_seconds", "d", OTEL, registry=registry)
    child = duration.labels(flag, "on")
    place(flag, registry, f'gen_ai_client_operation_duration_seconds_count{{feature_flag_key="{flag}"}}')
    for _ in range(10):
        child.observe(0.3)
    (errors,) = gates(preset="error-rate", source="otel", limit=0.1)

    assert value(prometheus.provider, errors, flag) == 0


@pytest.mark.parametrize(
    "preset",
    [
        {"preset": "latency", "source": "otel", "over": [0.333], "limit": 0.1},
        {"preset": "error-rate", "source": "otel", "limit": 0.1},
        {"preset": "cost", "limit": 1},
    ],
)
def test_what_nobody_exposes_gives_no_data_and_not_a_pass(preset, prometheus):
    (gate,) = gates(**preset)

    answer = prometheus.provider.query(threshold_query(gate, rollout("nobody-has-this")), at=now())

    assert answer == NoData(reason=NoDataReason.EMPTY_RESULT)


def test_the_state_of_an_alert_is_one_number(place, prometheus):
    flag, registry = "alert-states", CollectorRegistry()
    alerts = Gauge("ALERTS", "As Prometheus writes them", ["alertname", "alertstate", "flag"], registry=registry)
    alerts.labels("TooSlow", "firing", flag).set(1)
    alerts.labels("TooDear", "pending", flag).set(1)
    place(flag, registry, f'ALERTS{{flag="{flag}"}}')

    def state(name: str, **fields) -> float:
        gate = AlertGate(name="a", alert=name, labels={"flag": "{{flag}}"}, **fields)
        answer = prometheus.provider.query(alert_query(gate, rollout(flag), now=now()), at=now())
        assert isinstance(answer, Value)
        return answer.value

    assert [state(name) for name in ("TooSlow", "TooDear", "Quiet")] == [2, 1, 0]
    alerts.clear()
    wait_until(lambda: state("TooSlow") == 0)
    assert state("TooSlow", counts=AlertCounts.FIRED_IN_WAVE) == 2


def test_an_alert_that_no_rule_raises_is_told_from_calm(prometheus):
    problem = prometheus.provider.alert_rule("NobodyEverWroteThis")

    assert problem.reason is BrokenReason.NO_SUCH_ALERT
    assert "NobodyEverWroteThis" in problem.detail
