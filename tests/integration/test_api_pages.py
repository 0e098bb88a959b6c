"""Lists by pages: everything once, in order, while others add to them."""

import pytest

from support import control_plane


@pytest.fixture
def world(any_database_url):
    with control_plane.world(any_database_url) as world:
        yield world


@pytest.fixture
def api(world):
    return control_plane.client(world.services)


def pages(api, path, between=lambda: None, follow="next"):
    """The items of all pages, with something done before each further one."""
    items, answer = [], api.get(path)
    while True:
        items += answer.json["items"]
        if answer.json["next"] is None:
            assert "Link" not in answer.headers
            return items
        link = answer.headers["Link"].partition(">")[0].removeprefix("<")
        assert f"cursor={answer.json['next']}" in link
        between()
        answer = api.get(link)


def test_flags_are_paged_by_key(world, api):
    for key in ("a", "c", "e", "g", "i"):
        world.flag(key)
    more = iter(["b", "h"])

    keys = [flag["key"] for flag in pages(api, "/api/v1/flags?limit=2", lambda: world.flag(next(more)))]

    assert keys == ["a", "c", "e", "g", "h", "i"]


def test_rollouts_are_paged_newest_first_those_of_the_same_moment_too(world, api):
    for number in range(12):
        world.flag(f"flag-{number}")
        world.draft(f"flag-{number}")
        world.clock.advance(seconds=number // 4)

    def add():
        world.flag("late") if "late" not in {flag["key"] for flag in api.get("/api/v1/flags").json["items"]} else None

    whole = [rollout["id"] for rollout in api.get("/api/v1/rollouts").json["items"]]
    paged = [rollout["id"] for rollout in pages(api, "/api/v1/rollouts?limit=5", add)]

    assert len(whole) == 12
    assert paged == whole


def test_decisions_are_paged_and_the_filter_stays(world, api):
    world.flag()
    world.started()
    for event in ("pause", "resume", "pause", "resume"):
        api.post(f"/api/v1/rollouts/ai-summaries/{event}", json={"actor": "ada"})

    decisions = pages(api, "/api/v1/rollouts/ai-summaries/decisions?limit=2&moves_only=true")

    assert [each["event"] for each in decisions] == ["resume", "pause", "resume", "pause", "start"]


@pytest.mark.parametrize("path", ["flags", "rollouts", "rollouts/ai-summaries/decisions", "presets", "audit"])
@pytest.mark.parametrize("cursor", ["nonsense", "WzFd", "WyJhIiwiYiJd", "WyJ4Il0", "e30"])
def test_a_cursor_of_nowhere_is_refused_or_begins_behind_what_it_names(world, api, path, cursor):
    world.flag()
    world.draft()

    answer = api.get(f"/api/v1/{path}?cursor={cursor}")

    assert answer.status_code == 200 or answer.json["errors"][0]["field"] == "cursor"


def test_presets_are_paged_too(api):
    assert pages(api, "/api/v1/presets?limit=3") == api.get("/api/v1/presets?limit=500").json["items"]
