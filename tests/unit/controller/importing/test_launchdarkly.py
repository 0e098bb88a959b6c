"""Flags of LaunchDarkly."""

import pytest

from support.importing import Asked
from wavegate_controller.domain.errors import Invalid


def clause(attribute, op, *values, **further):
    return {"attribute": attribute, "op": op, "values": list(values), "negate": False, "contextKind": "user"} | further


def rule(*clauses, variation=0, **further):
    served = {} if "rollout" in further else {"variation": variation}
    return {"id": "r", "clauses": list(clauses)} | served | further


def flag(**fields):
    return {
        "key": "search",
        "on": True,
        "variations": [True, False],
        "offVariation": 1,
        "fallthrough": {"variation": 1},
        "targets": [],
        "rules": [],
        "prerequisites": [],
        "salt": "abc",
    } | fields


def split(*weights, **further):
    return {"variations": [{"variation": at, "weight": each} for at, each in enumerate(weights)]} | further


def sdk(segments=None, flags=None, **fields):
    """The data of a server-side SDK."""
    return Asked("launchdarkly", {"flags": {"search": flag(**fields)} | (flags or {}), "segments": segments or {}})


def test_targets_come_before_rules_and_rules_before_the_rest():
    asked = sdk(
        targets=[{"variation": 1, "values": ["ann"]}, {"variation": 0, "values": ["bob", "ann"]}],
        rules=[rule(clause("country", "in", "NO")), rule(clause("plan", "in", "free"), variation=1)],
        fallthrough={"variation": 0},
    )

    assert asked("search", "ann", country="NO") == "off"
    assert asked("search", "bob", plan="free") == "on"
    assert asked("search", country="NO", plan="free") == "on"
    assert asked("search", plan="free") == "off"
    assert asked("search") == "on"
    assert asked.imported.notes == []


@pytest.mark.parametrize(
    ("asked_for", "met", "not_met"),
    [
        (clause("plan", "in", "team", 5), [{"plan": "team"}, {"plan": 5}], [{"plan": "5"}, {}]),
        (clause("plan", "in", "team", negate=True), [{"plan": "free"}], [{"plan": "team"}, {}]),
        (clause("mail", "endsWith", "@a.com", "@b.com"), [{"mail": "x@b.com"}], [{"mail": "x@c.com"}, {"mail": 5}]),
        (clause("mail", "matches", "^[a-z]+@"), [{"mail": "x@c.com"}], [{"mail": "5@c.com"}]),
        (clause("age", "lessThan", 18), [{"age": 17}], [{"age": 18}, {"age": "17"}, {}]),
        (clause("app", "semVerGreaterThan", "2"), [{"app": "2.0.1"}], [{"app": "2.0.0"}, {}]),
        (
            clause("since", "before", 1767225600000),
            [{"since": "2025-12-31T23:59:59Z"}],
            [{"since": "2026-01-01T00:00Z"}],
        ),
        (clause("/address/city", "in", "Oslo"), [{"address_city": "Oslo"}], [{}]),
        (clause("plan", "in", "team", contextKind="org"), [{"org_plan": "team"}], [{"plan": "team"}]),
        (clause("key", "in", "somebody"), [{}], []),
    ],
)
def test_a_clause_asks_the_same(asked_for, met, not_met):
    asked = sdk(rules=[rule(asked_for)])

    assert asked.lost("search") == []
    assert {asked("search", **attributes) for attributes in met} == {"on"}
    assert {asked("search", **attributes) for attributes in not_met} <= {"off"}


def test_segments_include_before_they_exclude_and_both_before_their_rules():
    segment = {
        "key": "beta",
        "included": ["ann"],
        "excluded": ["ann", "bob"],
        "rules": [{"clauses": [clause("country", "in", "NO")]}],
    }
    asked = sdk({"beta": segment}, rules=[rule(clause("", "segmentMatch", "beta"))])

    assert asked("search", "ann") == "on"
    assert asked("search", "bob", country="NO") == "off"
    assert asked("search", "cleo", country="NO") == "on"
    assert asked("search", "cleo") == "off"


def test_a_rollout_keeps_its_shares():
    asked = sdk(fallthrough={"rollout": split(25_000, 75_000)})

    assert asked.share("search", "on") == pytest.approx(25, abs=2.5)
    assert asked.minded("search") == ["percentages"]


def test_nothing_behind_a_rule_that_cannot_be_carried_over_is():
    asked = sdk(
        rules=[
            rule(clause("country", "in", "NO")),
            rule(clause("x", "in", {"a": 1}), variation=1),
            rule(clause("plan", "in", "team")),
        ],
        fallthrough={"variation": 0},
    )

    assert asked("search", country="NO") == "on"
    assert asked("search", plan="team") == "off"
    assert [each.partition(":")[0] for each in asked.lost("search")] == ["rule 2", "rule 3", "fallthrough"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"rules": [rule(clause("", "segmentMatch", "gone"))]}, "names the segment gone"),
        ({"rules": [rule(clause("kind", "in", "org"))]}, "asks for the kind of the context"),
        ({"rules": [rule(clause("mail", "matches", "(?=x)"))]}, "value"),
        ({"rules": [rule(rollout=split(60_000, 10_000))]}, "serves no variation"),
        ({"on": False}, "it is off at LaunchDarkly"),
    ],
)
def test_what_cannot_be_carried_over_is_left_out_and_named(fields, why):
    asked = sdk(**fields)

    assert asked.share("search", "on", people=20) == 0
    assert why in asked.lost("search")[0]


def test_two_splits_by_different_attributes_do_not_fit_one_flag():
    asked = sdk(
        rules=[rule(clause("country", "in", "NO"), rollout=split(50_000, 50_000, bucketBy="company"))],
        fallthrough={"rollout": split(50_000, 50_000)},
    )

    assert asked.spec("search")["bucket_by"] == "company"
    assert "splits people by another attribute" in asked.lost("search")[0]


def test_a_prerequisite_is_one_here():
    parent = flag(key="parent", rules=[rule(clause("country", "in", "NO"))])
    asked = sdk(
        flags={"parent": parent}, prerequisites=[{"key": "parent", "variation": 0}], fallthrough={"variation": 0}
    )

    assert [asked("search", country="NO"), asked("search", country="SE")] == ["on", "off"]


def test_a_list_of_the_rest_api_is_read_for_one_environment():
    item = {
        "key": "answer-model",
        "name": "Answer model",
        "description": "Which model answers.",
        "variations": [
            {"_id": "1", "value": {"model": "small"}, "name": "Small one"},
            # Old ones have no id.
            {"value": {"model": "large"}, "name": "Large one"},
        ],
        "environments": {
            "production": {"on": True, "offVariation": 0, "fallthrough": {"variation": 0}, "rules": [], "targets": []},
            "test": {"on": True, "offVariation": 0, "fallthrough": {"variation": 1}, "rules": [], "targets": []},
        },
    }

    asked = Asked("launchdarkly", {"items": [item]}, source_environment="test")

    assert asked("answer-model") == "large-one"
    assert asked.spec("answer-model")["variants"] == {"small-one": {"model": "small"}, "large-one": {"model": "large"}}
    with pytest.raises(Invalid, match="expected one of production, test"):
        Asked("launchdarkly", {"items": [item]})


@pytest.mark.parametrize("document", [{}, {"flags": []}, {"flags": {"a": 1}}, {"items": [{}]}])
def test_what_is_no_export_is_refused_or_empty(document):
    if document == {"flags": []}:
        assert Asked("launchdarkly", document).imported.objects == []
        return
    with pytest.raises(Invalid):
        Asked("launchdarkly", document)
