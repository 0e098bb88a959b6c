"""What is told, to whom, and when it is tried again: plain values."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.rollouts import NOW, a_flag, a_rollout
from wavegate_controller.domain.decision import Decision, DecisionReason
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.notification import (
    Channel,
    ChannelKind,
    Message,
    Severity,
    about_rollout,
    about_switch,
    links,
    wait_after,
)
from wavegate_controller.domain.rollout import PauseReason
from wavegate_controller.domain.transitions import Event, apply


def a_channel(**changes):
    values = {
        "name": "team-ai",
        "environment": "production",
        "kind": ChannelKind.WEBHOOK,
        "url": "https://hooks.example.com/secret-path",
        "shown": "https://hooks.example.com/…",
        "created_by": "ada",
        "created_at": NOW,
    }
    return Channel(**values | changes)


def a_message(**changes):
    values = {
        "at": NOW,
        "environment": "production",
        "action": "rollout.roll_back",
        "subject": "ai-summaries:1",
        "flag": "ai-summaries",
        "severity": Severity.CRITICAL,
        "actor": "wavegate",
        "title": "ai-summaries (production): rolled back from 10 %; everybody gets 'off'",
        "text": "errors: 9 % of requests fail, limit 2 %",
        "offers": (),
    }
    return Message(**values | changes)


def told(event, *, automatic=True, reason=DecisionReason.BREACH, **standing):
    before = a_rollout(**standing)
    after = apply(before, event, now=NOW, pause_reason=PauseReason.BREACH)
    decision = Decision(event=event, reason=reason, sentence="errors: 9 %, limit 2 %")
    return about_rollout(decision, before=before, after=after, actor="wavegate", automatic=automatic, now=NOW)


@pytest.mark.parametrize(
    ("wants", "answer"),
    [
        ({}, True),
        ({"environment": "*"}, True),
        ({"environment": "staging"}, False),
        ({"actions": ("rollout",)}, True),
        ({"actions": ("rollout.roll_back", "flag")}, True),
        ({"actions": ("rollout.promote",)}, False),
        ({"actions": ("roll",)}, False),
        ({"least": Severity.CRITICAL}, True),
    ],
)
def test_a_channel_gets_what_it_wants_of_its_environment(wants, answer):
    assert a_channel(**wants).wants(a_message()) is answer


def test_a_channel_is_spared_what_is_not_loud_enough_for_it():
    quiet = a_message(severity=Severity.INFO)

    assert not a_channel(least=Severity.WARNING).wants(quiet)
    assert a_channel(least=Severity.INFO).wants(quiet)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"name": "Team AI"}, "name"), ({"environment": "A B"}, "environment"), ({"actions": ("x", "Y!")}, "actions[1]")],
)
def test_a_channel_that_makes_no_sense_is_not_constructed(changes, field):
    with pytest.raises(Invalid) as refused:
        a_channel(**changes)

    assert refused.value.field == field


def test_a_channel_that_is_printed_shows_no_secret():
    assert "secret" not in repr(replace(a_channel(), secret="whsec_secret")).replace("secret_", "")


@pytest.mark.parametrize(
    ("event", "title", "severity"),
    [
        (Event.ROLL_BACK, "rolled back from 10 %; everybody gets 'off'", Severity.CRITICAL),
        (Event.PAUSE, "paused at 10 %", Severity.CRITICAL),
        (Event.PROMOTE, "25 % get 'on'", Severity.INFO),
        (Event.AWAIT_APPROVAL, "the gates passed at 10 %; waits for a signature", Severity.WARNING),
    ],
)
def test_a_message_says_what_happened_to_whom_and_with_which_numbers(event, title, severity):
    message = told(event)

    assert message.title == f"ai-summaries (production): {title}"
    assert message.text == "errors: 9 %, limit 2 %"
    assert message.severity is severity
    assert (message.action, message.line) == (f"rollout.{event}", "production/ai-summaries")


def test_what_a_person_did_is_less_loud_than_what_the_metrics_did():
    message = told(Event.ROLL_BACK, automatic=False, reason=DecisionReason.REQUESTED)

    assert message.severity is Severity.WARNING


def test_a_message_offers_only_what_the_state_takes():
    assert told(Event.PROMOTE).offers == ("promote", "roll_back")
    assert told(Event.PAUSE).offers == ("promote", "resume", "roll_back")
    assert told(Event.ROLL_BACK).offers == ()


def test_links_lead_to_pages_that_ask_first():
    message = told(Event.PROMOTE)

    assert links(message, pages="https://wavegate.example.com/") == {
        "page": "https://wavegate.example.com/flags/ai-summaries?environment=production",
        "promote": "https://wavegate.example.com/flags/ai-summaries/confirm/promote?environment=production",
        "roll_back": "https://wavegate.example.com/flags/ai-summaries/confirm/roll_back?environment=production",
    }
    assert links(message, pages="") == {}
    assert links(a_message(flag=""), pages="https://wavegate.example.com") == {}


def test_an_emergency_stop_is_told_loudly_and_its_end_too():
    stopped = about_switch(a_flag(enabled=False), actor="ada", comment="it lies", now=NOW)
    again = about_switch(a_flag(), actor="ada", comment="", now=NOW)

    assert (stopped.action, stopped.severity) == ("flag.disable", Severity.CRITICAL)
    assert (stopped.title, stopped.text) == (
        "ai-summaries (production): stopped: everybody gets 'off'",
        "by ada: it lies",
    )
    assert (again.action, again.severity, again.text) == ("flag.enable", Severity.WARNING, "by ada")


def test_waits_double_up_to_ten_minutes_and_are_spread():
    assert [wait_after(attempts, chance=1).total_seconds() for attempts in (1, 2, 3, 8, 1000)] == [5, 10, 20, 600, 600]
    assert wait_after(1, chance=0) == timedelta(seconds=2.5)
