"""What holds or moves a rollout beside its gates: calendar, switch, other flags, time limits, pins."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.rollouts import NOW, a_flag, a_plan, a_rollout
from wavegate.evaluation import Prerequisite
from wavegate_controller.domain.circumstances import Circumstances
from wavegate_controller.domain.decision import DecisionReason, decide
from wavegate_controller.domain.errors import EventRefused, Invalid
from wavegate_controller.domain.freeze import Frozen
from wavegate_controller.domain.plan import Approval, OnBreach, OnTimeLimit, Wave
from wavegate_controller.domain.prerequisites import served_to_everybody, unmet
from wavegate_controller.domain.rollout import PauseReason, Pin, Rollout, Signature, State
from wavegate_controller.domain.transitions import AUTOMATIC, Event, Signed, apply, apply_automatic
from wavegate_controller.domain.verdict import Verdict, VerdictKind

BAKED = NOW + timedelta(minutes=10)
FROZEN = Circumstances(frozen=Frozen(window="weekend", until=NOW + timedelta(days=2)))
PIN = Pin(by="bert", at=NOW, reason="until the vendor answers")


def verdict(kind: VerdictKind) -> Verdict:
    return Verdict(gate="latency", kind=kind, reason="within_limit", sentence="as it is", query="")


PASS, BREACH, SILENCE = (verdict(kind) for kind in (VerdictKind.PASS, VerdictKind.BREACH, VerdictKind.NOT_ENOUGH_DATA))


@pytest.mark.parametrize(
    ("circumstances", "reason"),
    [
        (FROZEN, DecisionReason.FREEZE_WINDOW),
        (Circumstances(waits_for="flag 'b' must serve 'on'"), DecisionReason.PREREQUISITE),
        (Circumstances(stopped=True), DecisionReason.FLAG_STOPPED),
    ],
)
def test_what_stands_in_the_way_holds_with_a_name_and_a_breach_acts_all_the_same(circumstances, reason):
    held = decide(a_rollout(), [PASS], now=BAKED, circumstances=circumstances)
    breached = decide(a_rollout(), [BREACH], now=BAKED, circumstances=circumstances)

    assert (held.event, held.reason) == (Event.TICK, reason)
    assert breached.event is Event.ROLL_BACK


def test_asking_for_a_signature_raises_nothing_so_a_window_does_not_keep_it_from_that():
    waves = (Wave(weight=10_000, bake=timedelta(minutes=10), approval=Approval.MANUAL), a_plan().waves[1])

    decision = decide(a_rollout(plan=a_plan(waves=waves)), [PASS], now=BAKED, circumstances=FROZEN)

    assert decision.event is Event.AWAIT_APPROVAL


@pytest.mark.parametrize(("keep", "event"), [(True, Event.COMPLETE), (False, Event.TICK)])
def test_completing_waits_for_a_window_if_it_lets_the_hold_out_go(keep: bool, event: Event):
    rollout = a_rollout(plan=a_plan(hold_out=5_000, keep_hold_out=keep), wave=3)

    assert decide(rollout, [PASS], now=BAKED, circumstances=FROZEN).event is event


def limited(action: OnTimeLimit, **changes) -> Rollout:
    wave = Wave(weight=10_000, bake=timedelta(minutes=10), time_limit=timedelta(hours=1), on_time_limit=action)
    return a_rollout(plan=a_plan(waves=(wave, a_plan().waves[1])), **changes)


@pytest.mark.parametrize(
    ("action", "event"),
    [(OnTimeLimit.ASK, Event.TICK), (OnTimeLimit.PAUSE, Event.PAUSE), (OnTimeLimit.ROLL_BACK, Event.ROLL_BACK)],
)
def test_a_time_limit_acts_when_it_is_over_and_not_before(action: OnTimeLimit, event: Event):
    before = decide(limited(action), [SILENCE], now=NOW + timedelta(minutes=59))
    after = decide(limited(action), [SILENCE], now=NOW + timedelta(hours=1))

    assert before.reason is DecisionReason.NOT_ENOUGH_DATA
    assert (after.event, after.reason, after.pause_reason) == (event, DecisionReason.TIME_LIMIT, PauseReason.TIME_LIMIT)


def test_time_in_which_nobody_looked_counts_neither_as_baking_nor_against_the_limit():
    away = timedelta(hours=5)
    rollout = limited(OnTimeLimit.ROLL_BACK, unwatched=away)

    assert decide(rollout, [PASS], now=NOW + away).reason is DecisionReason.BAKING
    assert decide(rollout, [SILENCE], now=NOW + away).event is Event.TICK
    assert decide(rollout, [PASS], now=BAKED + away).event is Event.PROMOTE


def test_a_wave_that_passes_or_is_paused_is_never_too_late():
    late, rollout = NOW + timedelta(days=1), limited(OnTimeLimit.ROLL_BACK)
    paused = replace(rollout, state=State.PAUSED, pause_reason=PauseReason.OPERATOR)

    assert decide(rollout, [PASS], now=late).event is Event.PROMOTE
    assert decide(rollout, [PASS], now=late, circumstances=FROZEN).reason is DecisionReason.FREEZE_WINDOW
    assert decide(paused, [SILENCE], now=late).event is Event.TICK


# Pins

kinds = st.lists(st.sampled_from([PASS, BREACH, SILENCE, verdict(VerdictKind.CANNOT_MEASURE)]), min_size=1, max_size=3)


@given(
    kinds,
    st.sampled_from([State.RUNNING, State.PAUSED]),
    st.sampled_from(OnBreach),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
)
def test_nothing_automatic_moves_what_is_pinned(verdicts, state, on_breach, wave, breached, frozen):
    pin = replace(PIN, breached_at=NOW if breached else None)
    reason = PauseReason.OPERATOR if state is State.PAUSED else None
    rollout = a_rollout(state=state, pause_reason=reason, wave=wave, pin=pin, plan=a_plan(on_breach=on_breach))

    circumstances = FROZEN if frozen else Circumstances()
    decision = decide(rollout, verdicts, now=NOW + timedelta(days=9), circumstances=circumstances)
    after = apply_automatic(rollout, decision.event, now=BAKED, pause_reason=decision.pause_reason)

    assert (after.state, after.wave, after.weight) == (rollout.state, rollout.wave, rollout.weight)


@pytest.mark.parametrize("event", sorted(set(Event) - {Event.TICK, Event.ALERT, Event.DRY_RUN}))
def test_the_automatic_actor_is_refused_whatever_would_undo_a_pin(event: Event):
    with pytest.raises(EventRefused):
        apply_automatic(a_rollout(pin=PIN), event, now=BAKED, pause_reason=PauseReason.BREACH)


@pytest.mark.parametrize("event", sorted(set(Event) - set(AUTOMATIC)))
@pytest.mark.parametrize("state", State)
def test_the_automatic_actor_is_refused_what_only_people_do(event: Event, state: State):
    with pytest.raises(EventRefused):
        apply_automatic(a_rollout(state=state, wave=1), event, now=BAKED, pause_reason=PauseReason.BREACH)


def test_a_pin_ends_with_the_rollout_and_stays_while_people_move_it():
    pinned = a_rollout(wave=1, pin=PIN)

    assert apply(pinned, Event.PROMOTE, now=BAKED).pin == PIN
    assert apply(pinned, Event.STEP_BACK, now=BAKED).pin == PIN
    assert apply(pinned, Event.ROLL_BACK, now=BAKED).pin is None


# Approvals


def awaiting(approvers: int, *given: str) -> Rollout:
    wave = Wave(weight=10_000, bake=timedelta(minutes=10), approval=Approval.MANUAL, approvers=approvers)
    signatures = tuple(Signature(by=name, at=NOW) for name in given)
    plan = a_plan(waves=(wave, a_plan().waves[1]))
    return a_rollout(state=State.AWAITING_APPROVAL, approvals=signatures, plan=plan)


@given(st.integers(1, 4), st.lists(st.sampled_from(["anna", "bert", "cleo", "dora", "emil", "fay"]), max_size=8))
def test_a_wave_opens_with_exactly_as_many_different_approvers_as_it_needs(needed: int, names: list[str]):
    rollout, signed = awaiting(needed), []
    for name in names:
        if rollout.state is not State.AWAITING_APPROVAL:
            break
        try:
            rollout = apply(rollout, Event.APPROVE, now=BAKED, signed=Signed(by=name))
        except Invalid:
            assert name == "anna" or name in signed
        else:
            signed.append(name)

    assert "anna" not in signed
    assert len(set(signed)) == len(signed) <= needed
    assert (rollout.state is State.RUNNING) == (len(signed) == needed)


@pytest.mark.parametrize("event", [Event.REJECT, Event.PAUSE, Event.STEP_BACK, Event.ROLL_BACK, Event.PIN, Event.REARM])
def test_approvals_are_void_as_soon_as_it_waits_no_longer(event: Event):
    assert apply(awaiting(3, "bert", "cleo"), event, now=BAKED).approvals == ()


# Prerequisites


@pytest.mark.parametrize(
    ("rollout", "served"),
    [
        (None, "off"),
        (a_rollout(wave=0), None),
        (a_rollout(wave=3), "on"),
        (a_rollout(wave=3, plan=a_plan(hold_out=5_000)), None),
        (a_rollout(wave=3, state=State.COMPLETED, plan=a_plan(hold_out=5_000, keep_hold_out=True)), "on"),
        (a_rollout(wave=2, state=State.ROLLED_BACK), "off"),
    ],
)
def test_what_a_flag_serves_to_everybody(rollout: Rollout | None, served: str | None):
    assert served_to_everybody(a_flag(), rollout) == served
    assert served_to_everybody(a_flag(enabled=False), rollout) == "off"


def test_what_is_not_yet_served_is_named():
    needing = a_flag("b", prerequisites=(Prerequisite(flag="ai-summaries", variants=("on",)),))
    flags = {"ai-summaries": a_flag()}

    assert unmet(needing, flags, {"ai-summaries": a_rollout(wave=3)}) == ""
    assert "serves different variants" in unmet(needing, flags, {"ai-summaries": a_rollout(wave=0)})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"approvers": 0}, "approvers"),
        ({"approvers": 2}, "approvers"),
        ({"approvers": 21, "approval": Approval.MANUAL}, "approvers"),
        ({"time_limit": timedelta(minutes=10)}, "time_limit"),
        ({"on_time_limit": OnTimeLimit.PAUSE}, "on_time_limit"),
    ],
)
def test_a_wave_that_contradicts_itself_is_refused_by_field(fields: dict, field: str):
    with pytest.raises(Invalid) as refused:
        Wave(weight=10_000, bake=timedelta(minutes=10), **fields)

    assert refused.value.field == field
