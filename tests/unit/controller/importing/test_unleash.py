"""Flags of Unleash. The cases of constraints were checked by hand against Unleash's own engine (yggdrasil 2.0)."""

import pytest

from support.importing import Asked
from wavegate_controller.documents.importing import Options, import_flags
from wavegate_controller.domain.errors import Invalid


def flexible(rollout="100", constraints=(), **further):
    parameters = {"groupId": "search", "rollout": rollout, "stickiness": "default"} | further.pop("parameters", {})
    return {"name": "flexibleRollout", "parameters": parameters, "constraints": list(constraints)} | further


def constraint(name, operator, *values, **further):
    many = operator in ("IN", "NOT_IN") or operator.startswith("STR")
    given = {"values": list(values)} if many else {"value": values[0]}
    return {"contextName": name, "operator": operator, "inverted": False, "caseInsensitive": False} | given | further


def client(*strategies, segments=(), **fields):
    """What /api/client/features answers."""
    flag = {"name": "search", "enabled": True, "strategies": list(strategies)} | fields
    return Asked("unleash", {"version": 2, "features": [flag], "segments": list(segments)})


def export(**parts):
    """What an export of features has."""
    return {
        "features": [{"name": "search", "description": "Search", "project": "default", "type": "release"}],
        "featureStrategies": [flexible(constraints=[constraint("country", "IN", "NO")], featureName="search")],
        "featureEnvironments": [{"featureName": "search", "environment": "production", "enabled": True}],
        "contextFields": [],
        "segments": [],
        "tagTypes": [],
    } | parts


def test_an_export_of_features_is_read():
    asked = Asked("unleash", export())

    assert asked.spec("search")["description"] == "Search"
    assert asked("search", country="NO") == "on"
    assert asked("search", country="SE") == "off"
    assert asked.imported.lost == []


def test_of_several_environments_one_has_to_be_named():
    states = [
        {"featureName": "search", "environment": "development", "enabled": True},
        {"featureName": "search", "environment": "production", "enabled": False},
    ]

    with pytest.raises(Invalid, match="source environment: is not given; expected one of development, production"):
        Asked("unleash", export(featureEnvironments=states))
    assert Asked("unleash", export(featureEnvironments=states), source_environment="development").lost("search") == []
    production = Asked("unleash", export(featureEnvironments=states), source_environment="production")
    assert production("search", country="NO") == "off"
    assert production.lost("search") == ["enabled: it is off at Unleash, and what is off has no rules here"]


@pytest.mark.parametrize(
    ("asked_for", "met", "not_met"),
    [
        (constraint("plan", "IN", "5", "team"), [{"plan": "team"}, {"plan": 5}], [{"plan": "free"}, {}]),
        (constraint("plan", "NOT_IN", "team"), [{"plan": "free"}, {}], [{"plan": "team"}]),
        (constraint("plan", "IN", "team", inverted=True), [{"plan": "free"}, {}], [{"plan": "team"}]),
        (constraint("plan", "IN"), [], [{"plan": "free"}, {}]),
        (constraint("mail", "STR_ENDS_WITH", "@a.com"), [{"mail": "x@a.com"}], [{"mail": "x@A.COM"}, {}]),
        (
            constraint("mail", "STR_ENDS_WITH", "@a.com", caseInsensitive=True),
            [{"mail": "x@A.Com"}],
            [{"mail": "x@a.com.no"}, {"mail": "x@axcom"}],
        ),
        (constraint("age", "NUM_GTE", "18"), [{"age": 18}], [{"age": 17.5}, {}]),
        (constraint("age", "NUM_GT", "18", inverted=True), [{"age": 18}, {}], [{"age": 19}]),
        (constraint("app", "SEMVER_GT", "1.9.0"), [{"app": "1.10.0"}], [{"app": "1.9.0"}, {"app": "new"}]),
        (
            constraint("since", "DATE_AFTER", "2026-01-01T00:00:00.000Z"),
            [{"since": "2026-05-01T00:00:00Z"}],
            [{"since": "2025-05-01T00:00:00Z"}, {}],
        ),
    ],
)
def test_a_constraint_asks_the_same(asked_for, met, not_met):
    asked = client(flexible(constraints=[asked_for]))

    assert asked.lost("search") == []
    assert {asked("search", **attributes) for attributes in met} <= {"on"}
    assert {asked("search", **attributes) for attributes in not_met} == {"off"}


def test_the_users_id_is_the_targeting_key():
    asked = client({"name": "userWithId", "parameters": {"userIds": "ann, bob"}})

    assert [asked("search", key) for key in ("ann", "bob", "cleo", None)] == ["on", "on", "off", "off"]


def test_without_strategies_it_is_on_for_everybody_with_a_key_or_without():
    asked = client()

    assert [asked("search", "ann"), asked("search", None)] == ["on", "on"]


