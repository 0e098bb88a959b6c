"""A preset is a pure function from a few parameters to gates; what does not belong to it is refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.rollouts import a_rollout
from wavegate.client.counters import DURATION_BOUNDS, BadKind, ValueKind
from wavegate_controller.documents import PlanDocument, parse, plan_to_document
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.gates import ErrorRateGate, ThresholdGate
from wavegate_controller.domain.presets import OFFERS, SDK_EDGES, Preset, PresetName, Source, expand
from wavegate_controller.service.measure import threshold_query


def test_every_preset_has_a_source():
    assert {name for name, _ in OFFERS} == set(PresetName)


@pytest.mark.parametrize(
    "name", [PresetName.ERROR_RATE, PresetName.LATENCY, PresetName.FALLBACK_RATE, PresetName.THUMBS_DOWN]
)
def test_a_comparison_needs_nothing_but_its_word_and_takes_a_ceiling(name: PresetName):
    ((plain,), (capped,)) = expand(Preset(preset=name)), expand(Preset(preset=name, limit=0.4))

    assert isinstance(plain, ErrorRateGate)
    assert plain.name == name
    assert set(plain.kinds) <= set(BadKind)
    assert capped.ceiling == 0.4


def test_the_edges_are_those_of_the_sdk_s_histogram():
    assert SDK_EDGES == DURATION_BOUNDS
    assert {"cost_usd", "tokens", "thumbs_up"} <= set(ValueKind)


def test_each_edge_is_a_gate_of_its_own():
    gates = expand(Preset(preset=PresetName.LATENCY, over=(0.5, 1, 10), limit=0.05, warn=0.02, name="slow"))

    assert [(gate.name, gate.limit, gate.warn) for gate in gates] == [
        ("slow-over-0.5s", 0.05, 0.02),
        ("slow-over-1s", 0.05, 0.02),
        ("slow-over-10s", 0.05, 0.02),
    ]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"preset": "cost"}, "limit"),
        ({"preset": "cost", "limit": 1, "over": [1]}, "over"),
        ({"preset": "cost", "limit": 1, "warn": 2}, "warn"),
        ({"preset": "cost", "limit": 1, "source": "otel"}, "source"),
        ({"preset": "time-to-first-token", "limit": 0.1, "over": [1]}, "source"),
        ({"preset": "time-to-first-token", "source": "otel", "limit": 0.1}, "over"),
        ({"preset": "latency", "over": [0.5]}, "limit"),
        ({"preset": "latency", "over": [0.7], "limit": 0.1}, "over[0]"),
        ({"preset": "latency", "over": [0.5, 0.5], "limit": 0.1}, "over[1]"),
        ({"preset": "latency", "over": [-1], "limit": 0.1, "source": "otel"}, "over[0]"),
        ({"preset": "latency", "over": [0.5], "limit": 800}, "limit"),
        ({"preset": "latency", "warn": 0.1}, "warn"),
        ({"preset": "latency", "window": "1m"}, "window"),
        ({"preset": "error-rate", "limit": 2}, "limit"),
        ({"preset": "error-rate", "labels": {"a": "b"}}, "labels"),
        ({"preset": "error-rate", "source": "otel"}, "limit"),
        ({"preset": "error-rate", "source": "statsd"}, "source"),
        ({"preset": "tokens", "limit": 1, "labels": {"le": "1"}}, "labels.le"),
        ({"preset": "tokens", "limit": 1, "labels": {"model": "{{user}}"}}, "labels.model"),
        ({"preset": "tokens", "limit": 1, "name": "a b"}, "name"),
        ({"preset": "tokens", "limit": 1, "window": "0s"}, "window"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(document: dict, field: str):
    with pytest.raises(Invalid) as refused:
        parse(PlanDocument, {"gates": [document]}).to_domain()

    assert refused.value.field == f"gates[0].{field}"


@given(st.text(max_size=40).filter(lambda text: "{{" not in text))
def test_a_label_s_value_never_leaves_its_quotes(value: str):
    (gate,) = expand(
        Preset(preset=PresetName.TOKENS, source=Source.OTEL, limit=1, labels={"model": value, "flag": "{{flag}}"})
    )
    assert isinstance(gate, ThresholdGate)

    query = threshold_query(gate, a_rollout(flag_key='evil"} or vector(0) #'))

    literal = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert query.count(f'model="{literal}",flag="evil\\"}} or vector(0) #"') == 2


@pytest.mark.parametrize(("name", "source"), OFFERS)
def test_the_gates_of_a_preset_survive_the_way_to_their_document_and_back(name: PresetName, source: Source):
    given_parameters = {"limit": 0.05, "over": [0.5]}
    needs = {each: given_parameters[each] for each in OFFERS[name, source].needs}

    plan = parse(PlanDocument, {"gates": [{"preset": name.value, "source": source.value} | needs]}).to_domain()

    assert parse(PlanDocument, plan_to_document(plan)).to_domain() == plan
