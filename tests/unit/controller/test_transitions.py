"""The table is the machine: every event in every state, and the laws that no path may break."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.rollouts import NOW, a_plan, a_rollout
from wavegate_controller.domain.errors import EventRefused
from wavegate_controller.domain.rollout import ENDED, WATCHED, PauseReason, Pin, Rollout, State
from wavegate_controller.domain.transitions import REQUESTS, TRANSITIONS, Event, Signed, allowed, apply

LATER = NOW + timedelta(minutes=5)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_each_event_leads_where_the_table_says_or_is_refused_and_changes_nothing(state: State, event: Event):
    pin = Pin(by="bert", at=NOW, reason="until the fix is out") if state in WATCHED else None
    rollout = a_rollout(state=state, wave=1, pin=pin)
    following = TRANSITIONS[state].get(event)

    if following is None:
        with pytest.raises(EventRefused) as refused:
            apply(rollout, event, now=LATER)
        assert refused.value.state == state
        assert set(refused.value.allowed) == set(allowed(state)) & REQUESTS
    else:
        assert apply(rollout, event, now=LATER).state is following


def test_every_state_stands_in_the_table():
    assert set(TRANSITIONS) == set(State)


def test_promoting_the_last_wave_completes():
    rollout = a_rollout(wave=3)

    assert apply(rollout, Event.PROMOTE, now=LATER).state is State.COMPLETED


def test_approving_the_last_wave_completes():
    rollout = a_rollout(state=State.AWAITING_APPROVAL, wave=3)

    assert apply(rollout, Event.APPROVE, now=LATER).state is State.COMPLETED


def test_stepping_back_from_the_first_wave_rolls_back():
    after = apply(a_rollout(wave=0), Event.STEP_BACK, now=LATER)

    assert (after.state, after.weight) == (State.ROLLED_BACK, 0)


def test_stepping_back_lowers_the_exposure_by_one_wave_and_waits_for_a_human():
    after = apply(a_rollout(wave=2), Event.STEP_BACK, now=LATER)

    assert (after.state, after.wave, after.weight) == (State.PAUSED, 1, 25_000)
    assert after.pause_reason is PauseReason.STEPPED_BACK


def test_a_tick_changes_nothing_at_all():
    rollout = a_rollout()

    assert apply(rollout, Event.TICK, now=LATER) is rollout


def test_a_resumed_rollout_bakes_its_wave_anew_but_keeps_its_evidence():
    paused = apply(a_rollout(wave=1), Event.PAUSE, now=LATER)

    resumed = apply(paused, Event.RESUME, now=LATER + timedelta(hours=1))

    assert resumed.wave_since == LATER + timedelta(hours=1)
    assert resumed.evidence_since == NOW
    assert resumed.pause_reason is None


@pytest.mark.parametrize("event", [Event.RESUME, Event.PROMOTE])
def test_going_on_after_a_breach_is_a_new_test(event: Event):
    paused = apply(a_rollout(wave=1), Event.PAUSE, now=LATER, pause_reason=PauseReason.BREACH)

    assert apply(paused, event, now=LATER).evidence_since == LATER


def test_promoting_keeps_the_evidence_of_earlier_waves():
    assert apply(a_rollout(wave=1), Event.PROMOTE, now=LATER).evidence_since == NOW


def test_restarting_begins_at_the_first_wave_as_a_new_test():
    rolled_back = apply(a_rollout(wave=2), Event.ROLL_BACK, now=NOW)

    again = apply(rolled_back, Event.RESTART, now=LATER)

    assert (again.state, again.wave, again.weight) == (State.RUNNING, 0, 10_000)
    assert again.evidence_since == LATER


def test_only_watched_rollouts_are_looked_at_again():
    after = apply(a_rollout(), Event.ROLL_BACK, now=LATER)

    assert after.next_look_at is None
    assert apply(a_rollout(), Event.PROMOTE, now=LATER).next_look_at == LATER + a_rollout().plan.interval


events = st.lists(st.sampled_from(sorted(Event)), max_size=40)


def walk(sequence: list[Event]) -> list[tuple[Rollout, Event, Rollout]]:
    """Apply what is possible of a sequence to a fresh draft."""
    rollout, steps, now = a_rollout(state=State.DRAFT, wave=None), [], NOW
    for number, event in enumerate(sequence):
        now += timedelta(seconds=1)
        try:
            after = apply(rollout, event, now=now, signed=Signed(by=f"person-{number}"))
        except EventRefused:
            continue
        steps.append((rollout, event, after))
        rollout = after
    return steps


@given(events)
def test_exposure_rises_only_by_a_start_or_a_promotion(sequence: list[Event]):
    rising = {Event.START, Event.PROMOTE, Event.APPROVE, Event.RESTART, Event.UNDO, Event.RESTORE}

    for before, event, after in walk(sequence):
        assert after.weight <= before.weight or event in rising


@given(events)
def test_no_wave_is_ever_skipped(sequence: list[Event]):
    for before, event, after in walk(sequence):
        if event in (Event.UNDO, Event.RESTORE):
            assert after.wave == before.wave
        elif after.weight > before.weight:
            assert after.wave == (0 if before.weight == 0 else before.wave + 1)


@given(events)
def test_whoever_may_have_the_candidate_is_watched_or_done(sequence: list[Event]):
    for _, _, after in walk(sequence):
        if after.weight:
            assert after.state in WATCHED | {State.COMPLETED}
            assert (after.next_look_at is not None) == (after.state in WATCHED)


@given(events)
def test_a_roll_back_is_possible_wherever_users_have_the_candidate(sequence: list[Event]):
    for _, _, after in walk(sequence):
        if after.weight:
            assert apply(after, Event.ROLL_BACK, now=LATER).weight == 0


@given(events)
def test_each_change_raises_the_version_by_one(sequence: list[Event]):
    for before, event, after in walk(sequence):
        assert after.version - before.version == (0 if event is Event.TICK else 1)


@given(events)
def test_an_ended_rollout_serves_nobody_unless_it_completed(sequence: list[Event]):
    for _, _, after in walk(sequence):
        if after.state in ENDED - {State.COMPLETED}:
            assert after.weight == 0


def test_a_draft_serves_nobody():
    assert a_rollout(state=State.DRAFT, wave=None).weight == 0


def test_a_plan_may_end_below_everybody():
    rollout = a_rollout(plan=replace(a_plan(), waves=a_plan().waves[:2]), wave=1)

    after = apply(rollout, Event.COMPLETE, now=datetime(2026, 1, 2, tzinfo=UTC))

    assert (after.state, after.weight) == (State.COMPLETED, 25_000)
