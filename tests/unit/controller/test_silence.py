"""For how long a gate has been silent, and what the plan wants done about it."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.rollouts import NOW, a_plan, a_rollout, a_threshold, an_error_rate, counted, judged
from wavegate_controller.domain.analysis import judge
from wavegate_controller.domain.decision import DecisionReason, decide
from wavegate_controller.domain.gates import Gate, ManualGate, OnSilence, SilencePolicy
from wavegate_controller.domain.measurement import (
    Broken,
    BrokenReason,
    Measurement,
    NoData,
    NoDataReason,
    Reading,
    Value,
)
from wavegate_controller.domain.rollout import PauseReason, Rollout, State
from wavegate_controller.domain.transitions import Event, apply
from wavegate_controller.domain.verdict import Verdict, VerdictKind

OUTAGE = Broken(reason=BrokenReason.UNREACHABLE, detail="connection refused")
EMPTY = NoData(reason=NoDataReason.EMPTY_RESULT)
GOOD = Value(value=0.3)
MINUTE = timedelta(minutes=1)
PAUSE = SilencePolicy(act=OnSilence.PAUSE, after=10 * MINUTE)
ROLL_BACK = SilencePolicy(act=OnSilence.ROLL_BACK, after=10 * MINUTE)


def every_minute(*answers: Reading, begin: datetime = NOW) -> list[Measurement]:
    return [
        Measurement(gate="latency", at=begin + MINUTE * n, query="q", answer=a) for n, a in enumerate(answers, start=1)
    ]


def verdict(gate: Gate, measured: list[Measurement], *, rollout: Rollout | None = None) -> Verdict:
    rollout = rollout or a_rollout(plan=a_plan(interval=MINUTE))
    return judge(gate, measured, rollout=rollout, now=measured[-1].at if measured else NOW + MINUTE)


@pytest.mark.parametrize("answer", [EMPTY, OUTAGE])
def test_silence_holds_for_ever_unless_the_plan_says_otherwise(answer: Reading):
    silent = verdict(a_threshold(), every_minute(*[answer] * 600))

    assert silent.asks_for is None
    assert silent.figures["silent_seconds"] == 599 * 60


def test_a_policy_acts_after_its_time_and_not_before():
    gate = a_threshold(on_no_data=PAUSE)

    early, due = verdict(gate, every_minute(*[EMPTY] * 10)), verdict(gate, every_minute(*[EMPTY] * 11))

    assert early.asks_for is None
    assert due.asks_for is OnSilence.PAUSE
    assert "silent since 12:01:00 UTC, pause after 600 s" in due.sentence
    assert due.figures["silent_limit_seconds"] == 600


def test_each_kind_of_silence_has_its_own_policy():
    gate = a_threshold(on_no_data=ROLL_BACK)

    assert verdict(gate, every_minute(*[OUTAGE] * 60)).asks_for is None
    assert verdict(gate, every_minute(*[EMPTY] * 60)).asks_for is OnSilence.ROLL_BACK


def test_the_plan_speaks_for_gates_without_a_policy_of_their_own():
    rollout = a_rollout(plan=a_plan(interval=MINUTE, on_cannot_measure=PAUSE))
    own = a_threshold(on_cannot_measure=SilencePolicy())

    assert verdict(a_threshold(), every_minute(*[OUTAGE] * 60), rollout=rollout).asks_for is OnSilence.PAUSE
    assert verdict(own, every_minute(*[OUTAGE] * 60), rollout=rollout).asks_for is None


@pytest.mark.parametrize("between", [GOOD, OUTAGE])
def test_a_look_of_another_kind_begins_the_time_anew(between: Reading):
    gate = a_threshold(on_no_data=PAUSE)

    assert verdict(gate, every_minute(*[EMPTY] * 9, between, *[EMPTY] * 9)).asks_for is None


def test_a_time_in_which_nobody_looked_is_no_silence():
    gate = a_threshold(on_cannot_measure=ROLL_BACK)
    before, after = every_minute(OUTAGE, OUTAGE), every_minute(OUTAGE, begin=NOW + timedelta(hours=8))

    assert verdict(gate, [*before, *after]).asks_for is None


def test_the_time_begins_anew_with_a_wave_and_after_a_human_resumed():
    gate = a_threshold(on_no_data=PAUSE)
    resumed = a_rollout(plan=a_plan(interval=MINUTE), wave_since=NOW + 15 * MINUTE)

    assert verdict(gate, every_minute(*[EMPTY] * 20), rollout=resumed).asks_for is None


def test_the_warm_up_of_a_gate_is_no_silence():
    gate = a_threshold(on_no_data=PAUSE, warm_up=15 * MINUTE)

    assert verdict(gate, every_minute(*[EMPTY] * 20)).asks_for is None


def test_no_requests_of_the_candidate_are_no_data_for_a_comparison():
    rollout = a_rollout(plan=a_plan(gates=(an_error_rate(on_no_data=PAUSE),)))
    nobody = [counted(minute, candidate=(0, 0), stable=(500, 5)) for minute in range(1, 12)]
    somebody = [*nobody[:5], counted(6, candidate=(1, 0), stable=(500, 5)), *nobody[6:]]

    assert judged(rollout, *nobody)[0].asks_for is OnSilence.PAUSE
    assert judged(rollout, *somebody)[0].asks_for is None


def test_a_wave_that_nobody_judges_is_silent_from_its_beginning():
    gate = ManualGate(on_no_data=PAUSE)
    rollout = a_rollout()

    assert judge(gate, [], rollout=rollout, now=NOW + 9 * MINUTE).asks_for is None
    assert judge(gate, [], rollout=rollout, now=NOW + 10 * MINUTE).asks_for is OnSilence.PAUSE


def asking(act: OnSilence | None, kind: VerdictKind = VerdictKind.CANNOT_MEASURE) -> Verdict:
    return Verdict(gate="latency", kind=kind, reason="unreachable", sentence="for long", query="q", asks_for=act)


def test_what_a_policy_asks_for_is_done_under_the_name_of_the_silence():
    paused = decide(a_rollout(), [asking(OnSilence.PAUSE)], now=NOW)
    rolled_back = decide(a_rollout(), [asking(OnSilence.ROLL_BACK, VerdictKind.NOT_ENOUGH_DATA)], now=NOW)

    assert (paused.event, paused.reason, paused.pause_reason) == (
        Event.PAUSE,
        DecisionReason.CANNOT_MEASURE,
        PauseReason.CANNOT_MEASURE,
    )
    assert (rolled_back.event, rolled_back.reason) == (Event.ROLL_BACK, DecisionReason.NOT_ENOUGH_DATA)


def test_the_strongest_wish_is_done():
    decision = decide(a_rollout(), [asking(OnSilence.PAUSE), asking(OnSilence.ROLL_BACK)], now=NOW)

    assert decision.event is Event.ROLL_BACK


def test_a_rollout_that_is_paused_already_is_not_paused_again():
    paused = a_rollout(state=State.PAUSED, pause_reason=PauseReason.OPERATOR)

    assert decide(paused, [asking(OnSilence.PAUSE)], now=NOW).reason is DecisionReason.PAUSED


def test_a_breach_is_acted_on_before_any_silence():
    breach = Verdict(gate="errors", kind=VerdictKind.BREACH, reason="limit_exceeded", sentence="", query="q")

    assert decide(a_rollout(), [asking(OnSilence.PAUSE), breach], now=NOW).reason is DecisionReason.BREACH


def test_a_warning_holds_under_its_own_name_even_while_a_signature_is_awaited():
    doubt = Verdict(
        gate="latency",
        kind=VerdictKind.NOT_ENOUGH_DATA,
        reason="warn_limit_exceeded",
        sentence="0.7, must stay < 0.8",
        query="q",
    )

    for state in (State.RUNNING, State.AWAITING_APPROVAL):
        decision = decide(a_rollout(state=state), [doubt], now=NOW + timedelta(days=1))
        assert (decision.event, decision.reason) == (Event.TICK, DecisionReason.WARNING)


policies = st.sampled_from([None, SilencePolicy(), PAUSE])
silences = st.lists(st.sampled_from([EMPTY, OUTAGE]), min_size=1, max_size=80)


@given(silences, policies, policies)
def test_exposure_never_falls_on_silence_that_nobody_said_to_roll_back(answers, on_no_data, on_cannot_measure):
    rollout = a_rollout(wave=1, plan=a_plan(interval=MINUTE))
    measured = every_minute(*answers)
    gate = a_threshold(on_no_data=on_no_data, on_cannot_measure=on_cannot_measure)

    decision = decide(rollout, [verdict(gate, measured, rollout=rollout)], now=measured[-1].at)

    after = apply(rollout, decision.event, now=measured[-1].at, pause_reason=decision.pause_reason)
    assert after.weight == rollout.weight
