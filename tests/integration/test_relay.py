"""Relays between a data plane and its apps, over real sockets; docs/relay.md says what they promise."""

import json
import subprocess
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial

import pytest
import requests
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from support.data_plane import KEY, DataPlane, Serving, following, published
from support.live_controller import WAVEGATE, environment
from support.waiting import wait_until
from wavegate import Client
from wavegate_controller.cli import main
from wavegate_controller.delivery import Grant
from wavegate_controller.delivery.counts import Totals
from wavegate_controller.delivery.keys import hash_of
from wavegate_controller.relay import Relay, RelaySettings

ANOTHER = "another key for production, as long"
AUTHORISED = {"Authorization": f"Bearer {KEY}"}
BOOLEAN = {"variants": {"on": True, "off": False}, "default_variant": "off"}
HALF = BOOLEAN | {"rollout": {"stable": "off", "candidate": "on", "weight": 50_000}}
SOON = timedelta(milliseconds=50)
COUNTS = {
    "schema": 1,
    "instance": "0" * 32,
    "sequence": 1,
    "evaluations": [{"flag": "search", "variant": "on", "reason": "SPLIT", "count": 4}],
    "arms": [
        {
            "flag": "search",
            "variant": "on",
            "requests": [3] + [0] * 16,
            "bad": {"error": [1] + [0] * 16},
            "values": {"cost_usd": [0.5] + [0.0] * 16},
            "duration_buckets": [3] + [0] * 13,
            "duration_sum": 0.25,
            "exposed_users": 2,
        }
    ],
}


class Relayed:
    """A running relay."""

    def __init__(self, upstream, *, port=0, name=None, key=KEY, **settings):
        settings = {"key_interval": SOON, "post_interval": SOON, "timeout": timedelta(seconds=2)} | settings
        self.relay = Relay(RelaySettings(upstream=upstream, sdk_key=key, **settings), name=name)
        self._serving = Serving(self.relay.app, self.relay.hub, port=port)
        self.port, self.url = self._serving.port, self._serving.url
        self.relay.start()

    def close(self):
        self._serving.close()
        self.relay.close()


@contextmanager
def relayed(upstream, **settings):
    relay = Relayed(upstream, **settings)
    try:
        yield relay
    finally:
        relay.close()


@pytest.fixture
def plane():
    with DataPlane(keys={KEY: "production", ANOTHER: "production"}) as plane:
        plane.publish(1, flags={"search": HALF})
        yield plane


def get(relay, path="/sdk/v1/ruleset", headers=AUTHORISED):
    return requests.get(relay.url + path, headers=headers, timeout=10)


def serves(relay, revision, headers=AUTHORISED):
    answer = get(relay, headers=headers)
    return answer.status_code == 200 and answer.json()["revision"] == revision


def test_an_app_is_served_what_the_upstream_serves_byte_by_byte(plane):
    with relayed(plane.url) as relay:
        wait_until(lambda: serves(relay, 1))

        assert get(relay).content == get(plane).content
        assert get(relay).headers["etag"] == get(plane).headers["etag"]
        assert get(relay, "/flagd/v1/flags.json").content == get(plane, "/flagd/v1/flags.json").content


def test_fields_that_only_newer_sdks_know_come_through(plane):
    body = published(2, flags={"search": HALF}).body.replace(b'"schema":1', b'"schema":1,"unheard_of":true')
    plane.hub.publish(published(2, flags={"search": HALF}).__class__(**fields_of(published(2), body)))
    with relayed(plane.url) as relay:
        wait_until(lambda: serves(relay, 2))

        assert get(relay).json()["unheard_of"] is True


def fields_of(ruleset, body):
    return {
        "environment": ruleset.environment,
        "revision": ruleset.revision,
        "body": body,
        "etag": "e" * 32,
        "published_at": ruleset.published_at,
    }


def test_changes_go_through_a_chain_of_relays(plane):
    with ExitStack() as stack:
        last = plane
        for _ in range(3):
            last = stack.enter_context(relayed(last.url))
            wait_until(partial(serves, last, 1))
        with following(last) as follower:
            follower.until(1)
            for revision in (2, 3):
                plane.publish(revision, flags={"search": BOOLEAN})
                follower.until(revision)

            assert follower.body == get(plane).content
            assert [event for event in follower.events if event not in ("comment", "acknowledge")] == [
                "ruleset",
                "delta",
                "delta",
            ]


