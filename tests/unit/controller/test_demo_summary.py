"""What the headless demo lets pass, and what not: an exit code of 0 must mean something."""

from datetime import UTC, datetime, timedelta

import pytest

from wavegate_controller.demo.summary import Story, summarise
from wavegate_controller.demo.users import Served

BEGAN = datetime(2026, 1, 5, 12, tzinfo=UTC)
BREACH = BEGAN + timedelta(seconds=30)


def decision(second, event="tick", *, state="running", percent=25, reason="baking", actor="wavegate"):
    return {
        "rollout": "some-1",
        "at": (BEGAN + timedelta(seconds=second)).isoformat(),
        "event": event,
        "state": state,
        "wave": 2,
        "percent": percent,
        "reason": reason,
        "actor": actor,
        "sentence": "because",
    }


def outage_looks(reason="cannot_measure"):
    return [decision(second, reason=reason) for second in (11, 12, 13, 14)]


def good(*, end=("complete", "completed", 100, "gates_passed"), during=None):
    event, state, percent, reason = end
    ending = decision(45, event, state=state, percent=percent, reason=reason)
    return [decision(1, "start", actor="demo"), *(during or outage_looks()), ending]


def bad(*, second=33, reason="breach", actor="wavegate", event="roll_back"):
    ending = decision(second, event, state="rolled_back", percent=0, reason=reason, actor=actor)
    return [decision(1, "start", actor="demo"), *outage_looks(), ending]


def served(*, since_candidate=150):
    return {
        "app-1": Served(last_candidate_at=BREACH + timedelta(seconds=4.5), since_candidate=since_candidate),
        "app-2": Served(last_candidate_at=BREACH + timedelta(seconds=4), since_candidate=since_candidate),
    }


def summary(*, summaries=None, answers=None, seen=None, failures=()):
    story = Story(
        began=BEGAN,
        rollouts={"ai-summaries": "ai-summaries-1", "ai-answers": "ai-answers-1"},
        outage=(BEGAN + timedelta(seconds=10), BEGAN + timedelta(seconds=20)),
        breach_at=BREACH,
        failures=list(failures),
    )
    histories = {"ai-summaries": summaries or good(), "ai-answers": answers or bad()}
    crowd = {"ai-summaries": served(), "ai-answers": seen or served()}
    return summarise(story, histories, crowd, now=BEGAN + timedelta(seconds=50))


def test_the_story_as_it_should_be_is_ok_and_says_how_long_the_rollback_took():
    told = summary()

    assert (told["ok"], told["failures"]) == (True, [])
    assert told["features"]["ai-answers"]["seconds_from_breach_to_decision"] == 3
    assert told["features"]["ai-answers"]["seconds_from_breach_to_last_app_off"] == 4.5
    assert told["features"]["ai-summaries"]["seconds_from_breach_to_decision"] is None
    assert told["outage"]["features"]["ai-summaries"]["holds"] == {"cannot_measure": 4}


@pytest.mark.parametrize(
    ("told", "failure"),
    [
        ({"failures": ["waited in vain"]}, "waited in vain"),
        (
            {"summaries": good(end=("roll_back", "rolled_back", 0, "breach"))},
            "ai-summaries should have completed at 100 %, but is rolled_back at 0 % (breach: because)",
        ),
        (
            {"answers": good()},
            "ai-answers should have been rolled back, but is completed at 100 % (gates_passed: because)",
        ),
        (
            {"answers": bad(reason="requested", actor="ada")},
            "ai-answers was rolled back by ada for requested, not by a breach",
        ),
        ({"answers": bad(second=25)}, "ai-answers was rolled back before anything was wrong with it: because"),
        ({"seen": served(since_candidate=99)}, "app-1 still served the candidate of ai-answers after its rollback"),
        (
            {"summaries": good(during=[*outage_looks(), decision(15, "promote", percent=50)])},
            "ai-summaries moved during the outage",
        ),
        (
            {"summaries": good(during=[*outage_looks(), decision(15)])},
            "ai-summaries held during the outage for another reason: {'cannot_measure': 4, 'baking': 1}",
        ),
        (
            {"summaries": good(during=outage_looks()[:2])},
            "ai-summaries was hardly looked at during the outage: {'cannot_measure': 2}",
        ),
    ],
)
def test_whatever_went_another_way_is_said_and_is_not_ok(told, failure):
    came = summary(**told)

    assert came["ok"] is False
    assert failure in came["failures"]