def test_one_strategy_is_enough_and_the_larger_percentage_holds_where_two_are_met():
    asked = client(
        flexible("20", [constraint("country", "IN", "NO")]),
        flexible("60", [constraint("plan", "IN", "team")]),
        flexible("100", [constraint("staff", "IN", "yes")]),
        {"name": "default", "disabled": True},
    )

    assert asked("search", country="SE") == "off"
    assert asked("search", country="NO", staff="yes") == "on"
    assert asked.share("search", "on", country="NO") == pytest.approx(20, abs=2.5)
    assert asked.share("search", "on", country="NO", plan="team") == pytest.approx(60, abs=2.5)
    assert asked.minded("search") == ["percentages"]


def test_percentages_of_different_groups_are_not_of_one_hash():
    asked = client(flexible("20"), flexible("10", parameters={"groupId": "another"}))

    assert asked.share("search", "on") == pytest.approx(20, abs=2.5)
    assert len(asked.lost("search")) == 1
    assert "splits people by another group (another)" in asked.lost("search")[0]


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        (flexible("30", parameters={"stickiness": "random"}), "draws anew at each request"),
        ({"name": "gradualRolloutRandom", "parameters": {"percentage": "30"}}, "draws anew at each request"),
        ({"name": "remoteAddress", "parameters": {"IPs": "10.0.0.1"}}, "is a strategy that only Unleash has"),
        (flexible(constraints=[constraint("currentTime", "DATE_AFTER", "2026-01-01")]), "asks what time it is"),
        (flexible(constraints=[constraint("name", "STR_CONTAINS", "ø", caseInsensitive=True)]), "beyond ASCII"),
        (flexible(constraints=[constraint("x", "SOUNDS_LIKE", "y")]), "compares by SOUNDS_LIKE"),
        (flexible("many"), "has the percentage 'many'"),
        (flexible(segments=[7]), "names a segment whose constraints the document does not have"),
    ],
)
def test_what_cannot_be_carried_over_is_left_out_and_named(strategy, why):
    asked = client(strategy)

    assert asked.share("search", "on", people=20) == 0
    assert len(asked.lost("search")) == 1
    assert why in asked.lost("search")[0]


def test_a_custom_stickiness_is_the_attribute_to_split_by():
    asked = client(flexible("50", parameters={"stickiness": "company"}))

    served = {asked("search", f"person-{number}", company="acme") for number in range(20)}

    assert len(served) == 1
    assert asked.spec("search")["bucket_by"] == "company"


def test_segments_are_segments():
    nordics = {"id": 3, "name": "Nordic Users", "constraints": [constraint("country", "IN", "NO", "SE")]}
    asked = client(flexible(segments=[3]), segments=[nordics])

    assert list(asked.ruleset.segments) == ["nordic-users"]
    assert [asked("search", country="SE"), asked("search", country="DK")] == ["on", "off"]


def test_variants_share_the_strategys_percentage():
    variants = [
        {"name": "Green", "weight": 750, "payload": {"type": "json", "value": '{"color": "green"}'}},
        {"name": "Red", "weight": 250, "payload": {"type": "json", "value": '{"color": "red"}'}},
    ]
    asked = client(flexible("40", variants=variants))

    assert asked.spec("search")["variants"]["green"] == {"color": "green"}
    assert asked.share("search", "green") == pytest.approx(30, abs=2.5)
    assert asked.share("search", "red") == pytest.approx(10, abs=2.5)


def test_a_parent_is_a_prerequisite():
    flags = [
        {"name": "parent", "enabled": True, "strategies": [flexible(constraints=[constraint("country", "IN", "NO")])]},
        {"name": "child", "enabled": True, "strategies": [], "dependencies": [{"feature": "parent", "enabled": True}]},
        {"name": "orphan", "enabled": True, "strategies": [], "dependencies": [{"feature": "gone"}]},
    ]
    asked = Asked("unleash", {"version": 2, "features": flags})

    assert [asked("child", country="NO"), asked("child", country="SE")] == ["on", "off"]
    assert "orphan" not in asked.ruleset.flags
    assert asked.lost("orphan") == ["prerequisites: it needs gone, which is not imported"]


def test_keys_become_plain_and_two_that_would_be_one_are_told_apart():
    flags = [{"name": "newSearch", "enabled": True, "strategies": []}, {"name": "new-search", "enabled": True}]
    asked = Asked("unleash", {"version": 2, "features": flags})

    assert list(asked.ruleset.flags) == ["new-search"]
    assert asked.minded("newSearch") == ["key"]
    assert asked.lost("new-search") == ["the flag: newSearch has the same key here, new-search"]


@pytest.mark.parametrize("text", ["[]", "{}", '{"features": {}}', '{"features": [{"name": ""}]}', "{", ""])
def test_what_is_no_export_is_refused(text):
    with pytest.raises(Invalid):
        import_flags("unleash", text, Options())


def test_only_what_serves_people_is_exempt_from_the_stages():
    flags = [{"name": "served", "enabled": True, "strategies": []}, {"name": "off", "enabled": False}]
    document = {"version": 2, "features": flags}

    asked, without = Asked("unleash", document), Asked("unleash", document, exempt=None)

    assert asked.spec("served")["exempt"] == "served already"
    assert "exempt" not in asked.spec("off")
    assert asked.minded("served") == []
    assert (without.minded("served"), without.minded("off")) == (["whom it serves"], [])
