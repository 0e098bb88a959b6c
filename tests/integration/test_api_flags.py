"""Flags over HTTP."""

import pytest

from support import control_plane


@pytest.fixture
def world(any_database_url):
    with control_plane.world(any_database_url) as world:
        yield world


@pytest.fixture
def api(world):
    return control_plane.client(world.services)


def test_a_flag_needs_a_key_and_nothing_else(api):
    created = api.post("/api/v1/flags", json={"key": "ai-summaries"})

    assert created.status_code == 201
    assert created.headers["Location"] == "/api/v1/flags/ai-summaries"
    assert created.json["variants"] == {"on": True, "off": False}
    assert created.json["enabled"]
    assert api.get(created.headers["Location"]).json == created.json


def test_flags_are_listed_by_key_each_with_its_newest_rollout(api):
    for key in ("b", "a"):
        api.post("/api/v1/flags", json={"key": key})
    api.post("/api/v1/rollouts", json={"flag": "a", "actor": "ada"})

    items = api.get("/api/v1/flags").json["items"]

    assert [(flag["key"], flag["rollout"] and flag["rollout"]["id"]) for flag in items] == [("a", "a:1"), ("b", None)]


def test_the_emergency_stop_may_be_pulled_twice_and_is_published_once(api):
    api.post("/api/v1/flags", json={"key": "ai-summaries"})
    before = api.get("/api/v1/status").json["revision"]

    stops = [api.post("/api/v1/flags/ai-summaries/disable", json={"actor": "ada", "comment": "!"}) for _ in range(2)]

    assert [(stop.status_code, stop.json["enabled"]) for stop in stops] == [(200, False)] * 2
    assert api.get("/api/v1/status").json["revision"] == before + 1


def test_a_stopped_flag_says_so_on_its_rollout_until_it_is_enabled(api):
    api.post("/api/v1/flags", json={"key": "ai-summaries"})
    api.post("/api/v1/rollouts", json={"flag": "ai-summaries", "actor": "ada"})

    api.post("/api/v1/flags/ai-summaries/disable", json={"actor": "ada"})
    stopped = api.get("/api/v1/rollouts/ai-summaries").json["flag_enabled"]
    api.post("/api/v1/flags/ai-summaries/enable", json={"actor": "ada"})

    assert not stopped
    assert api.get("/api/v1/rollouts/ai-summaries").json["flag_enabled"]


def test_who_pulled_the_emergency_stop_and_why_is_in_the_log(api, caplog):
    caplog.set_level("INFO")
    api.post("/api/v1/flags", json={"key": "ai-summaries"})

    api.post("/api/v1/flags/ai-summaries/disable", json={"actor": "ada", "comment": "it\nlies"})

    assert "action=flag_disabled flag=ai-summaries actor='ada' comment='it\\nlies'" in caplog.messages


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "key"),
        ({"key": "Not A Name"}, "key"),
        ({"key": 7}, "key"),
        ({"key": "f", "colour": "blue"}, "colour"),
        ({"key": "f", "variants": {"only": 1}, "default_variant": "only"}, "variants"),
        ({"key": "f", "variants": {"a": 1, "b": 2}}, "default_variant"),
        ({"key": "f", "generation": "v4"}, "generation"),
        ([], "document"),
    ],
)
def test_a_flag_that_makes_no_sense_is_refused_by_field(api, document, field):
    refused = api.post("/api/v1/flags", json=document)

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, field)
    assert api.get("/api/v1/flags").json["items"] == []


def test_a_key_that_is_taken_is_a_conflict(api):
    api.post("/api/v1/flags", json={"key": "f"})

    refused = api.post("/api/v1/flags", json={"key": "f"})

    assert (refused.status_code, refused.json["type"]) == (409, "urn:wavegate:problem:conflict")


@pytest.mark.parametrize("verb", ["disable", "enable"])
def test_an_unknown_flag_is_not_found(api, verb):
    assert api.get("/api/v1/flags/nope").status_code == 404
    assert api.post(f"/api/v1/flags/nope/{verb}", json={"actor": "ada"}).json["detail"] == "there is no flag 'nope'"
