"""What is seen in an expression without its server, and what a document allows."""

from datetime import timedelta

import pytest

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.findings import (
    Allowance,
    Finding,
    Rule,
    Severity,
    allowances,
    suppress,
)
from wavegate_controller.domain.foresight.selectors import Selector, divides_by_a_query, selectors


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


def test_what_a_document_allows_is_read_from_its_comments():
    text = """
flag: search  # lint: allow never_crossed: nobody was ever that slow
# lint: allow not_scoped for queue: one queue for all
"""

    assert allowances(text) == (
        Allowance(rule=Rule.NEVER_CROSSED, gate=None, reason="nobody was ever that slow"),
        Allowance(rule=Rule.NOT_SCOPED, gate="queue", reason="one queue for all"),
    )


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("# lint: allow never_crossed", "gives no reason"),
        ("# lint: allow never_crossed:", "gives no reason"),
        ("# lint: allow everything: why not", "'everything' is no rule; expected one of query_rejected"),
    ],
)
def test_an_allowance_without_a_reason_is_refused(comment, said):
    with pytest.raises(Invalid, match=said):
        allowances(comment)


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
