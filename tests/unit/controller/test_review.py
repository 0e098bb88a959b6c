"""What a review says of a wave, and what its digest stands for: what matters, and nothing that moves by itself."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.rollouts import NOW, a_rollout
from wavegate_controller.documents.review_texts import review_to_markdown
from wavegate_controller.documents.reviews import review_to_document, with_words, without_words
from wavegate_controller.domain.alerting import Alert, AlertOutcome, AlertRecord
from wavegate_controller.domain.answers import FeedbackAnswer, Source
from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.errors import Conflict, Invalid
from wavegate_controller.domain.gates import ErrorRateGate, FeedbackGate, ManualGate, ValueGate, ValueKind
from wavegate_controller.domain.record import DecisionRecord, Hold
from wavegate_controller.domain.review import (
    Cost,
    GateReview,
    Review,
    Stay,
    by_variant,
    check_read,
    costs,
    decided_in,
    incidents,
    read_up_to,
    stays,
)
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event

LOOK = timedelta(seconds=15)


def at(minutes):
    return NOW + timedelta(minutes=minutes)


def move(minutes, event, wave, state=State.RUNNING, *, actor="anna", reason=DecisionReason.REQUESTED):
    return DecisionRecord(
        id=int(minutes * 10) + 1,
        rollout_id="ai-summaries:1",
        at=at(minutes),
        actor=actor,
        event=event,
        reason=reason,
        sentence=f"{event} by {actor}",
        comment="",
        state_before=State.RUNNING,
        state=state,
        wave=wave,
        weight=0,
        revision=1,
        verdicts=(),
    )


def told(found):
    return [(each.wave, each.since, each.until, [move.event.value for move in each.moves]) for each in found]


def test_a_stay_goes_from_what_opened_a_wave_to_what_left_it():
    start, pause, resume = (
        move(0, Event.START, 0),
        move(1, Event.PAUSE, 0, State.PAUSED),
        move(2, Event.RESUME, 0),
    )
    promote, back, on = (
        move(3, Event.PROMOTE, 1, actor="wavegate"),
        move(4, Event.STEP_BACK, 0, State.PAUSED),
        move(5, Event.RESUME, 0),
    )

    assert told(stays([start, pause, resume, promote, back, on])) == [
        (0, at(0), at(3), ["start", "pause", "resume", "promote"]),
        (1, at(3), at(4), ["promote", "step_back"]),
        (0, at(4), None, ["step_back", "resume"]),
    ]


def test_a_roll_back_ends_a_stay_until_it_is_undone_and_a_restart_begins_another():
    start, back = move(0, Event.START, 0), move(1, Event.ROLL_BACK, 0, State.ROLLED_BACK)
    undo, again = move(2, Event.UNDO, 0, State.PAUSED), move(3, Event.RESTART, 0)
    cancel = move(2, Event.CANCEL, 0, State.CANCELLED)

    assert [each.until for each in stays([start, back])] == [at(1)]
    assert [each.until for each in stays([start, back, undo])] == [None]
    assert [each.since for each in stays([start, back, again])] == [at(0), at(3)]
    assert [(each.until, each.left_by) for each in stays([start, back, cancel])] == [(at(1), back)]
    assert stays([move(0, Event.CANCEL, None, State.CANCELLED)]) == []


def stay(*moves, until=None):
    return Stay(wave=0, since=at(0), until=until, moves=(move(0, Event.START, 0), *moves))


def happened(*moves, holds=(), alerts=(), until_now=60, until=None):
    found = incidents(stay(*moves, until=until), holds, alerts, interval=LOOK, now=at(until_now))
    return [(each.kind.value, each.since, each.until) for each in found]


def test_breaches_and_pauses_are_incidents_and_what_opened_or_signed_the_wave_is_none():
    breach = move(3, Event.PAUSE, 0, State.PAUSED, actor="wavegate", reason=DecisionReason.BREACH)
    pause, resume = move(1, Event.PAUSE, 0, State.PAUSED), move(2, Event.RESUME, 0)
    signed = move(5, Event.SIGN, 0, State.AWAITING_APPROVAL)

    assert happened(pause, resume, breach, signed) == [("pause", at(1), at(2)), ("breach", at(3), at(5))]
    assert happened(pause) == [("pause", at(1), None)]
    assert happened(move(4, Event.ROLL_BACK, 0, State.ROLLED_BACK), until=at(4)) == [("roll_back", at(4), at(4))]
    assert happened(move(4, Event.AWAIT_APPROVAL, 0, State.AWAITING_APPROVAL)) == []


def hold(minutes, reason=DecisionReason.CANNOT_MEASURE):
    return Hold(at=at(minutes), reason=reason, sentence="connection refused")


def test_looks_that_could_not_measure_are_one_stretch_and_those_apart_are_two():
    together = [hold(1), hold(1.25), hold(1.5)]
    apart = [*together, hold(9)]

    assert happened(holds=together) == [("cannot_measure", at(1), at(1.75))]
    assert happened(holds=apart) == [("cannot_measure", at(1), at(1.75)), ("cannot_measure", at(9), at(9.25))]
    assert happened(holds=apart, until_now=9.5) == [
        ("cannot_measure", at(1), at(1.75)),
        ("cannot_measure", at(9), None),
    ]
    assert happened(holds=[hold(1, DecisionReason.FLAG_STOPPED)])[0][0] == "flag_stopped"


def alert(minutes, outcome=AlertOutcome.RECORDED, *, is_firing=True):
    labels = {"alertname": "Slow", "flag": "ai-summaries"}
    said = Alert(fingerprint="f", starts_at=at(1), is_firing=is_firing, labels=labels)
    return AlertRecord(
        alert=said,
        received_at=at(minutes),
        environment="production",
        flag="ai-summaries",
        action=None,
        outcome=outcome,
        detail="",
    )


def test_an_alert_is_an_incident_once_even_where_it_moved_the_rollout():
    paused = move(2, Event.PAUSE, 0, State.PAUSED, actor="wavegate", reason=DecisionReason.ALERT)

    assert happened(alerts=[alert(2), alert(4, is_firing=False)]) == [("alert", at(2), at(4))]
    assert happened(paused, alerts=[alert(2, AlertOutcome.PAUSED)]) == [("alert", at(2), None)]
    assert happened(alerts=[alert(-5), alert(70)]) == []


def comment(number, words="too long"):
    return FeedbackAnswer(
        id=number,
        key=f"id:{number}",
        environment="production",
        flag_key="ai-summaries",
        variant="on",
        thumbs_up=False,
        comment=words,
        source=Source.SERVER,
        at=NOW,
    )


def verdict(kind="pass", reason="within_limit", **further):
    return {"kind": kind, "reason": reason, "sentence": "fine", "value": 0.3, "limit": 0.8, "figures": {}} | further


def review(**changes):
    gate = GateReview(name="latency", rule="Passes while it is below 0.8.", verdict=verdict())
    values = {
        "rollout": a_rollout(),
        "stay": stay(),
        "plan": {"waves": []},
        "gates": (gate,),
        "judged_at": at(5),
        "judged_by": 7,
        "incidents": (),
        "answers": (),
        "comments": (comment(3), comment(2)),
        "further": 0,
        "costs": (),
        "next": None,
        "at": at(6),
    }
    return Review(**values | changes)


def test_figures_and_time_move_and_the_digest_stays():
    moved = GateReview(
        name="latency", rule="", verdict=verdict(value=0.31, sentence="0.31 < 0.8"), candidate=0.1, stable=0.2
    )

    assert review(gates=(moved,), at=at(7), judged_at=at(6.5), further=9).digest == review().digest


INCIDENT = incidents(stay(move(1, Event.PAUSE, 0, State.PAUSED)), (), (), interval=LOOK, now=at(9))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"plan": {"waves": [1]}}, "the plan was changed"),
        (
            {"gates": (GateReview(name="latency", rule="", verdict=verdict("breach", "limit_exceeded")),)},
            r"the gates say now: latency breach \(limit_exceeded\)",
        ),
        ({"gates": (GateReview(name="latency", rule="", verdict=None),)}, "latency nothing"),
        ({"incidents": INCIDENT}, "incidents: 1 by now, the latest pause: pause by anna"),
        ({"comments": (comment(3, ""), comment(2))}, "comments were taken away or changed"),
        ({"stay": replace(stay(), since=at(1))}, "is in wave 1 since 12:01:00 UTC"),
    ],
)
def test_what_has_changed_since_it_was_read_is_told_and_nothing_is_signed(change, said):
    read = review().digest

    check_read(read, review())
    with pytest.raises(Conflict, match=f"not the one that was read: .*{said}.*; read it again"):
        check_read(read, review(**change))


def test_a_digest_says_up_to_which_comment_was_read():
    assert read_up_to(review().digest) == 3
    assert read_up_to(review(comments=()).digest) == 0
    for wrong in ("", "3", review().digest[:-1], f"{review().digest}0", "x" + review().digest):
        with pytest.raises(Invalid, match="review: is no digest"):
            read_up_to(wrong)


def test_candidate_and_stable_stand_side_by_side_and_so_does_what_they_cost():
    cost = ValueGate(name="cost", value=ValueKind.COST_USD)
    figures = {"candidate_requests": 100.0, "candidate_sum": 3.0, "stable_requests": 200.0, "stable_sum": 4.0}
    bad = {"candidate_requests": 100.0, "candidate_bad": 5.0, "stable_requests": 0.0}

    assert by_variant(cost, figures) == (0.03, 0.02, "cost_usd a request")
    assert by_variant(ErrorRateGate(), bad) == (0.05, None, "share of bad requests")
    assert by_variant(FeedbackGate(), {"requests": 50.0, "thumbs_down": 5.0})[0] == 0.1
    assert by_variant(ManualGate(), {}) == (None, None, "")
    assert costs([cost, ManualGate()], {"cost": figures}) == (
        Cost(gate="cost", what="cost_usd", candidate=3.0, more=1.0),
    )
    assert costs([cost], {}) == ()


def test_decisions_of_people_are_shown_and_those_of_the_machine_only_where_they_ended_the_wave():
    asked = move(1, Event.AWAIT_APPROVAL, 0, State.AWAITING_APPROVAL, actor="wavegate")
    signed, done = move(2, Event.SIGN, 0, State.AWAITING_APPROVAL), move(3, Event.ROLL_BACK, 0, actor="wavegate")

    assert decided_in(stay(asked, signed)) == (signed,)
    assert decided_in(stay(asked, signed, done, until=at(3))) == (signed, done)


def test_what_is_kept_has_no_words_in_it_and_is_shown_with_those_that_are_still_there():
    document = review_to_document(review())

    kept = without_words(document)
    shown = with_words(kept, {3: comment(3, "mended")}.get)

    assert "too long" not in str(kept)
    assert [(each["comment"], each["is_erased"]) for each in shown["comments"]] == [("mended", False), ("", True)]
    assert kept["digest"] == document["digest"]


def test_as_a_text_nobodys_words_become_markup():
    said = (comment(2, "<img src=x onerror=alert(1)>\n# big **bold** [a](https://evil.example) | `x`"),)

    text = review_to_markdown(review_to_document(review(comments=said)))

    assert text.startswith("# Review of wave 1 of 4: ai-summaries\n")
    assert r"\<img src=x onerror=alert(1)\>" in text
    assert r"\# big \*\*bold\*\* \[a\](https://evil.example) \| \`x\`" in text
    assert f"Digest: `{review(comments=said).digest}`" in text