def test_an_sdk_works_through_it(plane):
    with relayed(plane.url) as relay:
        client = Client(relay.url, KEY, poll_interval=0.05)
        assert client.wait_ready(10)
        plane.publish(2, flags={"search": BOOLEAN | {"default_variant": "on"}})

        wait_until(lambda: client.is_enabled("search", "user-1"))
        client.close()


def test_it_evaluates_for_apps_without_an_sdk(plane):
    with relayed(plane.url) as relay:
        wait_until(lambda: serves(relay, 1))
        body = {"context": {"targetingKey": "user-1"}}
        ask = [
            requests.post(f"{one.url}/ofrep/v1/evaluate/flags/search", json=body, headers=AUTHORISED, timeout=10)
            for one in (relay, plane)
        ]

        assert ask[0].json() == ask[1].json()


class TestKeys:
    def test_hold_here_if_they_hold_there(self, plane):
        with relayed(plane.url) as relay:
            wait_until(lambda: serves(relay, 1))

            assert get(relay, headers={"Authorization": f"Bearer {ANOTHER}"}).status_code == 200
            assert get(relay, headers={"Authorization": "Bearer nobody's"}).status_code == 401
            assert get(relay, headers={}).status_code == 401

    def test_that_are_revoked_fall_here_and_cut_their_streams(self, plane):
        with relayed(plane.url) as relay:
            wait_until(lambda: serves(relay, 1))
            with following(relay, key=ANOTHER) as follower:
                follower.until(1)
                plane.allow({KEY: "production"})

                assert follower.read_to_end()
            assert get(relay, headers={"Authorization": f"Bearer {ANOTHER}"}).status_code == 401
            assert get(relay).status_code == 200

    def test_that_come_new_are_asked_about_again(self, plane):
        late = {"Authorization": "Bearer a key that is made later on"}
        with relayed(plane.url) as relay:
            wait_until(lambda: serves(relay, 1))
            plane.allow({KEY: "production", "a key that is made later on": "production"})

            assert get(relay, headers=late).status_code == 200

    def test_are_not_needed_where_the_upstream_asks_for_none(self):
        with DataPlane(keys={}) as plane:
            plane.keys.replace({}, unkeyed="production")
            plane.publish(1)
            with relayed(plane.url, key=None) as relay:
                wait_until(lambda: serves(relay, 1, headers={}))

                # Whatever key is shown there is as good as none.
                assert get(relay, headers={"Authorization": "Bearer made-up"}).status_code == 200
                assert relay.relay.app.holding == 1

    def test_are_needed_as_soon_as_the_upstream_asks_for_them(self):
        with DataPlane(keys={}) as plane:
            plane.keys.replace({}, unkeyed="production")
            plane.publish(1)
            with relayed(plane.url, key=None) as relay:
                wait_until(lambda: serves(relay, 1))
                plane.allow({KEY: "production"})

                wait_until(lambda: get(relay, headers={}).status_code == 401)
                assert get(relay).status_code == 200

    def test_of_other_environments_get_nothing_where_this_one_needs_none(self):
        staging = "a key for staging, as long and random"
        with DataPlane() as plane:
            plane.keys.replace({hash_of(staging): Grant(key_id="s", environment="staging")}, unkeyed="production")
            plane.publish(1)
            plane.publish(1, environment="staging")
            with relayed(plane.url, key=None) as relay:
                wait_until(lambda: serves(relay, 1, headers={}))

                assert get(relay, headers={"Authorization": f"Bearer {staging}"}).status_code == 503

    def test_of_other_environments_get_nothing(self):
        staging = "a key for staging, as long and random"
        with DataPlane(keys={KEY: "production", staging: "staging"}) as plane:
            plane.publish(1)
            plane.publish(1, environment="staging")
            with relayed(plane.url) as relay:
                wait_until(lambda: serves(relay, 1))

                assert get(relay, headers={"Authorization": f"Bearer {staging}"}).status_code == 503

    def test_that_nobody_can_be_asked_about_are_not_refused(self, plane):
        with relayed(plane.url) as relay:
            wait_until(lambda: serves(relay, 1))
            plane.close()

            answer = get(relay, headers={"Authorization": f"Bearer {ANOTHER}"})

            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


