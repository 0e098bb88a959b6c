"""What enters as a document is either right or refused with the field, the problem and what would be right."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.rollouts import NOW
from wavegate_controller.documents import (
    FlagDocument,
    PlanDocument,
    RolloutDocument,
    parse,
    parse_text,
    plan_to_document,
)
from wavegate_controller.documents.duration import format_duration, parse_duration
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.plan import ThresholdGate

ALERT = {"type": "alert", "name": "slow", "alert": "SummariesTooSlow"}
WEBHOOK = {"type": "webhook", "name": "evals", "url": "https://checks.example.com/evals"}
GATE = {"type": "threshold", "name": "latency", "query": "p95", "operator": "<", "limit": 0.8}


def plan(**fields):
    return parse(RolloutDocument, {"flag": "ai-summaries", "plan": fields}).plan_to_domain()


def test_the_default_plan_is_10_25_50_100_guarded_by_errors_and_latency():
    default = plan()

    assert [wave.weight for wave in default.waves] == [10_000, 25_000, 50_000, 100_000]
    assert [(gate.name, gate.kinds) for gate in default.gates] == [("error-rate", ("error",)), ("latency", ("slow",))]
    assert default.gates == plan(gates=["error-rate", "latency"]).gates


def test_a_plan_survives_the_way_to_its_document_and_back():
    written = plan(
        waves=[
            {"percent": 0.001, "bake": "1h30m", "target": "2h", "maximum": "3d"},
            {"percent": 33.333, "bake": 90, "approval": "manual"},
        ],
        gates=[
            GATE | {"warm_up": "30s", "failures": 3, "of": 5, "warn": 0.7},
            {"type": "error_rate", "kinds": ["error", "slow"], "on_no_data": {"act": "pause", "after": "30m"}},
            ALERT | {"labels": {"flag": "{{flag}}"}, "counts": "fired_in_wave", "require_rule": False},
            {"type": "feedback", "min_answers": 5, "min_share": 0.7, "max_thumbs_down": 0.1},
            WEBHOOK | {"interval": "10m", "timeout": "30s", "keep_asking": False},
            {"type": "manual", "question": "Are the answers right?"},
            {"preset": "cost", "limit": 0.02},
            {"type": "value", "name": "tokens", "value": "tokens", "absolute_margin": 20, "rollback_only": True},
        ],
        guardrail={"alpha": 0.01, "sample_ratio": True, "on_inconclusive": "advance", "stale_after": "90s"},
        on_breach="step_back",
        interval="5s",
        on_no_data={"act": "hold"},
        on_cannot_measure={"act": "roll_back", "after": "2h"},
        hold_out=5,
        keep_hold_out=True,
    )

    assert parse(PlanDocument, plan_to_document(written)).to_domain() == written
    assert written.waves[0].weight == 1
    assert isinstance(written.gates[0], ThresholdGate)


@pytest.mark.parametrize(
    ("fields", "field", "expected"),
    [
        ({"waves": []}, "plan.waves", "at least one wave"),
        ({"waves": [{"percent": 50}, {"percent": 25}]}, "plan.waves[1].percent", "rising order"),
        ({"waves": [{"percent": 10}, {"percent": 10}]}, "plan.waves[1].percent", "rising order"),
        ({"waves": [{"percent": 101}]}, "plan.waves[0].percent", "at most 100"),
        ({"waves": [{"percent": 0}]}, "plan.waves[0].percent", "more than 0"),
        ({"waves": [{"percent": -5}]}, "plan.waves[0].percent", "more than 0"),
        ({"waves": [{"percent": 0.0001}]}, "plan.waves[0].percent", "steps of 0.001"),
        ({"waves": [{"percent": "ten"}]}, "plan.waves[0].percent", "a valid number"),
        ({"waves": [{"percent": float("nan")}]}, "plan.waves[0].percent", "a finite number"),
        ({"waves": [{"percent": True}]}, "plan.waves[0].percent", "a valid number"),
        ({"waves": [{"percent": 10, "bake": "soon"}]}, "plan.waves[0].bake", "a duration"),
        ({"waves": [{"percent": 10, "bake": "0s"}]}, "plan.waves[0].bake", "more than 0"),
        ({"waves": [{"percent": 10, "bake": -1}]}, "plan.waves[0].bake", "a duration"),
        ({"waves": [{"percent": 10, "backe": "1h"}]}, "plan.waves[0].backe", "documented fields"),
        ({"gates": []}, "plan.gates", "at least one gate"),
        ({"gates": [{"type": "vibes"}]}, "plan.gates[0].type", "threshold"),
        ({"gates": [{"name": "latency"}]}, "plan.gates[0].type", "error_rate"),
        ({"gates": [GATE, GATE]}, "plan.gates[1].name", "a name of its own"),
        ({"gates": [GATE | {"operator": "=="}]}, "plan.gates[0].operator", "<"),
        ({"gates": [GATE | {"query": " "}]}, "plan.gates[0].query", "PromQL"),
        ({"gates": [GATE | {"query": "{{user}}"}]}, "plan.gates[0].query", "{{candidate}}"),
        ({"gates": [GATE | {"limit": float("inf")}]}, "plan.gates[0].limit", "a finite number"),
        ({"gates": [GATE | {"failures": 4}]}, "plan.gates[0].failures", "failures <= of"),
        ({"gates": [GATE | {"name": "a b"}]}, "plan.gates[0].name", "1 to 100"),
        ({"guardrail": {"alpha": 0}}, "plan.guardrail.alpha", "more than 0"),
        ({"guardrail": {"suspicion": 20}}, "plan.guardrail.suspicion", "below 20"),
        ({"guardrail": {"min_requests": 0}}, "plan.guardrail.min_requests", "1 or more"),
        ({"guardrail": {"cohorts": 8}}, "plan.guardrail.cohorts", "16, or 1"),
        ({"guardrail": {"stale_after": "0s"}}, "plan.guardrail.stale_after", "more than 0"),
        ({"guardrail": {"restart_every": "0s"}}, "plan.guardrail.restart_every", "more than 0"),
        ({"waves": [{"percent": 10, "target": "5m"}]}, "plan.waves[0].target", "bake"),
        ({"waves": [{"percent": 10, "suspicion_limit": "30m"}]}, "plan.waves[0].suspicion_limit", "target"),
        ({"waves": [{"percent": 10, "maximum": "2h"}]}, "plan.waves[0].maximum", "suspicion_limit"),
        ({"gates": [{"type": "error_rate", "margin": -1}]}, "plan.gates[0].margin", "0 or more"),
        ({"gates": [{"type": "error_rate", "weight": 0}]}, "plan.gates[0].weight", "more than 0"),
        ({"gates": [{"type": "error_rate", "ceiling": 1}]}, "plan.gates[0].ceiling", "less than 1"),
        ({"gates": [{"type": "error_rate", "rollback_only": True}]}, "plan.gates", "without rollback_only"),
        ({"gates": [{"type": "value", "value": "thumbs_up"}]}, "plan.gates[0].value", "cost_usd"),
        ({"gates": [{"type": "value", "value": "tokens", "unit": 0}]}, "plan.gates[0].unit", "more than 0"),
        (
            {"gates": [{"type": "value", "value": "tokens"}], "guardrail": {"cohorts": 1}},
            "plan.gates[0].type",
            "cohorts 16",
        ),
        ({"gates": [{"type": "error_rate", "kinds": []}]}, "plan.gates[0].kinds", "error"),
        ({"gates": [GATE | {"warn": 0.9}]}, "plan.gates[0].warn", "less than the limit"),
        ({"gates": [GATE | {"operator": ">", "warn": 0.7}]}, "plan.gates[0].warn", "more than the limit"),
        ({"gates": [GATE | {"on_no_data": {"act": "pause"}}]}, "plan.gates[0].on_no_data.after", "30m"),
        ({"gates": [GATE | {"on_no_data": {"act": "explode"}}]}, "plan.gates[0].on_no_data.act", "roll_back"),
        ({"gates": [GATE | {"on_no_data": {"after": "1m"}}]}, "plan.gates[0].on_no_data.act", "a value"),
        ({"on_cannot_measure": {"act": "roll_back"}}, "plan.on_cannot_measure.after", "30m"),
        ({"hold_out": 60}, "plan.hold_out", "50 percent"),
        ({"hold_out": -1}, "plan.hold_out", "50 percent"),
        ({"hold_out": 0.0001}, "plan.hold_out", "steps of 0.001"),
        ({"keep_hold_out": True}, "plan.keep_hold_out", "a hold_out"),
        ({"gates": [ALERT | {"alert": "Too Slow"}]}, "plan.gates[0].alert", "SummariesTooSlow"),
        ({"gates": [ALERT | {"alert": None}]}, "plan.gates[0].alert", "a valid string"),
        ({"gates": [ALERT | {"labels": {"1x": "a"}}]}, "plan.gates[0].labels.1x", "severity"),
        ({"gates": [ALERT | {"labels": {"alertstate": "firing"}}]}, "plan.gates[0].labels.alertstate", "another"),
        ({"gates": [ALERT | {"labels": {"flag": "{{user}}"}}]}, "plan.gates[0].labels.flag", "{{flag}}"),
        ({"gates": [ALERT | {"counts": "ever"}]}, "plan.gates[0].counts", "fired_in_wave"),
        ({"gates": [ALERT | {"failures": 2}]}, "plan.gates[0].failures", "failures <= of"),
        ({"gates": [ALERT | {"warm_up": "soon"}]}, "plan.gates[0].warm_up", "a duration"),
        ({"gates": [{"type": "feedback", "min_answers": 0}]}, "plan.gates[0].min_answers", "1 or more"),
        ({"gates": [{"type": "feedback", "min_share": 2}]}, "plan.gates[0].min_share", "from 0 to 1"),
        ({"gates": [{"type": "feedback", "max_thumbs_down": 0}]}, "plan.gates[0].max_thumbs_down", "more than 0"),
        ({"gates": [{"type": "feedback", "alpha": 1}]}, "plan.gates[0].alpha", "less than 1"),
        ({"gates": [WEBHOOK | {"url": "ftp://checks"}]}, "plan.gates[0].url", "http or https"),
        ({"gates": [WEBHOOK | {"interval": "500ms"}]}, "plan.gates[0].interval", "1s or more"),
        ({"gates": [WEBHOOK | {"timeout": "2m"}]}, "plan.gates[0].timeout", "at most 1m"),
        ({"gates": [{"type": "manual", "name": "a b"}]}, "plan.gates[0].name", "1 to 100"),
        ({"gates": [{"type": "manual", "question": "?" * 501}]}, "plan.gates[0].question", "500"),
        ({"gates": ["vibes"]}, "plan.gates[0].preset", "latency"),
        ({"gates": [7]}, "plan.gates[0].type", "a preset"),
        ({"gates": [{"preset": "latency", "limt": 1}]}, "plan.gates[0].limt", "documented fields"),
        ({"gates": ["error-rate", {"type": "error_rate"}]}, "plan.gates[1].name", "a name of its own"),
        ({"on_breach": "ignore"}, "plan.on_breach", "roll_back"),
        ({"interval": "100ms"}, "plan.interval", "1s or more"),
        ({"steps": []}, "plan.steps", "documented fields"),
    ],
)
def test_a_wrong_plan_is_refused_by_field(fields: dict, field: str, expected: str):
    with pytest.raises(Invalid) as refused:
        plan(**fields)

    assert refused.value.field == field
    assert expected in refused.value.expected


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"key": "AI Summaries"}, "key"),
        ({"key": ""}, "key"),
        ({"key": "x" * 101}, "key"),
        ({"key": "ok", "variants": {"on": True}, "default_variant": "on"}, "variants"),
        ({"key": "ok", "default_variant": "maybe"}, "default_variant"),
        ({"key": "ok", "variants": {"on": True, "Off!": False}}, "variants.Off!"),
        ({"key": "ok", "generation": "v1"}, "generation"),
    ],
)
def test_a_wrong_flag_is_refused_by_field(fields: dict, field: str):
    with pytest.raises(Invalid) as refused:
        parse(FlagDocument, fields).to_domain(environment="production", now=NOW)

    assert refused.value.field == field


@pytest.mark.parametrize("text", ["waves: [", "- 1", "42", "", "!!python/object:os.system {}"])
def test_a_text_that_is_no_mapping_is_refused(text: str):
    with pytest.raises(Invalid) as refused:
        parse_text(RolloutDocument, text)

    assert refused.value.field in ("document", "flag")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15s", 15), ("10m", 600), ("1h30m", 5400), ("1d", 86_400), ("500ms", 0.5), (90, 90), (0.25, 0.25)],
)
def test_durations_are_read_as_prometheus_writes_them(text: object, seconds: float):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "10", "1.5h", "m10", "1m1h", None, True, -1, 0.0001, float("inf"), "9" * 30 + "d", "9" * 5000 + "s"]
)
def test_what_is_no_duration_is_refused(text: object):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(0, 10**12).map(lambda ms: timedelta(milliseconds=ms)))
def test_a_duration_survives_the_way_to_its_text_and_back(duration: timedelta):
    assert parse_duration(format_duration(duration)) == duration
