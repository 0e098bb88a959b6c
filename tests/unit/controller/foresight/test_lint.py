"""What is seen in an expression without its server, and what a document allows."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.rollouts import NOW
from wavegate_controller.documents import parse, plan_to_document
from wavegate_controller.documents.plans import PlanDocument
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.findings import (
    Allowance,
    Finding,
    LintRefused,
    Rule,
    Severity,
    hold_to,
    suppress,
)
from wavegate_controller.domain.foresight.selectors import Selector, divides_by_a_query, selectors
from wavegate_controller.domain.foresight.supposed import supposed
from wavegate_controller.domain.gates import Operator, ThresholdGate
from wavegate_controller.domain.plan import Plan
from wavegate_controller.service.linting import seen_in_text


@pytest.mark.parametrize(
    ("promql", "found"),
    [
        ("up", [Selector(name="up")]),
        ("time()", []),
        ("vector(1) or NaN", []),
        (
            'sum by (job) (rate(http_requests_total{code=~"5..",job!="x"}[5m]))',
            [
                Selector(
                    name="http_requests_total",
                    matchers=(("code", "=~", "5.."), ("job", "!=", "x")),
                    range=timedelta(minutes=5),
                    within=("rate",),
                )
            ],
        ),
        (
            "a / on (b) group_left (c) d offset 5m",
            [Selector(name="a"), Selector(name="d")],
        ),
        (
            "max_over_time(rate(x_total[1m])[30m:1m])",
            [Selector(name="x_total", range=timedelta(minutes=1), within=("max_over_time", "rate"))],
        ),
        ('{__name__="x",a="b\\"c"}', [Selector(name="", matchers=(("__name__", "=", "x"), ("a", "=", 'b"c')))]),
        ("x # not y\n + `not z` == bool w", [Selector(name="x"), Selector(name="w")]),
        (
            "histogram_quantile(0.99, sum(rate(d_bucket[1h30m])) by (le))",
            [Selector(name="d_bucket", range=timedelta(minutes=90), within=("histogram_quantile", "sum", "rate"))],
        ),
        ("x[", [Selector(name="x")]),
        (")(", []),
        ("x{", [Selector(name="x")]),
    ],
)
def test_selectors_are_found_in_an_expression(promql, found):
    assert list(selectors(promql)) == found


@pytest.mark.parametrize(
    ("promql", "divides"),
    [
        ("a / b", True),
        ("a / 60", False),
        ("sum(a) / (sum(b) > 0)", False),
        ("a / clamp_min(b, 1)", False),
        ("a / b > 0.5", True),
        ("a > 0", False),
    ],
)
def test_what_may_be_divided_by_nothing_is_seen(promql, divides):
    assert divides_by_a_query(promql) is divides


def test_a_selector_is_written_as_it_was_meant():
    (selector,) = selectors('d_bucket{le="0.5",path="/a\\\\b"}')

    assert selector.promql == 'd_bucket{le="0.5",path="/a\\\\b"}'
    assert selector.without("le") == 'd_bucket{path="/a\\\\b"}'
    assert selector.without("le", "path") == "d_bucket"


def plan(*allowances):
    document = {"gates": [{"type": "error_rate"}, {"type": "error_rate", "name": "latency", "kinds": ["slow"]}]}
    return parse(PlanDocument, document | {"allowances": list(allowances)}).to_domain()


def test_what_a_plan_allows_is_read_and_written():
    allowed = [
        {"rule": "never_crossed", "gate": None, "reason": "nobody was ever that slow"},
        {"rule": "not_scoped", "gate": "latency", "reason": "one queue for all"},
    ]

    assert plan(*allowed).allowances == (
        Allowance(rule=Rule.NEVER_CROSSED, gate=None, reason="nobody was ever that slow"),
        Allowance(rule=Rule.NOT_SCOPED, gate="latency", reason="one queue for all"),
    )
    assert plan_to_document(plan(*allowed))["allowances"] == allowed


@pytest.mark.parametrize(
    ("allowance", "said"),
    [
        ({"rule": "never_crossed", "reason": " "}, r"allowances\[0\].reason: is empty; expected why"),
        ({"rule": "everything", "reason": "why"}, r"allowances\[0\].rule: 'everything' is no rule; expected one of qu"),
        (
            {"rule": "no_series", "gate": "x", "reason": "why"},
            r"allowances\[0\].gate: 'x' is no gate; expected one of e",
        ),
    ],
)
def test_an_allowance_that_makes_no_sense_is_refused(allowance, said):
    with pytest.raises(Invalid, match=said):
        plan(allowance)


def test_an_error_stops_a_guess_does_not_and_neither_does_what_is_allowed():
    error = Finding(rule=Rule.COUNTER_WITHOUT_RATE, gate="a", found="x_total is a counter")
    guess, allowed = replace(error, is_guess=True), replace(error, suppressed="it is reset at midnight")

    assert [each.stops for each in (error, guess, allowed)] == [True, False, False]
    assert guess.severity is Severity.WARNING


def test_a_refusal_names_each_error_and_how_to_mend_it():
    error = Finding(rule=Rule.NO_SERIES, gate="queue", found="queue_lenght matches nothing now")
    warning = Finding(rule=Rule.NOT_SCOPED, gate="queue", found="the query does not say {{flag}}")

    with pytest.raises(LintRefused) as refusal:
        hold_to("rollout 'ai:1' was not started", {"ai:1": [error, warning]}, despite="")
    hold_to("rollout 'ai:1' was not started", {"ai:1": [error, warning]}, despite="it is counted from tomorrow on")
    hold_to("rollout 'ai:1' was not started", {"ai:1": [warning]}, despite="")

    assert str(refusal.value).startswith(
        "rollout 'ai:1' was not started, as lint found 1 error. ai:1: queue: queue_lenght matches nothing now ("
    )
    assert refusal.value.found == {"ai:1": [error, warning]}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sum(x_total) # {{flag}}{{candidate}}", {("counter_without_rate", "error")}),
        ("sum(x_count) # {{flag}}{{candidate}}", {("counter_without_rate", "warning")}),
        ("sum(rate(errors[5m])) # {{flag}}{{candidate}}", {("rate_of_gauge", "warning")}),
        ("a / b", {("not_scoped", "warning"), ("division_by_zero", "warning")}),
        ('sum(rate(x_total{f="{{flag}}",v="{{candidate}}"}[{{window}}]))', set()),
    ],
)
def test_the_text_of_a_gate_says_something_with_nobody_to_ask(query, found):
    gate = ThresholdGate(name="watched", query=query, operator=Operator.LESS, limit=1)
    rollout = supposed("search", Plan(gates=(gate,)), stable="off", candidate="on", at=NOW)

    assert {(each.rule.value, each.severity.value) for each in seen_in_text(gate, rollout)} == found


def test_what_is_allowed_comes_last_with_its_reason():
    findings = [
        Finding(rule=Rule.NEVER_CROSSED, gate="a", found=""),
        Finding(rule=Rule.NOT_SCOPED, gate="a", found=""),
        Finding(rule=Rule.NO_SERIES, gate="a", found=""),
        Finding(rule=Rule.NO_SERIES, gate="b", found=""),
    ]

    marked = suppress(findings, [Allowance(rule=Rule.NO_SERIES, gate="a", reason="starts tomorrow")])

    assert [(each.gate, each.severity, each.suppressed) for each in marked] == [
        ("b", Severity.ERROR, None),
        ("a", Severity.WARNING, None),
        ("a", Severity.NOTE, None),
        ("a", Severity.ERROR, "starts tomorrow"),
    ]


def test_every_rule_says_why_it_matters_and_how_to_mend_it():
    findings = [Finding(rule=rule, gate="", found="") for rule in Rule]

    assert all(each.why and each.mend and each.severity for each in findings)
