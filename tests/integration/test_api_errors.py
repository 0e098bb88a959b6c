"""What leaves the API when something is wrong, and who is let in."""

import pytest

from support import control_plane
from wavegate_controller.api import blueprint, errors
from wavegate_controller.domain.errors import ControllerError, StaleVersion

TOKENS = {"ada": "ada-s-secret-token", "bob": "bob-s-secret-token"}


@pytest.fixture
def world(any_database_url):
    with control_plane.world(any_database_url) as world:
        yield world


@pytest.fixture
def api(world):
    return control_plane.client(world.services)


@pytest.fixture
def signed(world):
    return control_plane.client(world.services, **TOKENS)


def bearer(name):
    return {"Authorization": f"Bearer {TOKENS[name]}"}


def test_every_refusal_of_the_domain_has_its_row():
    assert set(errors.PROBLEMS) == set(ControllerError.__subclasses__())


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{'key': 1}", b"\xff", b'{"key": NaN}', b'{"key": 1e999}', b'{"key": "\\ud800"}', b"[" * 100_000],
)
def test_a_body_that_is_not_json_is_refused(api, body):
    refused = api.post("/api/v1/flags", data=body, content_type="application/json")

    assert (refused.status_code, refused.content_type) == (400, "application/problem+json")
    assert refused.json["detail"].startswith("the body is not JSON")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_a_form_on_somebodys_web_page_cannot_act(api, content_type):
    refused = api.post("/api/v1/flags", data=b'{"key": "f"}', content_type=content_type)

    assert (refused.status_code, refused.content_type) == (415, "application/problem+json")
    assert api.get("/api/v1/flags").json["items"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/json, text/plain"},
        {"Content-Type": "application/jsonp"},
    ],
)
def test_a_body_that_says_it_is_something_else_is_refused_although_it_reads_as_json(api, headers):
    refused = api.post("/api/v1/flags", data=b'{"key": "f"}', headers=headers)

    assert (refused.status_code, refused.content_type) == (415, "application/problem+json")
    assert api.get("/api/v1/flags").json["items"] == []


def test_a_body_in_another_encoding_is_not_json(api):
    refused = api.post("/api/v1/flags", data='{"key": "f"}'.encode("utf-16"), content_type="application/json")

    assert refused.status_code == 400


@pytest.mark.parametrize(
    "body",
    [b'{"key": "f", "key": "g"}', b'{"key": "f", "variants": {"on": 1, "on": 2}}', b'{"key": "f", "\\u006bey": 1}'],
)
def test_a_name_that_is_given_twice_is_refused_by_name(api, body):
    refused = api.post("/api/v1/flags", data=body, content_type="application/json")

    assert (refused.status_code, refused.json["errors"][0]["problem"]) == (422, "is given more than once")
    assert refused.json["errors"][0]["field"] in {"key", "on"}


@pytest.mark.parametrize(
    "path",
    [
        "flags/%00",
        "flags/..%2f..%2fetc",
        "flags/%ff%fe",
        "rollouts/%0d%0aSet-Cookie:x",
        "flags/" + "k" * 10_000,
        "flags/f;x",
    ],
)
def test_a_path_that_tries_something_is_a_problem_like_any_other(api, path):
    missed = api.get(f"/api/v1/{path}")

    assert (missed.status_code, missed.content_type) == (404, "application/problem+json")
    assert "Set-Cookie" not in missed.headers


def test_a_body_over_one_mebibyte_is_refused(api):
    refused = api.post("/api/v1/flags", json={"key": "f", "description": "x" * blueprint.MAX_BODY})

    assert (refused.status_code, refused.content_type) == (413, "application/problem+json")
    assert "larger than the 1,048,576 bytes" in refused.json["detail"]


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v1/nope", "/api/v2/flags", "/api/v1/flags/a/b/c"])
def test_a_path_that_does_not_exist_is_a_problem_beneath_api(api, path):
    missed = api.get(path)

    assert (missed.status_code, missed.content_type) == (404, "application/problem+json")
    assert missed.json["detail"] == f"there is nothing at {path}; /api/v1/openapi.json lists all paths"


def test_a_path_that_does_not_exist_elsewhere_is_left_to_the_pages(api):
    assert api.get("/nope").content_type.startswith("text/html")


