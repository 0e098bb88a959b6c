"""flagd's flag definitions over HTTP and from the command line."""

import json

import pytest
import requests
from click.testing import CliRunner

from support.data_plane import KEY, DataPlane, published
from wavegate_controller.cli import main

PATH = "/flagd/v1/flags.json"
AUTHORISED = {"Authorization": f"Bearer {KEY}"}
BOOLEAN = {"variants": {"on": True, "off": False}, "default_variant": "off"}
HALF = {"rollout": {"stable": "off", "candidate": "on", "weight": 50_000}}
PATTERN = {"if": {"attribute": "email", "operator": "matches", "value": "^p7"}, "serve": "on"}
FLAGS = {"search": BOOLEAN | HALF, "old": BOOLEAN | HALF | {"generation": "v2"}, "odd": BOOLEAN | {"rules": [PATTERN]}}


@pytest.fixture(scope="module")
def plane():
    with DataPlane() as plane:
        plane.publish(1, flags=FLAGS)
        yield plane


def get(plane, query="", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(plane.url + PATH + query, headers=AUTHORISED | named, timeout=10)


def run(*arguments, stdin=None, **variables):
    return CliRunner(env={"COLUMNS": "100"} | variables).invoke(main, ["flagd", "export", *arguments], input=stdin)


def test_the_flags_that_flagd_knows_are_served_and_the_others_named(plane):
    answer = get(plane)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert set(answer.json()["flags"]) == {"search", "old"}
    assert "odd: matches a regular expression" in answer.json()["metadata"]["refused"]


def test_one_generation_may_be_asked_for(plane):
    assert set(get(plane, "?generation=v3").json()["flags"]) == {"search"}
    assert set(get(plane, "?generation=v2").json()["flags"]) == {"old"}


def test_who_wants_all_or_nothing_is_told_why_there_is_nothing(plane):
    answer = get(plane, "?strict=1")

    assert answer.status_code == 409
    assert "odd: matches a regular expression" in answer.json()["detail"]


@pytest.mark.parametrize("query", ["?generation=v4", "?strict=yes"])
def test_nonsense_is_refused(plane, query):
    assert get(plane, query).status_code == 400


def test_what_a_client_has_is_not_sent_again_until_it_changes():
    with DataPlane() as plane:
        plane.publish(1, flags=FLAGS)
        etag = get(plane).headers["etag"]

        assert get(plane, If_None_Match=etag).status_code == 304
        plane.publish(2, flags={"search": BOOLEAN})
        assert get(plane, If_None_Match=etag).status_code == 200


def test_a_key_is_needed_and_no_other_path_or_method_is_known(plane):
    assert requests.get(plane.url + PATH, timeout=10).status_code == 401
    assert requests.get(plane.url + "/flagd/v1/other", timeout=10).status_code == 404
    assert requests.post(plane.url + PATH, timeout=10).status_code == 405
    assert not requests.head(plane.url + PATH, headers=AUTHORISED, timeout=10).content


def test_before_there_is_a_ruleset_clients_are_told_to_come_back():
    with DataPlane() as plane:
        assert get(plane).status_code == 503


def test_the_command_prints_what_is_served(plane):
    result = run("--url", plane.url, WAVEGATE_SDK_KEY=KEY)

    assert result.exit_code == 0
    assert json.loads(result.stdout) == get(plane).json()
    assert "odd: matches a regular expression" in result.stderr


def test_the_command_converts_a_ruleset(plane):
    result = run("--ruleset", "-", "--generation", "v3", stdin=published(1, flags=FLAGS).body.decode())

    assert json.loads(result.stdout) == get(plane, "?generation=v3").json()


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (("--strict",), None, 1),
        (("--strict", "--ruleset", "-"), published(1, flags=FLAGS).body.decode(), 1),
        (("--ruleset", "-"), "{}", 1),
        (("--url", "http://127.0.0.1:1"), None, 3),
    ],
)
def test_the_command_says_why_it_prints_nothing(plane, arguments, stdin, code):
    url = () if "--url" in arguments else ("--url", plane.url)
    result = run(*url, *arguments, stdin=stdin, WAVEGATE_SDK_KEY=KEY)

    assert result.exit_code == code
    assert result.stderr
    assert not result.stdout
