"""Features of GrowthBook."""

import json

import pytest

from support.importing import Asked
from wavegate_controller.domain.errors import Invalid


def sdk(*rules, default=False, groups=None, **features):
    """What an SDK gets."""
    search = {"defaultValue": default, "rules": list(rules)}
    return Asked("growthbook", {"features": {"search": search} | features, "savedGroups": groups or {}})


def forced(condition, value=True, **further):
    return {"condition": condition, "force": value} | further


@pytest.mark.parametrize(
    ("condition", "met", "not_met"),
    [
        ({"country": "NO"}, [{"country": "NO"}], [{"country": "no"}, {}]),
        ({"country": {"$in": ["NO", "SE"]}}, [{"country": "SE"}], [{}]),
        ({"country": {"$nin": ["NO"]}}, [{"country": "SE"}, {}], [{"country": "NO"}]),
        ({"country": {"$ne": "NO"}}, [{"country": "SE"}, {}], [{"country": "NO"}]),
        ({"country": {"$ini": ["no"]}}, [{"country": "No"}], [{"country": "nope"}]),
        ({"age": {"$gte": 18, "$lt": 30}}, [{"age": 18}], [{"age": 30}, {"age": 17}, {}]),
        ({"mail": {"$regex": "@a\\.com$"}}, [{"mail": "x@a.com"}], [{"mail": "x@a.com.no"}, {}]),
        ({"app": {"$vgt": "2.9.0"}}, [{"app": "2.10.0"}], [{"app": "2.9.0"}]),
        ({"beta": {"$exists": True}}, [{"beta": False}], [{}]),
        ({"beta": None}, [{}], [{"beta": 1}]),
        ({"$or": [{"a": 1}, {"b": 2}]}, [{"b": 2}], [{"a": 2}]),
        ({"$nor": [{"a": 1}, {"b": 2}]}, [{}], [{"a": 1}]),
        ({"$not": {"a": 1}, "b": 2}, [{"b": 2}], [{"a": 1, "b": 2}, {}]),
        ({"tags": {"$elemMatch": {"$eq": "x"}}}, [{"tags": ["x", "y"]}], [{"tags": ["y"]}]),
        ({"tags": {"$all": ["x", "y"]}}, [{"tags": ["x", "y"]}], [{"tags": ["y"]}]),
        ({"id": {"$inGroup": "staff"}}, [{}], []),
        ({"id": {"$notInGroup": "staff"}}, [], [{}]),
        ({"account.plan": "team"}, [{"account_plan": "team"}], [{}]),
    ],
)
def test_a_condition_asks_the_same(condition, met, not_met):
    asked = sdk(forced(condition), groups={"staff": ["somebody"]})

    assert asked.lost("search") == []
    assert {asked("search", **attributes) for attributes in met} <= {"on"}
    assert {asked("search", **attributes) for attributes in not_met} <= {"off"}


def test_rules_are_asked_in_order_and_the_default_is_the_last():
    asked = sdk(
        forced({"country": "NO"}, "large"), forced({"country": {"$in": ["NO", "SE"]}}, "medium"), default="small"
    )

    assert [asked("search", country=each) for each in ("NO", "SE", "DK")] == ["large", "medium", "small"]


def test_a_percentage_that_stands_last_keeps_its_share():
    asked = sdk(forced({"staff": True}), forced({}, coverage=0.3, hashAttribute="id"))

    assert asked.share("search", "on") == pytest.approx(30, abs=2.5)
    assert asked("search", staff=True) == "on"
    assert asked.minded("search") == ["percentages"]


def test_a_percentage_before_other_rules_ends_them():
    asked = sdk(forced({}, coverage=0.3), forced({"country": "NO"}))

    assert asked("search", country="NO") == "off"
    assert [each.partition(":")[0] for each in asked.lost("search")] == ["rule 1, coverage", "rule 2"]


def test_an_experiment_keeps_its_weights():
    experiment = {"variations": ["a", "b", "c"], "weights": [0.5, 0.3, 0.2], "coverage": 0.5, "key": "exp"}
    asked = sdk(experiment, default="a")

    assert asked.share("search", "a") == pytest.approx(75, abs=2.5)
    assert asked.share("search", "b") == pytest.approx(15, abs=2.5)
    assert "rule 1, experiment" in asked.minded("search")


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (forced({}, namespace=["ns", 0, 0.5]), "takes people by a part of their hash"),
        (forced({"tags": {"$size": 2}}), "asks $size of tags"),
        (forced({"name": {"$gt": "a"}}), "finite number"),
        (forced({"id": {"$inGroup": "gone"}}), "names the saved group gone"),
        (forced({}, parentConditions=[{"id": "parent", "condition": {"value": True}}]), "is asked by one rule"),
        (forced({}, coverage=1.5), "has the share 1.5"),
    ],
)
def test_what_cannot_be_carried_over_is_left_out_and_named(rule, why):
    asked = sdk(rule, parent={"defaultValue": True})

    assert asked.share("search", "on", people=20) == 0
    notes = [str(note) for note in asked.imported.lost if note.flag == "search"]
    assert len(notes) == 1
    assert why in notes[0]


def test_a_gate_on_another_feature_is_a_prerequisite():
    gate = {"parentConditions": [{"id": "parent", "condition": {"value": True}, "gate": True}]}
    parent = {"defaultValue": False, "rules": [forced({"country": "NO"})]}
    asked = sdk(gate, forced({}), parent=parent)

    assert [asked("search", country="NO"), asked("search", country="SE")] == ["on", "off"]


def test_features_of_the_rest_api_are_read_for_one_environment():
    definition = {"defaultValue": False, "rules": [forced({"country": "NO"})]}
    feature = {
        "id": "search",
        "description": "Search",
        "valueType": "boolean",
        "environments": {
            "production": {"enabled": True, "definition": json.dumps(definition)},
            "dev": {"enabled": False, "definition": ""},
        },
    }

    asked = Asked("growthbook", {"features": [feature]}, source_environment="production")
    off = Asked("growthbook", {"features": [feature]}, source_environment="dev")

    assert asked("search", country="NO") == "on"
    assert off.lost("search") == ["enabled: it is off or archived at GrowthBook, and what is off has no rules here"]
    with pytest.raises(Invalid, match="expected one of dev, production"):
        Asked("growthbook", {"features": [feature]})


def test_a_feature_that_sdks_do_not_get_is_off_and_the_others_are_read():
    definition = {"defaultValue": False, "rules": [forced({"country": "NO"})]}
    archived = {"id": "old", "archived": True, "environments": {"production": {"enabled": True, "rules": []}}}
    used = {"id": "search", "environments": {"production": {"enabled": True, "definition": json.dumps(definition)}}}

    asked = Asked("growthbook", {"features": [archived, used]})

    assert asked("search", country="NO") == "on"
    assert asked.lost("old") == ["enabled: it is off or archived at GrowthBook, and what is off has no rules here"]


def test_a_feature_with_one_value_is_no_flag():
    asked = sdk(default="only")

    assert asked.imported.objects == []
    assert "the flag (variants): 1 given" in asked.lost("search")[0]
