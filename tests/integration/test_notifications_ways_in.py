"""Channels and deliveries through the API and the command line."""

import json
from base64 import b64encode

import pytest
from click.testing import CliRunner

from support import control_plane
from support.faults import fault_server, says
from support.live_controller import live_controller
from wavegate_controller.cli import main
from wavegate_controller.notify import OutsideMessenger

SECRET = "whsec_" + b64encode(b"0123456789abcdef0123456789abcdef").decode()
HOOK = {"name": "hook", "type": "webhook", "url": "http://127.0.0.1:9/hook/secret-path", "secret": SECRET}


@pytest.fixture
def api(new_sqlite_url):
    with control_plane.world(new_sqlite_url) as world:
        messenger = OutsideMessenger(urls=["http://127.0.0.1:9/hook"])
        yield control_plane.client(control_plane.replace(world.services, messenger=messenger))


def test_a_channel_is_added_shown_without_its_secrets_and_removed(api):
    added = api.post("/api/v1/channels", json=HOOK)
    listed = api.get("/api/v1/channels").json["items"]

    assert (added.status_code, added.headers["Location"]) == (201, "/api/v1/channels/hook")
    assert added.json == api.get("/api/v1/channels/hook").json == listed[0]
    assert (added.json["address"], added.json["signed"]) == ("http://127.0.0.1:9/…", True)
    assert api.post("/api/v1/channels", json=HOOK).status_code == 409
    assert api.delete("/api/v1/channels/hook").status_code == 204
    assert api.delete("/api/v1/channels/hook").status_code == 404
    for answer in (added.text, api.get("/api/v1/audit").text):
        assert "secret-path" not in answer
        assert SECRET not in answer


def test_deliveries_are_listed_with_their_messages_by_pages(api):
    api.post("/api/v1/channels", json=HOOK)
    api.post("/api/v1/flags", json={"key": "a"})
    for verb in ("disable", "enable"):
        api.post(f"/api/v1/flags/a/{verb}", json={"actor": "ada"})
    page = api.get("/api/v1/deliveries?limit=1&state=pending&channel=hook").json
    rest = api.get(f"/api/v1/deliveries?cursor={page['next']}&limit=1").json

    assert [each["message"]["action"] for each in page["items"] + rest["items"]] == ["flag.enable", "flag.disable"]
    assert api.get("/api/v1/deliveries?state=dead").json["items"] == []
    assert api.get(f"/api/v1/deliveries/{page['items'][0]['id']}").json == page["items"][0]
    assert api.post("/api/v1/deliveries/1/retry", json={"actor": "ada"}).status_code == 409
    assert [api.get(f"/api/v1/deliveries/{each}").status_code for each in ("99", "x")] == [404, 404]


def test_the_commands_add_test_list_and_remove_a_channel(tmp_path):
    def run(*arguments, **variables):
        return CliRunner(env={"WAVEGATE_URL": url, "COLUMNS": "160"} | variables).invoke(main, arguments)

    with fault_server() as told:
        allowed = json.dumps([f"{told.url}/hook"])
        with live_controller(tmp_path, WAVEGATE_NOTIFICATION_URLS=allowed) as url:
            address = {"WAVEGATE_CHANNEL_URL": f"{told.url}/hook", "WAVEGATE_CHANNEL_SECRET": SECRET}
            added = run("notify", "add", "hook", "--webhook", "--on", "flag", "--json", **address)
            told.behaviour = says(b"")
            good = run("notify", "test", "hook", "--as", "ada")
            told.behaviour = says(b"", status=500)
            bad = run("notify", "test", "hook", "--as", "ada")
            listed = run("notify", "list").output
            deliveries = json.loads(run("notify", "deliveries", "--channel", "hook", "--json").output)
            removed = run("notify", "remove", "hook")

    assert json.loads(added.output)[0]["actions"] == ["flag"]
    assert (good.exit_code, "delivered" in good.output) == (0, True), good.output
    assert (bad.exit_code, "answers 500" in bad.output) == (1, True), bad.output
    assert "hook" in listed
    assert [each["message"]["action"] for each in deliveries] == ["channel.test"] * 2
    assert removed.exit_code == 0
