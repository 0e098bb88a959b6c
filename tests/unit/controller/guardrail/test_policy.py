"""Policies are valid, or not constructed; and where their gates stand."""

from datetime import timedelta

import pytest

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.guardrail import GuardrailMetric, GuardrailPolicy, GuardrailWave, MetricKind


def waves(*percents: float) -> tuple[GuardrailWave, ...]:
    return tuple(GuardrailWave(weight=round(percent * 1000)) for percent in percents)


@pytest.mark.parametrize(
    ("percents", "last"),
    [
        ((10, 25, 50, 100), 2),
        ((10, 25, 50, 95), 2),  # a hold-out of 5 % is a control, but too small a one to wait for
        ((10, 25, 50, 95, 100), 2),
        ((1, 5, 20, 80), 3),
        ((10, 25, 50), 2),
        ((100,), None),
        ((50, 100), 0),
    ],
)
def test_the_last_gate_is_the_last_one_before_the_control_disappears(percents, last):
    policy = GuardrailPolicy(waves=waves(*percents))

    assert [index for index in range(len(percents)) if policy.is_last_gate(index)] == ([] if last is None else [last])


def test_the_early_margin_keeps_the_harm_at_stake_constant_at_a_base_of_one_percent():
    metric = GuardrailMetric(name="errors")

    harms = [(metric.early_margin(share) + metric.gate_absolute / 0.01) * share for share in (0.1, 0.3, 0.6, 0.9)]

    assert harms == pytest.approx([0.05] * 4)


def test_a_tiny_wave_does_not_pass_early_on_less_than_twice_as_bad():
    assert GuardrailMetric(name="errors").early_margin(0.01) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weight", 0),
        ("weight", float("nan")),
        ("margin", -0.1),
        ("absolute_margin", 1.0),
        ("gate_absolute_margin", float("inf")),
        ("final_margin", -1),
        ("early_harm", -1),
        ("ceiling", 0),
        ("ceiling", 1),
        ("unit", 0),
        ("name", "no such name!"),
    ],
)
def test_a_metric_that_makes_no_sense_is_refused_by_field(field, value):
    with pytest.raises(Invalid) as refused:
        GuardrailMetric(**{"name": "errors", field: value})

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weight", 0),
        ("weight", 100_001),
        ("bake", timedelta(0)),
        ("target", timedelta(minutes=5)),
        ("suspicion_limit", timedelta(minutes=30)),
        ("maximum", timedelta(hours=1)),
    ],
)
def test_a_wave_that_makes_no_sense_is_refused_by_field(field, value):
    with pytest.raises(Invalid) as refused:
        GuardrailWave(**{"weight": 10_000, field: value})

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("waves", {"waves": ()}),
        ("waves[1].weight", {"waves": waves(25, 25)}),
        ("metrics", {"metrics": (GuardrailMetric(name="thumbs", guardrail=False),)}),
        ("metrics", {"metrics": ()}),
        ("metrics[1].name", {"metrics": (GuardrailMetric(name="a"), GuardrailMetric(name="a"))}),
        ("metrics[0].kind", {"metrics": (GuardrailMetric(name="cost", kind=MetricKind.MEAN),), "cohorts": 1}),
        ("cohorts", {"cohorts": 4}),
        ("alpha", {"alpha": 0}),
        ("beta", {"beta": 1}),
        ("suspicion", {"suspicion": 20}),
        ("suspicion", {"suspicion": 0.5}),
        ("min_requests", {"min_requests": 0}),
        ("tick", {"tick": timedelta(0)}),
        ("stale_after", {"stale_after": timedelta(seconds=30)}),
        ("settle", {"settle": timedelta(seconds=-1)}),
        ("restart_every", {"restart_every": timedelta(0)}),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_by_field(field, values):
    with pytest.raises(Invalid) as refused:
        GuardrailPolicy(**values)

    assert refused.value.field == field
