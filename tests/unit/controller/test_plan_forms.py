"""A plan as fields of a form says the same as its document, whatever the plan."""

import pytest

from wavegate_controller.documents import PlanDocument, parse, plan_to_document
from wavegate_controller.documents.gates import _TYPES
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.web.plans import KINDS, PRESET, as_text, form_of, form_of_text, offers

SILENCE = {"on_no_data": {"act": "pause", "after": "30m"}, "on_cannot_measure": {"act": "roll_back", "after": "1h"}}
LOOKS = {"failures": 3, "of": 7, "warm_up": "2m", "dry_run": True}
GATES = [
    {"type": "error_rate", "kinds": ["error", "fallback"], "ceiling": None, "margin": 0.02, "rollback_only": True},
    {"type": "value", "value": "cost_usd", "unit": 1e-06, "weight": 2} | SILENCE,
    {
        "type": "threshold",
        "name": "p95",
        "query": "up{\n}",
        "operator": ">=",
        "limit": -0.5,
        "warn": 0.25,
        "window": "2m",
    },
    {
        "type": "alert",
        "name": "slow",
        "alert": "Slow",
        "labels": {"team": "a", "flag": "{{flag}}"},
        "require_rule": False,
    },
    {"type": "feedback", "min_answers": 3, "min_share": 0.9},
    {"type": "webhook", "name": "suite", "url": "https://x.example/", "keep_asking": False, "interval": "5m"} | LOOKS,
    {"type": "manual", "question": "Do the answers\nread well?"},
    {"preset": "latency", "limit": 0.05, "over": [1.0, 2.5], "labels": {"job": "shop"}},
    "thumbs-down",
]
PLAN = {
    "waves": [
        {"percent": 0.5, "bake": "90s", "target": "10m", "suspicion_limit": "20m", "maximum": "1h"},
        {"percent": 50, "approval": "manual", "approvers": 3, "time_limit": "3d", "on_time_limit": "pause"},
        {"percent": 100, "approval": "manual"},
    ],
    "gates": GATES,
    "on_breach": "step_back",
    "interval": "30s",
    "guardrail": {"alpha": 0.01, "min_requests": 7, "sample_ratio": True, "on_inconclusive": "advance"},
    "hold_out": 2.5,
    "keep_hold_out": True,
    "final_bake": "1d",
    "freeze_windows": [{"name": "weekend", "time_zone": "Europe/Berlin", "from": "fri 16:00", "to": "mon 08:00"}],
    "budget": {"error-rate": 50, "value": 2.5},
    "objectives": {"error-rate": 0.999},
    "allowances": [
        {"rule": "no_series", "reason": "it is counted from the first answer: see the app"},
        {"rule": "not_scoped", "gate": "value", "reason": "one queue for all"},
    ],
} | SILENCE


def domain(document):
    return parse(PlanDocument, document).to_domain()


@pytest.mark.parametrize("document", [PLAN, {}, plan_to_document(domain(PLAN)), plan_to_document(domain({}))])
def test_a_plan_comes_back_from_its_form_and_from_its_yaml_as_it_was(document):
    form = form_of(document)

    assert domain(form.document()) == domain(document)
    assert form_of_text(as_text(form.document())).document() == form.document()


def test_what_goes_without_saying_is_left_out():
    assert form_of({}).document() == {
        "waves": [{"percent": share, "bake": "15m"} for share in (10, 25, 50, 100)],
        "gates": [{"preset": "error-rate"}, {"preset": "latency"}],
    }


def test_every_kind_of_gate_can_be_added_and_says_what_it_still_needs():
    assert set(KINDS) == {PRESET, *_TYPES.values()}
    for _, options in offers():
        for value, _ in options:
            form = form_of({}).without_gate(1).without_gate(0).with_gate(value)
            if value.startswith(PRESET):
                domain(form.document())
            elif value in ("threshold", "alert", "webhook"):
                with pytest.raises(Invalid, match=r"gates\[0\]"):
                    domain(form.document())


def test_a_preset_is_opened_into_the_gates_that_it_stands_for():
    form = form_of({"gates": [{"preset": "latency", "limit": 0.05, "over": [1.0, 2.5]}, "error-rate"]})

    opened = form.with_gate_opened(0)

    assert [gate.kind for gate in opened.gates] == ["threshold", "threshold", PRESET]
    assert domain(opened.document()) == domain(form.document())


@pytest.mark.parametrize(
    ("kind", "typed", "field"),
    [
        ("threshold", {"limit": "1_000"}, "limit"),
        ("threshold", {"failures": "2.5"}, "failures"),
        ("alert", {"labels": "team"}, "labels"),
        (PRESET, {"over": "1, soon"}, "over"),
    ],
)
def test_what_is_no_value_is_refused_by_its_path(kind, typed, field):
    from wavegate_controller.web.plans import GateForm

    with pytest.raises(Invalid) as refused:
        GateForm(kind=kind, typed=typed).document("gates[1]")

    assert refused.value.field == f"gates[1].{field}"
