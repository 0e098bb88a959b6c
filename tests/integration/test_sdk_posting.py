"""Counts that are posted: what arrives, once, whatever happens on the way."""

import json
import logging
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from support.stand_in import HALF, Answer, StandIn, document
from support.waiting import wait_until
from wavegate import Client, ConfigError
from wavegate.client.counters import COHORT_NAMES, DURATION_BOUNDS, BadKind, ValueKind

SPEC = json.loads((Path(__file__).parents[1] / "spec" / "counts.json").read_text())
QUICK = {"poll_interval": 0.02, "timeout": 2.0, "post_counts": True, "post_interval": 0.02, "stream": False}


@pytest.fixture
def controller():
    with StandIn() as controller:
        controller.serve(document(1, **HALF))
        yield controller


@pytest.fixture
def make_client(controller):
    made = []

    def make(**options):
        client = Client(controller.url, **QUICK | options)
        made.append(client)
        client.wait_ready(10)
        return client

    yield make
    for client in made:
        client.close()


def visit(client, times=1):
    for _ in range(times):
        with client.trial("search", "user-1"):
            pass


def requests(posts):
    return sum(sum(arm.get("requests", ())) for post in posts for arm in post["arms"])


def actions(caplog):
    return [record.action for record in caplog.records]


def test_all_that_is_counted_arrives(controller, make_client):
    client = make_client(sdk_key="wg_sdk_1", post_interval=1000)
    with client.trial("search", "user-1", slow_after=1e-9) as trial:
        trial.cost_usd(0.25)
    client.feedback("search", "user-1", thumbs_up=True, comment="x" * 600)
    client.close()

    posts = controller.posts()
    arm = next(arm for post in posts for arm in post["arms"] if arm.get("exposed_users"))
    assert (arm["flag"], arm["variant"], arm["exposed_users"]) == ("search", trial.variant, 1)
    assert sum(arm["requests"]) == sum(arm["bad"]["slow"]) == sum(arm["duration_buckets"]) == 1
    assert sum(arm["values"]["cost_usd"]) == 0.25
    assert sum(arm["values"]["seconds"]) == arm["duration_sum"] > 0
    assert [comment for post in posts for comment in post["comments"]] == [
        {"flag": "search", "variant": trial.variant, "thumbs_up": True, "comment": "x" * 500}
    ]
    assert all(post["schema"] == 1 for post in posts)
    sent = [one for one in controller.seen if one.method == "POST"]
    assert {(one.path, one.headers["Authorization"]) for one in sent} == {("/sdk/v1/counts", "Bearer wg_sdk_1")}
    assert "user-1" not in str([one.body for one in sent])


def test_all_series_are_named_before_anything_is_counted(controller, make_client):
    make_client()
    wait_until(lambda: any(post["arms"] for post in controller.posts()))

    named = [arm for post in controller.posts() for arm in post["arms"]]
    assert named == [{"flag": "search", "variant": variant} for variant in ("on", "off")]
    counts = {
        (one["variant"], one["reason"]): one["count"] for post in controller.posts() for one in post["evaluations"]
    }
    assert counts["on", "SPLIT"] == counts["off", "SPLIT"] == 0


def test_nothing_is_posted_when_nothing_is_new(controller, make_client):
    make_client()
    wait_until(controller.posts)
    controller.wait_for_requests(5, method="GET")
    posted = len(controller.posts())
    time.sleep(0.2)  # ten posts, if it said nothing ten times

    assert len(controller.posts()) <= posted + 1


def test_a_document_whose_answer_was_lost_comes_again_under_its_number(controller, make_client):
    client = make_client()
    wait_until(controller.posts)
    controller.post_answer = Answer(hangs_up=True)
    visit(client, 3)
    controller.wait_for_requests(2, method="POST")
    visit(client, 4)
    controller.post_answer = Answer(status=204)
    wait_until(lambda: requests(controller.posts()) == 7)

    lost = [json.loads(one.body) for one in controller.seen if one.method == "POST" and one.status == 0]
    again = next(post for post in controller.posts() if post["sequence"] == lost[0]["sequence"])
    assert all(document == again for document in lost)
    numbers = [post["sequence"] for post in controller.posts()]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("status", [401, 403, 404, 405, 500, 503])