def test_a_method_that_does_not_exist_is_a_problem_that_says_which_do(api):
    refused = api.delete("/api/v1/flags")

    assert (refused.status_code, refused.content_type) == (405, "application/problem+json")
    assert {"GET", "POST"} <= set(refused.headers["Allow"].split(", "))
    assert refused.json["detail"].startswith("/api/v1/flags does not take DELETE; it takes GET, ")


@pytest.mark.parametrize("path", ["flags", "flags/f", "rollouts/f", "status"])
def test_an_unknown_query_parameter_is_refused_by_name(api, path):
    refused = api.get(f"/api/v1/{path}?colour=blue")

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "colour")


def test_a_mutation_takes_no_query(api):
    refused = api.post("/api/v1/flags?dry_run=true", json={"key": "f"})

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "dry_run")


def test_a_lost_race_is_a_conflict(world, api, monkeypatch):
    def lose(*_, **__):
        raise StaleVersion("flag", "f")

    monkeypatch.setattr(world.services.sink, "publish", lose)

    refused = api.post("/api/v1/flags", json={"key": "f"})

    assert (refused.status_code, refused.json["type"]) == (409, "urn:wavegate:problem:stale-version")


def test_a_failure_tells_the_log_and_not_the_caller(world, caplog):
    failed = control_plane.client(control_plane.without_database(world.services)).get("/api/v1/flags")

    assert (failed.status_code, failed.content_type) == (500, "application/problem+json")
    assert b"disk" not in failed.data
    assert "disk I/O error" in caplog.text


def test_status_names_environment_revision_and_version(api):
    api.post("/api/v1/flags", json={"key": "f"})

    status = api.get("/api/v1/status").json

    assert (status["environment"], status["revision"]) == ("production", 1)
    assert status["version"]


def test_a_controller_without_its_database_is_alive_but_not_ready(world, signed):
    broken = control_plane.client(control_plane.without_database(world.services), **TOKENS)

    assert (signed.get("/healthz").status_code, signed.get("/readyz").status_code) == (200, 200)
    assert (broken.get("/healthz").status_code, broken.get("/readyz").status_code) == (200, 503)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer \xfcber"},
        {"Authorization": f"Basic {TOKENS['ada']}"},
        {"Authorization": "Basic YWRhOmFkYQ=="},
    ],
)
def test_without_a_token_nobody_is_let_in(signed, headers):
    refused = signed.get("/api/v1/flags", headers=headers)

    assert (refused.status_code, refused.content_type) == (401, "application/problem+json")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_tokens_name_signs(signed):
    signed.post("/api/v1/flags", json={"key": "f"}, headers=bearer("ada"))
    created = signed.post("/api/v1/rollouts", json={"flag": "f"}, headers=bearer("ada"))
    started = signed.post("/api/v1/rollouts/f/start", json={"actor": "bob"}, headers=bearer("bob"))

    assert (created.json["created_by"], started.json["moved_by"]["actor"]) == ("ada", "bob")


def test_nobody_signs_in_anothers_name(signed):
    signed.post("/api/v1/flags", json={"key": "f"}, headers=bearer("ada"))

    refused = signed.post("/api/v1/flags/f/disable", json={"actor": "bob"}, headers=bearer("ada"))

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "actor")
    assert signed.get("/api/v1/flags/f", headers=bearer("ada")).json["enabled"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", "/api/v1/flags/%00", None, 404, None),
        ("GET", "/api/v1/audit?actor=a%00", None, 422, "actor"),
        ("GET", "/api/v1/flags?environment=%00", None, 422, "environment"),
        ("POST", "/api/v1/flags/f/disable", {"actor": "ada", "comment": "a\0"}, 422, "comment"),
        ("POST", "/api/v1/flags", {"key": "g", "variants": {"on": {"\0": 1}, "off": 0}}, 422, "variants.on"),
        ("POST", "/api/v1/flags", {"key": "g", "variants": {"on": ["a\0"], "off": 0}}, 422, "variants.on[0]"),
    ],
)
def test_a_null_character_which_not_every_database_can_hold_enters_nowhere(api, method, path, body, status, field):
    api.post("/api/v1/flags", json={"key": "f"})

    refused = api.open(path, method=method, json=body)

    assert refused.status_code == status
    assert [each["field"] for each in refused.json.get("errors", [])] == ([field] if field else [])
