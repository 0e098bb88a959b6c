"""A controller that dies in the middle of a wave."""

from datetime import UTC, datetime, timedelta

import pytest

from support.waiting import wait_until
from wavegate_controller.demo.features import HARMLESS
from wavegate_controller.demo.scenario import history

pytestmark = [pytest.mark.xdist_group("acceptance"), pytest.mark.timeout(180)]


def candidate_requests(decision):
    gate = next(verdict for verdict in decision["verdicts"] if verdict["gate"] == "error-rate")
    return gate["figures"]["candidate_requests"]


def baked_at(rollout):
    return datetime.fromisoformat(rollout["wave"]["baked_at"])


def answers(stack):
    return [stack.users.served(app, HARMLESS.key) for app in stack.apps]


def test_a_rollout_goes_on_where_it_was_after_kill_9_of_the_controller_and_the_apps_serve_on(stack):
    rollout = stack.start_rollout(HARMLESS)["id"]
    before = wait_until(lambda: in_second_wave(stack, rollout), what="some evidence in the second wave")

    stack.kill_controller()
    served = answers(stack)
    wait_until(
        lambda: all(
            now.by_variant["on"] >= then.by_variant["on"] + 50 for now, then in zip(answers(stack), served, strict=True)
        ),
        what="both apps to go on serving the candidate",
    )
    lost = [each.lost for each in answers(stack)]
    stack.start_controller()

    after = stack.controller.rollout(rollout)
    assert {key: after[key] for key in ("state", "percent")} == {key: before[key] for key in ("state", "percent")}
    # The first look may have come already, and time that nobody watched does not count as baked.
    unwatched = baked_at(after) - baked_at(before)
    assert after["wave"] | {"baked_at": None} == before["wave"] | {"baked_at": None}, "since when it did"
    assert timedelta() <= unwatched <= datetime.now(UTC) - datetime.fromisoformat(before["latest_decision"]["at"])
    assert lost == [each.lost for each in served], "the users noticed nothing"
    wait_until(lambda: stack.controller.rollout(rollout)["state"] == "completed", what="completion")
    decisions = history(stack.controller, rollout)
    known = [decision for decision in decisions if decision["id"] <= before["latest_decision"]["id"]]
    assert known[-1] == before["latest_decision"], "the record is the one of before"
    moves = [decision for decision in decisions if decision["event"] != "tick"]
    assert [move["percent"] for move in moves] == [10, 25, 50, 100, 100]
    left = next(move for move in moves if move["percent"] == 50)
    # What was counted before counts on, and so does what the apps served while nobody looked.
    assert candidate_requests(left) >= candidate_requests(before["latest_decision"]) + 100


def in_second_wave(stack, rollout):
    document = stack.controller.rollout(rollout)
    latest = document["latest_decision"]
    is_there = document["wave"]["number"] == 2 and latest["event"] == "tick" and candidate_requests(latest) > 0
    return document if is_there else None
