"""The one place where a wave may advance: only when it runs, has baked, and every gate says pass."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.rollouts import NOW, a_plan, a_rollout
from wavegate_controller.domain.decision import DecisionReason, decide
from wavegate_controller.domain.plan import Approval, OnBreach
from wavegate_controller.domain.rollout import WATCHED, PauseReason, State
from wavegate_controller.domain.transitions import Event, apply
from wavegate_controller.domain.verdict import Verdict, VerdictKind

BAKED = NOW + timedelta(minutes=10)


def verdict(kind: VerdictKind) -> Verdict:
    return Verdict(gate="latency", kind=kind, reason="a_reason", sentence="0.9, must stay < 0.8", query="p95")


PASS, BREACH, SHORT, BROKEN = (
    verdict(kind)
    for kind in (VerdictKind.PASS, VerdictKind.BREACH, VerdictKind.NOT_ENOUGH_DATA, VerdictKind.CANNOT_MEASURE)
)


def test_a_wave_advances_when_it_has_baked_and_all_gates_pass():
    decision = decide(a_rollout(), [PASS, PASS], now=BAKED)

    assert (decision.event, decision.reason) == (Event.PROMOTE, DecisionReason.GATES_PASSED)


def test_a_wave_is_not_left_before_its_bake_time():
    decision = decide(a_rollout(), [PASS], now=BAKED - timedelta(seconds=1))

    assert (decision.event, decision.reason) == (Event.TICK, DecisionReason.BAKING)
    assert "12:10:00" in decision.sentence


@pytest.mark.parametrize(
    ("spoiler", "reason"),
    [(SHORT, DecisionReason.NOT_ENOUGH_DATA), (BROKEN, DecisionReason.CANNOT_MEASURE)],
)
def test_one_gate_that_cannot_say_holds_the_wave_by_name(spoiler: Verdict, reason: DecisionReason):
    decision = decide(a_rollout(), [PASS, spoiler], now=BAKED)

    assert (decision.event, decision.reason) == (Event.TICK, reason)
    assert "latency" in decision.sentence


def test_nothing_advances_without_a_verdict():
    assert decide(a_rollout(), [], now=BAKED).event is Event.TICK


@pytest.mark.parametrize(
    ("on_breach", "event"),
    [
        (OnBreach.ROLL_BACK, Event.ROLL_BACK),
        (OnBreach.STEP_BACK, Event.STEP_BACK),
        (OnBreach.PAUSE, Event.PAUSE),
    ],
)
def test_a_breach_does_what_the_plan_says_without_waiting_for_the_bake(on_breach: OnBreach, event: Event):
    rollout = a_rollout(plan=a_plan(on_breach=on_breach), wave=1)

    decision = decide(rollout, [PASS, BREACH], now=NOW)

    assert (decision.event, decision.reason) == (event, DecisionReason.BREACH)
    assert apply(rollout, decision.event, now=NOW, pause_reason=decision.pause_reason).weight <= rollout.weight


@pytest.mark.parametrize("state", sorted(WATCHED))
def test_a_breach_rolls_back_whether_it_runs_waits_or_is_paused(state: State):
    rollout = a_rollout(state=state, pause_reason=PauseReason.OPERATOR if state is State.PAUSED else None)

    assert decide(rollout, [BREACH], now=NOW).event is Event.ROLL_BACK


def test_a_rollout_paused_by_a_breach_waits_for_a_human():
    rollout = a_rollout(state=State.PAUSED, pause_reason=PauseReason.BREACH)

    assert decide(rollout, [BREACH], now=BAKED).reason is DecisionReason.PAUSED


def test_a_paused_rollout_does_not_advance_however_good_it_looks():
    rollout = a_rollout(state=State.PAUSED, pause_reason=PauseReason.OPERATOR)

    assert decide(rollout, [PASS], now=BAKED).event is Event.TICK


def test_a_wave_with_manual_approval_asks_instead_of_advancing():
    waves = tuple(replace(wave, approval=Approval.MANUAL) for wave in a_plan().waves)
    rollout = a_rollout(plan=a_plan(waves=waves))

    decision = decide(rollout, [PASS], now=BAKED)

    assert decision.event is Event.AWAIT_APPROVAL
    waiting = apply(rollout, decision.event, now=BAKED)
    assert decide(waiting, [PASS], now=BAKED).reason is DecisionReason.AWAITING_APPROVAL


def test_the_last_wave_is_watched_for_its_bake_time_and_then_completes():
    rollout = a_rollout(wave=3)

    assert decide(rollout, [PASS], now=NOW).event is Event.TICK
    assert decide(rollout, [PASS], now=BAKED).event is Event.COMPLETE


verdicts = st.lists(st.sampled_from([PASS, BREACH, SHORT, BROKEN]), max_size=4)
rollouts = st.builds(
    lambda state, wave, on_breach, pause: a_rollout(
        state=state,
        wave=wave,
        plan=a_plan(on_breach=on_breach),
        pause_reason=pause if state is State.PAUSED else None,
    ),
    st.sampled_from(sorted(WATCHED)),
    st.integers(0, 3),
    st.sampled_from(OnBreach),
    st.sampled_from(PauseReason),
)


@given(rollouts, verdicts, st.integers(0, 30))
def test_exposure_never_rises_on_anything_but_all_pass(rollout, given_verdicts, minutes):
    now = NOW + timedelta(minutes=minutes)

    decision = decide(rollout, given_verdicts, now=now)
    after = apply(rollout, decision.event, now=now, pause_reason=decision.pause_reason)

    if after.weight > rollout.weight or after.state is State.COMPLETED:
        assert given_verdicts
        assert all(each.kind is VerdictKind.PASS for each in given_verdicts)
        assert minutes >= 10
        assert rollout.state is State.RUNNING


@given(rollouts, st.lists(st.sampled_from([PASS, SHORT, BROKEN]), max_size=4), st.integers(0, 30))
def test_exposure_never_falls_without_a_breach(rollout, given_verdicts, minutes):
    now = NOW + timedelta(minutes=minutes)

    decision = decide(rollout, given_verdicts, now=now)

    assert apply(rollout, decision.event, now=now).weight >= rollout.weight


@given(rollouts, verdicts, st.integers(0, 30))
def test_whatever_is_decided_the_table_takes(rollout, given_verdicts, minutes):
    decision = decide(rollout, given_verdicts, now=NOW + timedelta(minutes=minutes))

    assert apply(rollout, decision.event, now=NOW + timedelta(minutes=minutes))
