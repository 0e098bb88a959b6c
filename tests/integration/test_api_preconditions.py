"""`ETag` and `If-Match`: nobody writes over what they have not seen."""

from threading import Barrier, Thread

import pytest

from support import control_plane

ADA = {"actor": "ada", "comment": "seen enough"}
FLAG = "/api/v1/flags/ai-summaries"
ROLLOUT = "/api/v1/rollouts/ai-summaries"
SEGMENT = "/api/v1/segments/nordics"
NORDICS = {"condition": {"attribute": "country", "operator": "in", "value": ["NO"]}, "actor": "ada"}


@pytest.fixture
def world(any_database_url):
    with control_plane.world(any_database_url) as world:
        world.flag()
        world.started()
        yield world


@pytest.fixture
def api(world):
    return control_plane.client(world.services)


def match(tag):
    return {"If-Match": tag}


@pytest.mark.parametrize("path", [FLAG, ROLLOUT, f"{ROLLOUT}:1"])
def test_what_has_a_version_has_it_as_its_etag(api, path):
    shown = api.get(path)

    assert shown.headers["ETag"] == f'"{shown.json["version"]}"'


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", FLAG, {"description": "new"} | ADA),
        ("POST", f"{FLAG}/disable", ADA),
        ("POST", f"{ROLLOUT}/promote", ADA),
        ("POST", f"{ROLLOUT}:1/pause", ADA),
        ("POST", f"{ROLLOUT}:1/pin", ADA),
    ],
)
def test_a_change_is_made_to_the_version_that_was_read_and_only_once(api, method, path, body):
    etag = api.get(ROLLOUT if "rollouts" in path else FLAG).headers["ETag"]

    done = api.open(path, method=method, json=body, headers=match(etag))
    again = api.open(path, method=method, json=body, headers=match(etag))

    assert done.status_code == 200, done.json
    assert (again.status_code, again.json["type"]) == (412, "urn:wavegate:problem:stale-version")
    assert again.json["version"] == done.json["version"]
    assert again.headers["ETag"] == done.headers["ETag"] != etag
    assert api.get(ROLLOUT if "rollouts" in path else FLAG).headers["ETag"] == done.headers["ETag"]


@pytest.mark.parametrize("tag", ['W/"1"', '"one"', '"99999999999999999999"', '""'])
def test_a_tag_that_is_weak_or_none_of_ours_never_matches(api, tag):
    refused = api.post(f"{FLAG}/disable", json=ADA, headers=match(tag))

    assert (refused.status_code, refused.json["version"]) == (412, 1)
    assert api.get(FLAG).json["enabled"]


@pytest.mark.parametrize("tag", ["1", '"1', '"1", "2"', "", "nonsense"])
def test_what_is_no_tag_or_more_than_one_is_refused_by_name(api, tag):
    refused = api.post(f"{FLAG}/disable", json=ADA, headers=match(tag))

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "If-Match")


def test_a_star_means_any_version(api):
    assert api.post(f"{FLAG}/disable", json=ADA, headers=match("*")).status_code == 200


def test_where_it_would_not_be_heeded_it_is_refused(api):
    refused = api.post("/api/v1/flags", json={"key": "other"}, headers=match('"1"'))

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "If-Match")


def test_what_says_its_version_in_the_body_says_it_in_the_header_too(api):
    made = api.put(SEGMENT, json=NORDICS, headers=match('"0"'))
    late = api.put(SEGMENT, json=NORDICS, headers=match('"0"'))
    both = api.put(SEGMENT, json=NORDICS | {"version": 2}, headers=match('"1"'))
    changed = api.put(SEGMENT, json=NORDICS, headers=match(made.headers["ETag"]))

    assert (made.status_code, made.headers["ETag"]) == (200, '"1"')
    assert (late.status_code, late.headers["ETag"]) == (412, '"1"')
    assert (both.status_code, both.json["errors"][0]["field"]) == (422, "version")
    assert changed.json["version"] == 2


def test_of_several_who_have_read_the_same_version_one_wins(world):
    together, answers = Barrier(4, timeout=60), []
    clients = [control_plane.client(world.services) for _ in range(4)]
    etag = clients[0].get(ROLLOUT).headers["ETag"]

    def promote(client):
        together.wait()
        answers.append(client.post(f"{ROLLOUT}/promote", json=ADA, headers=match(etag)).status_code)

    threads = [Thread(target=promote, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [200, 412, 412, 412]
    assert world.rollout().weight == 25_000