def test_counts_wait_for_a_controller_that_does_not_take_them(controller, make_client, caplog, status):
    caplog.set_level(logging.INFO, logger="wavegate")
    controller.post_answer = Answer(status=status)
    client = make_client()
    visit(client, 3)
    controller.wait_for_requests(2, method="POST")
    visit(client, 2)

    controller.post_answer = Answer(status=204)
    wait_until(lambda: requests(controller.posts()) == 5)

    assert actions(caplog) == ["counts_waiting"]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_document_that_is_rejected_does_not_hold_up_the_next(controller, make_client, caplog, status):
    client = make_client()
    wait_until(controller.posts)
    controller.post_answer = Answer(status=status)
    visit(client, 3)
    wait_until(lambda: "counts_lost" in actions(caplog))
    controller.post_answer = Answer(status=204)
    visit(client, 2)
    client.close()

    rejected = [json.loads(one.body) for one in controller.seen if one.method == "POST" and one.status == status]
    accepted = controller.posts()
    assert requests(rejected) > 0
    assert requests(rejected) + requests(accepted) == 5
    assert not {post["sequence"] for post in rejected} & {post["sequence"] for post in accepted}
    assert set(actions(caplog)) == {"counts_lost"}


def test_a_controller_that_hangs_keeps_closing_to_a_few_seconds(controller, make_client):
    controller.post_answer = Answer(status=200, body=b" " * 1000, trickle=0.05)
    client = make_client(timeout=30)
    controller.wait_for_requests(1, method="GET")
    time.sleep(0.1)

    began = time.monotonic()
    client.close()

    assert time.monotonic() - began < 4


def test_much_to_tell_is_told_in_several_documents(controller, make_client):
    many = document(2, **HALF)
    many["flags"] = {f"flag-{number}-{'x' * 100}": many["flags"]["search"] for number in range(800)}
    controller.serve(many)
    client = make_client()
    for flag_key in many["flags"]:
        with client.trial(flag_key, "user-1"):
            pass
    wait_until(lambda: requests(controller.posts()) == 800)

    sizes = [len(one.body) for one in controller.seen if one.method == "POST"]
    assert len(sizes) > 2
    assert max(sizes) < 300_000


def test_counts_go_one_way_only(controller):
    with pytest.raises(ConfigError, match="registry: would show the counts that post_counts hands over"):
        Client(controller.url, post_counts=True, registry=CollectorRegistry())


def test_comments_that_nobody_fetches_are_bounded(controller, make_client):
    client = make_client(post_interval=1000)
    for number in range(250):
        client.feedback("search", "user-1", thumbs_up=False, comment=str(number))
    client.close()

    comments = [comment["comment"] for post in controller.posts() for comment in post["comments"]]
    assert comments == [str(number) for number in range(150, 250)]


def test_the_specification_speaks_of_the_same_labels_as_the_sdk():
    series = [one for case in SPEC["accepted"] for one in case["series"]]
    arms = [arm for case in SPEC["accepted"] for post in case["posts"] for arm in post["arms"]]

    assert {one["labels"]["cohort"] for one in series if "cohort" in one["labels"]} <= set(COHORT_NAMES)
    for arm in arms:
        assert len(arm.get("requests", COHORT_NAMES)) == len(COHORT_NAMES)
        assert len(arm.get("duration_buckets", [*DURATION_BOUNDS, "+Inf"])) == len(DURATION_BOUNDS) + 1
        assert set(arm.get("bad", ())) <= set(BadKind)
        assert set(arm.get("values", ())) <= set(ValueKind)
