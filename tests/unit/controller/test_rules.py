"""Rules as fields of a form, and back."""

import pytest

from wavegate.evaluation import Rule
from wavegate.evaluation.condition_codec import read_condition, write_condition
from wavegate.evaluation.flag import Share
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.web.rules import (
    Line,
    RuleForm,
    document_of,
    form_of,
    read_prerequisites,
    read_serve,
    write_prerequisites,
)

CONDITIONS = [
    {"attribute": "country", "operator": "in", "value": ["NO", "SE"]},
    {"attribute": "age", "operator": ">=", "value": 18},
    {"attribute": "age", "operator": "equals", "value": "18"},
    {"attribute": "beta", "operator": "equals", "value": True},
    {"attribute": "name", "operator": "equals", "value": "a, b"},
    {"attribute": "names", "operator": "in", "value": ["a, b", 'c"d', 5, "5", True, " x "]},
    {"attribute": "mail", "operator": "ends_with", "value": ["@a.example", "@b.example"]},
    {"attribute": "mail", "operator": "ends_with", "value": ["@a.example"]},
    {"attribute": "plan", "operator": "exists"},
    {"attribute": "app", "operator": "semver>=", "value": "2.10.0"},
    {"attribute": "since", "operator": "date<", "value": "2026-03-01T09:00:00+01:00"},
    {"attribute": "mail", "operator": "matches", "value": "a,b|[0-9]+"},
    {"not": {"attribute": "plan", "operator": "exists"}},
    {"not": {"segment": "staff"}},
    {"any": [{"segment": "staff"}, {"attribute": "age", "operator": "<", "value": 1.5}]},
    {"all": [{"segment": "staff"}]},
    {"all": [{"any": [{"segment": "a"}, {"segment": "b"}]}, {"segment": "c"}]},
    {"not": {"all": [{"segment": "a"}, {"segment": "b"}]}},
]


def as_it_means(condition):
    """Lists of one condition mean the condition itself."""
    form = next((each for each in ("all", "any") if each in condition), None)
    return condition[form][0] if form and len(condition[form]) == 1 else condition


@pytest.mark.parametrize("document", CONDITIONS, ids=str)
def test_a_rule_comes_back_from_its_form_as_it_was(document):
    rule = Rule(condition=read_condition("if", document), serve="on", name="Some")

    again = document_of(form_of(rule), "rules[0]")

    assert again == {"name": "Some", "if": as_it_means(write_condition(rule.condition)), "serve": "on"}


def test_what_lines_cannot_say_is_shown_as_json():
    nested, flat = (form_of(Rule(condition=read_condition("if", each), serve="on")) for each in CONDITIONS[-2:-4:-1])

    assert (bool(nested.json), nested.lines) == (True, ())
    assert (flat.json, flat.lines) == ("", (Line(operator="segment", value="staff"),))


def test_a_split_reads_as_it_is_written():
    shares = (Share(variant="small", weight=62_500), Share(variant="large", weight=37_500))
    rule = Rule(condition=read_condition("if", CONDITIONS[0]), serve=shares)

    assert form_of(rule).serve == "62.5 % small, 37.5 % large"
    assert document_of(form_of(rule), "rules[0]")["serve"] == [
        {"variant": "small", "weight": 62_500},
        {"variant": "large", "weight": 37_500},
    ]


@pytest.mark.parametrize(
    ("rule", "field", "problem"),
    [
        (RuleForm(serve="on"), "rules[0].if", "asks nothing"),
        (RuleForm(serve="", lines=(Line(attribute="a", value="1"),)), "rules[0].serve", "is empty"),
        (RuleForm(json="{", serve="on"), "rules[0].if", "is no JSON"),
        (RuleForm(lines=(Line(attribute="a", operator="like"),), serve="on"), "rules[0].if[0]", "'like' is no"),
    ],
)
def test_a_rule_that_is_none_is_refused_at_its_place(rule, field, problem):
    with pytest.raises(Invalid) as refused:
        document_of(rule, "rules[0]")

    assert refused.value.field == field
    assert refused.value.problem.startswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"), [("60 % a, 30 % b", "has shares that add up to 90 %"), ("half % a", "'half % a' is no share")]
)
def test_shares_that_make_no_whole_are_refused(text, problem):
    with pytest.raises(Invalid, match=problem):
        read_serve(text, "serve")


def test_prerequisites_are_lines():
    found = read_prerequisites(["search: on, beta"])

    assert found == [{"flag": "search", "variants": ["on", "beta"]}]
    assert write_prerequisites(found) == "search: on, beta"
    with pytest.raises(Invalid, match="names no variant"):
        read_prerequisites(["search"])