class TestWithoutItsUpstream:
    def test_goes_on_serving_whom_it_knows(self, plane):
        with relayed(plane.url) as relay:
            wait_until(lambda: serves(relay, 1))
            plane.close()

            with following(relay) as follower:
                follower.until(1)
            assert serves(relay, 1)

    def test_starts_from_its_cache(self, plane, tmp_path):
        with relayed(plane.url, cache=tmp_path) as relay:
            wait_until(lambda: serves(relay, 1))
            before = get(relay).content
        plane.close()

        with relayed(plane.url, cache=tmp_path) as again:
            wait_until(lambda: serves(again, 1))
            assert get(again).content == before
            assert get(again, "/readyz", {}).status_code == 200
            assert get(again, headers={"Authorization": "Bearer nobody's"}).status_code == 503

    def test_keeps_no_key_in_the_clear(self, plane, tmp_path):
        with relayed(plane.url, cache=tmp_path) as relay:
            wait_until(lambda: serves(relay, 1))

            kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
            assert len(list(tmp_path.iterdir())) == 2
            assert KEY.encode() not in kept

    @pytest.mark.parametrize("kept", [b"", b"{", b"[]", b'{"a": 1}', b"\xff"])
    def test_ignores_a_cache_of_no_use(self, plane, tmp_path, kept):
        with relayed(plane.url, cache=tmp_path) as relay:
            wait_until(lambda: serves(relay, 1))
        for file in tmp_path.iterdir():
            file.write_bytes(kept)

        with relayed(plane.url, cache=tmp_path) as again:
            wait_until(lambda: serves(again, 1))

    def test_takes_up_again_when_it_is_back(self, plane):
        with relayed(plane.url) as relay:
            wait_until(lambda: serves(relay, 1))
            plane.close()
            with DataPlane(port=plane.port) as back:
                back.publish(5, flags={"search": BOOLEAN})

                wait_until(lambda: serves(relay, 5), timeout=20)

    def test_is_not_ready_before_it_has_anything(self):
        with relayed("http://127.0.0.1:1") as relay:
            assert get(relay, "/readyz", {}).status_code == 503
            assert get(relay, "/healthz", {}).status_code == 200
            assert get(relay).status_code == 503


def test_a_lower_revision_that_is_meant_goes_through(plane):
    plane.publish(7, flags={"search": BOOLEAN})
    with relayed(plane.url) as relay:
        wait_until(lambda: serves(relay, 7))
        plane.close()
        with DataPlane(port=plane.port, rollback_allowed=True) as restored:
            restored.publish(3, flags={"search": BOOLEAN})

            wait_until(lambda: serves(relay, 3), timeout=20)
            assert get(relay).headers["wavegate-allow-revision-rollback"] == "1"


def posted(plane):
    """What the controller counted."""
    return plane.counts.totals().get("production", Totals())


class TestCounts:
    def post(self, relay, document):
        answer = requests.post(f"{relay.url}/sdk/v1/counts", json=document, headers=AUTHORISED, timeout=10)
        assert answer.status_code == 204

    def test_arrive_once_and_added_up(self, plane):
        with relayed(plane.url) as relay:
            wait_until(lambda: serves(relay, 1))
            self.post(relay, COUNTS)
            self.post(relay, COUNTS)
            self.post(relay, COUNTS | {"instance": "1" * 32})

            wait_until(lambda: posted(plane).evaluations.get(("search", "on", "SPLIT")) == 8)
            arm = posted(plane).arms["search", "on"]
            wait_until(lambda: posted(plane).arms["search", "on"].exposed_users == 4)

        assert (arm.requests[0], arm.bad["error"][0], arm.values["cost_usd"][0]) == (6, 2, 1.0)
        assert (arm.duration_buckets[0], arm.duration_sum) == (6, 0.5)

    def test_wait_for_the_upstream_and_come_with_what_the_relay_answered_itself(self, plane):
        with relayed(plane.url) as relay:
            wait_until(lambda: serves(relay, 1))
            plane.close()
            self.post(relay, COUNTS)
            body = {"context": {"targetingKey": "user-1"}}
            url = f"{relay.url}/ofrep/v1/evaluate/flags/search"
            assert requests.post(url, json=body, headers=AUTHORISED, timeout=10).status_code == 200
            with DataPlane(port=plane.port) as back:
                back.publish(2, flags={"search": HALF})

                wait_until(lambda: sum(posted(back).evaluations.values()) == 5, timeout=20)
                arms = posted(back).arms.values()
                assert sum(arm.exposed_users for arm in arms) == 3

    def test_that_are_left_at_the_end_are_handed_on(self, plane):
        with relayed(plane.url, post_interval=timedelta(hours=1)) as relay:
            wait_until(lambda: serves(relay, 1))
            self.post(relay, COUNTS)

        assert posted(plane).evaluations["search", "on", "SPLIT"] == 4

    def test_are_not_shown_by_the_relay_itself(self, plane):
        with relayed(plane.url) as relay:
            wait_until(lambda: serves(relay, 1))
            self.post(relay, COUNTS)

            shown = {
                sample.name: sample.value
                for family in text_string_to_metric_families(get(relay, "/metrics", {}).text)
                for sample in family.samples
            }

        assert shown["wavegate_relay_ruleset_revision"] == 1
        assert shown["wavegate_relay_sdk_keys"] == 1
        assert "wavegate_requests_total" not in shown


