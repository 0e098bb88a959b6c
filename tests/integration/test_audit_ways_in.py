"""The audit through the API and the command line."""

import json
import subprocess

import pytest
from click.testing import CliRunner

from support import control_plane
from support.live_controller import live_controller
from wavegate_controller.cli import main


@pytest.fixture
def api(new_sqlite_url):
    with control_plane.world(new_sqlite_url) as world:
        client = control_plane.client(world.services)
        for key in ("a", "b"):
            client.post("/api/v1/flags", json={"key": key})
        client.post("/api/v1/flags/a/disable", json={"actor": "ada", "comment": "it lies"})
        yield client


def test_the_audit_is_listed_newest_first_by_pages_and_by_what_was_done(api):
    first = api.get("/api/v1/audit?limit=2").json
    second = api.get(f"/api/v1/audit?limit=2&cursor={first['next']}").json

    assert [each["sequence"] for each in first["items"] + second["items"]] == [3, 2, 1]
    assert second["next"] is None
    assert [each["sequence"] for each in api.get("/api/v1/audit?action=flag.disable&actor=ada").json["items"]] == [3]
    assert api.get("/api/v1/audit?since=2999-01-01T00:00:00Z").json["items"] == []


@pytest.mark.parametrize("query", ["since=yesterday", "since=2026-01-01T00:00:00", "limit=0", "actors=ada"])
def test_a_question_that_makes_no_sense_is_refused_by_name(api, query):
    refused = api.get(f"/api/v1/audit?{query}")

    assert refused.status_code == 422
    assert refused.json["errors"][0]["field"] == query.partition("=")[0]


def test_an_entry_is_shown_with_before_and_after(api):
    entry = api.get("/api/v1/audit/3").json

    assert (entry["actor"], entry["action"], entry["reason"]) == ("ada", "flag.disable", "it lies")
    assert (entry["before"]["enabled"], entry["after"]["enabled"]) == (True, False)
    assert [api.get(f"/api/v1/audit/{each}").status_code for each in ("4", "x", "9" * 18)] == [404] * 3


def test_the_chain_is_followed_from_where_one_knows_it(api):
    chain = api.get("/api/v1/audit/chain?after=1&limit=1").json

    assert [each["sequence"] for each in chain["items"]] == [2]
    assert chain["head"]["sequence"] == 3


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("controller")


@pytest.fixture(scope="module")
def url(place):
    with live_controller(place) as url:
        for command in (["flag", "create", "a"], ["flag", "disable", "a", "--as", "ada", "-m", "it [lies]"]):
            assert run(url, *command).exit_code == 0
        yield url


def run(url, *arguments):
    return CliRunner(env={"WAVEGATE_URL": url, "COLUMNS": "120"}).invoke(main, arguments)


def test_the_commands_list_show_export_and_verify(url, tmp_path):
    export = tmp_path / "audit.jsonl"

    assert "it [lies]" in run(url, "audit", "list", "--action", "flag").output
    assert json.loads(run(url, "audit", "show", "3").output)["actor"] == "ada"
    assert json.loads(run(url, "audit", "list", "--actor", "ada", "--json").output)[0]["sequence"] == 3
    assert run(url, "audit", "export", "-o", str(export)).exit_code == 0
    online = json.loads(run(url, "audit", "verify", "--json").output)
    offline = json.loads(run(url, "audit", "verify", "-f", str(export), "--json").output)
    assert online == offline
    assert (online["holds"], online["entries"]) == (True, 3)
    assert run(url, "audit", "verify", "--expect", online["head"]).exit_code == 0


def test_an_export_needs_no_program_of_ours_to_be_verified(url, tmp_path):
    export = tmp_path / "audit.jsonl"
    run(url, "audit", "export", "-o", str(export))
    for line in export.read_text().splitlines()[:-1]:
        hashed = subprocess.run(["sha256sum"], input=line[83:-1], capture_output=True, text=True, check=True).stdout
        assert line[9:73] == hashed[:64]


def test_the_database_itself_is_verified_past_any_controller(new_sqlite_url):
    with control_plane.world(new_sqlite_url) as world:
        world.flag()
    command = CliRunner(env={"WAVEGATE_DATABASE_URL": new_sqlite_url})
    done = command.invoke(main, ["audit", "verify", "--database"])

    assert (done.exit_code, "the audit holds: 1 entries" in done.output) == (0, True)


def test_two_sources_at_once_are_refused(tmp_path):
    (tmp_path / "audit.jsonl").touch()
    refused = CliRunner().invoke(main, ["audit", "verify", "--database", "-f", str(tmp_path / "audit.jsonl")])

    assert refused.exit_code == 2