@pytest.mark.slow
def test_the_controller_knows_how_far_a_revision_came_behind_relays(plane):
    def delivered(revision, clients):
        newest = plane.hub.revisions("production")[0]
        return (newest.revision, newest.delivered, newest.of) == (revision, clients, clients)

    with relayed(plane.url) as first:
        wait_until(lambda: serves(first, 1))
        with relayed(first.url) as second:
            wait_until(lambda: serves(second, 1))
            # A relay is a client, too.
            with Client(second.url, KEY, app_name="shop") as client:
                assert client.wait_ready(10)
                wait_until(lambda: delivered(1, 3))
                plane.publish(2, flags={"search": BOOLEAN})

                wait_until(lambda: delivered(2, 3))
                assert {each.app for each in plane.hub.clients("production")} == {"wavegate-relay", "shop"}
            wait_until(lambda: delivered(2, 2))


def test_relays_that_follow_each_other_serve_nothing(plane):
    with relayed(plane.url) as taken:
        port = taken.port
    with relayed(plane.url, name="first", port=port) as first:
        wait_until(lambda: serves(first, 1))
        with relayed(first.url, name="second") as second:
            wait_until(lambda: serves(second, 1))
    # The first comes back, following the second, which still follows it.
    with relayed(f"http://127.0.0.1:{port}", name="second") as second, relayed(second.url, name="first", port=port):
        wait_until(lambda: get(second).status_code == 508, timeout=20)

        assert "second → first" in get(second).json()["detail"]
        assert get(second, "/readyz", {}).status_code == 503


def test_a_relay_that_follows_itself_serves_nothing(plane):
    with relayed(plane.url) as taken:
        port = taken.port
    with relayed(f"http://127.0.0.1:{port}", port=port) as relay:
        wait_until(lambda: get(relay).status_code == 508)


def test_an_answer_names_the_relays_that_it_came_through(plane):
    with relayed(plane.url, name="first") as first, relayed(first.url, name="second") as second:
        wait_until(lambda: get(second).headers.get("wavegate-relays") == "second, first")


def test_a_relay_answers_for_nothing_else(plane):
    with relayed(plane.url) as relay:
        assert get(relay, "/api/v1/flags").status_code == 404


def test_the_command_relays_until_it_is_told_to_stop(plane, tmp_path):
    command = [WAVEGATE, "relay", "--upstream", plane.url, "--port", "0", "--cache", tmp_path]
    variables = environment(WAVEGATE_RELAY_SDK_KEY=KEY)
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = next(line for line in process.stderr if "action=relaying" in line)
            url = line.split("url=")[1].split()[0]
            wait_until(lambda: requests.get(f"{url}/readyz", timeout=5).ok)

            answer = requests.get(f"{url}/sdk/v1/ruleset", headers=AUTHORISED, timeout=5)
            assert json.loads(answer.content)["revision"] == 1
        finally:
            process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--upstream", "ftp://nowhere"], "upstream"),
        (["--upstream", "http://127.0.0.1:1", "--key-interval", "0s"], "key-interval"),
        (["--upstream", "http://127.0.0.1:1", "--sdk-key", "two words"], "sdk_key"),
        ([], "--upstream"),
    ],
)
def test_the_command_says_what_it_cannot_use(arguments, said):
    ended = CliRunner().invoke(main, ["relay", *arguments])

    assert ended.exit_code == 2
    assert said in ended.stderr
