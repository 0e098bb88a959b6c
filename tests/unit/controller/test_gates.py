"""Warnings, alerts, feedback, webhooks, people: each kind of gate says one of four things, with a reason."""

import math
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.rollouts import NOW, a_plan, a_rollout, a_threshold, counted, counts, judged
from wavegate_controller.domain.analysis import judge
from wavegate_controller.domain.feedback import interval
from wavegate_controller.domain.gates import (
    AlertCounts,
    AlertGate,
    ErrorRateGate,
    FeedbackGate,
    Gate,
    ManualGate,
    Operator,
    WebhookGate,
)
from wavegate_controller.domain.guardrail import Reason
from wavegate_controller.domain.looks import ALERT_FIRING, ALERT_PENDING, is_due
from wavegate_controller.domain.measurement import (
    Broken,
    BrokenReason,
    Feedback,
    Judgement,
    Measurement,
    NoData,
    NoDataReason,
    Reading,
    Value,
)
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.verdict import GateReason, Verdict, VerdictKind

LOOK = timedelta(seconds=15)
OUTAGE = Broken(reason=BrokenReason.UNREACHABLE, detail="connection refused")
EMPTY = NoData(reason=NoDataReason.EMPTY_RESULT)
QUIET, PENDING, FIRING = (Value(value=value) for value in (0, ALERT_PENDING, ALERT_FIRING))
PASS, BREACH, SHORT = (
    Judgement(says=kind, by="ada", detail="I looked")
    for kind in (VerdictKind.PASS, VerdictKind.BREACH, VerdictKind.NOT_ENOUGH_DATA)
)
ALERT = AlertGate(name="slow", alert="SummariesTooSlow")
WEBHOOK = WebhookGate(name="evals", url="https://checks.example.com/evals")
MANUAL = ManualGate(question="Are the answers right?")
FEEDBACK = FeedbackGate()


def people(requests: int, *, up: int = 0, down: int = 0) -> Feedback:
    return Feedback(requests=requests, thumbs_up=up, thumbs_down=down, newest_sample_at=NOW)


def looks(*answers: Reading, gate: str = "g", every: timedelta = LOOK) -> list[Measurement]:
    return [Measurement(gate=gate, at=NOW + every * n, query="q", answer=a) for n, a in enumerate(answers, start=1)]


def verdict(gate: Gate, *answers: Reading, rollout=None, every: timedelta = LOOK) -> Verdict:
    measured = looks(*answers, every=every)
    now = measured[-1].at if measured else NOW + LOOK
    if isinstance(gate, ErrorRateGate):
        named = [replace(each, gate=gate.name) for each in measured]
        return judged(a_rollout(plan=a_plan(gates=(gate,))), *named, now=now)[0]
    return judge(gate, measured, rollout=rollout or a_rollout(), now=now)


def said(given_verdict: Verdict) -> tuple[VerdictKind, str]:
    return given_verdict.kind, given_verdict.reason


HELD = VerdictKind.NOT_ENOUGH_DATA


class TestWarning:
    def values(self, *values: float, **gate) -> Verdict:
        gate = {"warn": 0.6} | gate
        return verdict(a_threshold(**gate), *(Value(value=value) for value in values))

    def test_between_warning_and_limit_the_wave_is_held_loudly_and_not_rolled_back(self):
        between = self.values(0.7, 0.7, 0.7)

        assert said(between) == (HELD, GateReason.WARN_LIMIT_EXCEEDED)
        assert between.is_warning
        assert between.asks_for is None
        assert "past the warning at 0.6 3 times" in between.sentence
        assert between.figures["warn"] == 0.6

    def test_one_look_past_the_warning_punishes_nobody(self):
        assert said(self.values(0.3, 0.7, 0.3)) == (VerdictKind.PASS, GateReason.WITHIN_LIMIT)

    def test_a_look_over_the_limit_and_one_past_the_warning_are_a_warning_together(self):
        assert said(self.values(0.3, 0.9, 0.7)) == (HELD, GateReason.WARN_LIMIT_EXCEEDED)

    def test_the_limit_still_is_a_breach(self):
        assert said(self.values(0.7, 0.9, 0.9)) == (VerdictKind.BREACH, GateReason.LIMIT_EXCEEDED)

    def test_a_warning_of_a_gate_that_wants_high_values_lies_above_its_limit(self):
        between = self.values(0.96, 0.96, operator=Operator.GREATER, limit=0.95, warn=0.97)

        assert said(between) == (HELD, GateReason.WARN_LIMIT_EXCEEDED)

    def test_no_wave_is_left_on_a_bad_look(self):
        blip = self.values(0.3, 0.3, 0.9)

        assert said(blip) == (HELD, GateReason.LAST_LOOK_BAD)
        assert blip.is_warning
        assert self.values(0.3, 0.9, 0.3).kind is VerdictKind.PASS

    def test_without_a_warning_nothing_between_is_one(self):
        assert self.values(0.7, 0.7, warn=None).kind is VerdictKind.PASS


class TestAlert:
    def test_a_quiet_alert_passes(self):
        assert said(verdict(ALERT, QUIET)) == (VerdictKind.PASS, GateReason.WITHIN_LIMIT)

    def test_a_firing_alert_is_a_breach_at_once(self):
        firing = verdict(ALERT, QUIET, FIRING)

        assert said(firing) == (VerdictKind.BREACH, GateReason.ALERT_FIRING)
        assert "SummariesTooSlow is firing" in firing.sentence

    def test_a_pending_alert_holds_and_warns(self):
        pending = verdict(ALERT, PENDING)

        assert said(pending) == (HELD, GateReason.ALERT_PENDING)
        assert pending.is_warning

    def test_an_alert_that_fired_earlier_is_quiet_again_unless_the_whole_wave_counts(self):
        assert verdict(ALERT, FIRING, QUIET).kind is VerdictKind.PASS
        in_wave = AlertGate(name="slow", alert="SummariesTooSlow", counts=AlertCounts.FIRED_IN_WAVE)
        assert "fired in this wave" in verdict(in_wave, FIRING).sentence

    def test_it_may_need_several_looks(self):
        patient = AlertGate(name="slow", alert="SummariesTooSlow", failures=2, of=3)

        assert verdict(patient, QUIET, FIRING, QUIET).kind is VerdictKind.PASS
        assert verdict(patient, FIRING, QUIET, FIRING).kind is VerdictKind.BREACH

    def test_the_warm_up_is_ignored(self):
        slow_start = AlertGate(name="slow", alert="SummariesTooSlow", warm_up=timedelta(minutes=5))

        assert said(verdict(slow_start, FIRING)) == (HELD, GateReason.WARMING_UP)

    @pytest.mark.parametrize("reason", [BrokenReason.NO_SUCH_ALERT, BrokenReason.ALERT_RULE_FAILS])
    def test_an_alert_that_could_not_fire_is_never_a_pass(self, reason: BrokenReason):
        assert said(verdict(ALERT, Broken(reason=reason, detail="no rule"))) == (VerdictKind.CANNOT_MEASURE, reason)


class TestFeedback:
    def test_enough_good_answers_pass(self):
        good = verdict(FEEDBACK, people(900, up=40, down=2))

        assert said(good) == (VerdictKind.PASS, GateReason.WITHIN_LIMIT)
        assert (good.value, good.limit) == (pytest.approx(2 / 900), 0.05)
        assert good.figures["low"] < good.value < good.figures["high"]

    def test_few_answers_say_nothing_however_good(self):
        assert said(verdict(FEEDBACK, people(900, up=19))) == (HELD, GateReason.TOO_FEW_ANSWERS)

    def test_answers_add_up_over_the_looks_of_a_wave_and_not_over_waves(self):
        assert verdict(FEEDBACK, people(400, up=10), people(400, up=10)).kind is VerdictKind.PASS
        second_wave = a_rollout(wave=1, wave_since=NOW + LOOK)

        assert said(verdict(FEEDBACK, people(400, up=10), people(400, up=10), rollout=second_wave)) == (
            HELD,
            GateReason.TOO_FEW_ANSWERS,
        )

    def test_thumbs_down_per_request_beyond_chance_are_a_breach(self):
        bad = verdict(FEEDBACK, people(400, up=100, down=60))

        assert said(bad) == (VerdictKind.BREACH, GateReason.TOO_MANY_THUMBS_DOWN)
        assert bad.figures["low"] > bad.limit

    def test_thumbs_down_that_may_be_chance_hold_and_warn(self):
        unclear = verdict(FEEDBACK, people(100, up=30, down=7))

        assert said(unclear) == (HELD, GateReason.THUMBS_DOWN_NEAR_LIMIT)
        assert unclear.is_warning

    def test_many_people_who_answer_badly_hold_for_a_human_and_are_no_breach(self):
        """Who answers is not who uses: only thumbs down per request roll back."""
        grumblers = verdict(FEEDBACK, people(10_000, up=20, down=80))

        assert said(grumblers) == (HELD, GateReason.TOO_FEW_THUMBS_UP)
        assert "20 of 100 answers" in grumblers.sentence

    def test_silence_is_not_enough_data(self):
        assert said(verdict(FEEDBACK, people(0))) == (HELD, GateReason.TOO_FEW_ANSWERS)
        assert said(verdict(FEEDBACK)) == (HELD, GateReason.TOO_FEW_ANSWERS)

    def test_an_outage_cannot_be_measured_but_a_breach_stays_one(self):
        assert verdict(FEEDBACK, people(900, up=40), OUTAGE).kind is VerdictKind.CANNOT_MEASURE
        assert verdict(FEEDBACK, people(400, down=60), OUTAGE).kind is VerdictKind.BREACH

    def test_an_answer_to_what_was_asked_before_the_wave_is_no_more_than_certain(self):
        assert verdict(FEEDBACK, people(0, down=3)).value == 1


class TestInterval:
    def test_nothing_known_is_everything_possible(self):
        assert interval(0, 0, alpha=0.05) == (0, 1)

    def test_none_among_twelve_may_still_be_a_third(self):
        low, high = interval(0, 12, alpha=0.05)

        assert low == 0
        assert 0.35 < high < 0.40

    @given(st.integers(1, 2000), st.data())
    def test_it_holds_the_estimate_and_narrows(self, of: int, data):
        successes = data.draw(st.integers(0, of))

        low, high = interval(successes, of, alpha=0.05)
        nearer = interval(successes, of, alpha=0.5)

        assert 0 <= low <= successes / of <= high <= 1
        assert low <= nearer[0] <= nearer[1] <= high

    @pytest.mark.parametrize("share", [0.02, 0.3])
    def test_the_truth_leaves_it_in_few_runs_although_every_request_is_looked_at(self, share: float):
        chance = random.Random(7)

        def leaves() -> bool:
            successes = 0
            for of in range(1, 301):
                successes += chance.random() < share
                # The bound is left exactly where the mixture beats the truth by 1/alpha.
                mixture = math.lgamma(successes + 1) + math.lgamma(of - successes + 1) - math.lgamma(of + 2)
                likelihood = successes * math.log(share) + (of - successes) * math.log1p(-share)
                if mixture - likelihood >= -math.log(0.05):
                    low, high = interval(successes, of, alpha=0.05)
                    assert not low < share < high
                    return True
            return False

        assert sum(leaves() for _ in range(400)) <= 0.05 * 400 + 10


class TestWebhook:
    def test_what_it_says_is_said(self):
        assert said(verdict(WEBHOOK, PASS)) == (VerdictKind.PASS, GateReason.SAID_PASS)
        assert said(verdict(WEBHOOK, BREACH)) == (VerdictKind.BREACH, GateReason.SAID_BREACH)
        assert said(verdict(WEBHOOK, SHORT)) == (HELD, GateReason.SAID_NOT_ENOUGH_DATA)

    def test_its_number_stands_beside_its_limit(self):
        measured = Judgement(says=VerdictKind.PASS, by="checks", detail="38 of 40", value=0.95, limit=0.9)

        judged = verdict(WEBHOOK, measured)

        assert (judged.value, judged.limit) == (0.95, 0.9)
        assert "checks says pass, 0.95 beside 0.9: 38 of 40" in judged.sentence

    def test_before_an_answer_it_is_not_enough_data(self):
        assert said(verdict(WEBHOOK)) == (HELD, GateReason.TOO_FEW_MEASUREMENTS)

    def test_an_outage_is_no_breach(self):
        assert verdict(WEBHOOK, PASS, OUTAGE).kind is VerdictKind.CANNOT_MEASURE

    def test_an_old_pass_is_none_unless_it_is_for_the_whole_wave(self):
        once = WebhookGate(name="evals", url=WEBHOOK.url, keep_asking=False)
        measured, later = looks(PASS), NOW + timedelta(hours=1)

        assert judge(WEBHOOK, measured, rollout=a_rollout(), now=later).kind is HELD
        assert judge(once, measured, rollout=a_rollout(), now=later).kind is VerdictKind.PASS

    def test_it_is_asked_at_most_every_interval(self):
        measured = looks(PASS, gate="evals")

        assert is_due(WEBHOOK, [], rollout=a_rollout(), now=NOW + LOOK)
        assert not is_due(WEBHOOK, measured, rollout=a_rollout(), now=measured[-1].at + timedelta(seconds=59))
        assert is_due(WEBHOOK, measured, rollout=a_rollout(), now=measured[-1].at + timedelta(seconds=60))

    def test_it_is_not_asked_while_a_human_must_act_or_the_wave_warms_up(self):
        paused = a_rollout(state=State.PAUSED)
        warming = WebhookGate(name="evals", url=WEBHOOK.url, warm_up=timedelta(minutes=5))

        assert not is_due(WEBHOOK, [], rollout=paused, now=NOW + LOOK)
        assert not is_due(warming, [], rollout=a_rollout(), now=NOW + LOOK)

    def test_a_wave_that_passed_is_not_asked_about_again_where_the_gate_says_so(self):
        once = WebhookGate(name="evals", url=WEBHOOK.url, keep_asking=False)
        later = NOW + timedelta(hours=1)

        assert not is_due(once, looks(PASS, gate="evals"), rollout=a_rollout(), now=later)
        assert is_due(once, looks(SHORT, gate="evals"), rollout=a_rollout(), now=later)
        assert is_due(once, looks(PASS, gate="evals"), rollout=a_rollout(wave=1, wave_since=later - LOOK), now=later)


class TestManual:
    def test_it_waits_for_a_person_and_says_for_what(self):
        waiting = verdict(MANUAL)

        assert said(waiting) == (HELD, GateReason.NOT_JUDGED)
        assert "Are the answers right?" in waiting.sentence

    def test_the_newest_word_counts_and_is_signed(self):
        assert said(verdict(MANUAL, BREACH, PASS)) == (VerdictKind.PASS, GateReason.SAID_PASS)
        assert said(verdict(MANUAL, PASS, BREACH)) == (VerdictKind.BREACH, GateReason.SAID_BREACH)
        assert "ada says pass: I looked, at 12:00:15 UTC" in verdict(MANUAL, PASS).sentence

    def test_a_word_about_another_wave_says_nothing_about_this_one(self):
        second = a_rollout(wave=1, wave_since=NOW + LOOK)

        assert said(verdict(MANUAL, PASS, rollout=second)) == (HELD, GateReason.NOT_JUDGED)


def test_an_app_that_never_calls_a_request_slow_passes_the_latency_gate():
    gate = ErrorRateGate(name="latency", kinds=("slow",))
    rollout = a_rollout(plan=a_plan(gates=(gate,)))
    served = [counted(minute, candidate=(40, 0), stable=(360, 0), gate="latency") for minute in range(1, 41)]

    assert judged(rollout, *served)[0].kind is VerdictKind.PASS


def test_a_hold_out_is_a_control_at_100_percent_and_must_be_heard_of():
    alone = [counted(minute, candidate=(500, 5), stable=(0, 0), wave=3) for minute in range(1, 41)]

    def all_in(**plan):
        return a_rollout(wave=3, plan=a_plan(gates=(ErrorRateGate(),), **plan))

    assert judged(all_in(), *alone)[0].kind is VerdictKind.PASS
    assert said(judged(all_in(hold_out=5_000), *alone)[0]) == (HELD, Reason.TOO_FEW_STABLE_REQUESTS)


silent_counts = counts((0, 0), (90, 0), newest_sample_at=NOW)
silence = st.lists(
    st.one_of(
        st.builds(lambda reason: NoData(reason=reason), st.sampled_from(NoDataReason)),
        st.builds(lambda reason: Broken(reason=reason, detail="it broke"), st.sampled_from(BrokenReason)),
        st.just(SHORT),
        st.just(people(0)),
        st.just(silent_counts),
    ),
    max_size=8,
)
gates = st.sampled_from(
    [
        a_threshold(),
        a_threshold(warn=0.5),
        ErrorRateGate(),
        ALERT,
        FEEDBACK,
        WEBHOOK,
        MANUAL,
        a_threshold(failures=1, of=1),
    ]
)


@given(gates, silence)
def test_no_gate_ever_passes_or_breaches_on_silence(gate: Gate, answers: list[Reading]):
    fitting = [each for each in answers if not (isinstance(gate, ManualGate) and isinstance(each, Judgement))]

    assert verdict(gate, *fitting).kind in (HELD, VerdictKind.CANNOT_MEASURE)


@given(gates, silence)
def test_what_a_gate_saw_before_is_no_pass_while_the_server_is_away(gate: Gate, answers: list[Reading]):
    if isinstance(gate, ManualGate):
        return
    counted_well = counts((500, 5), (500, 5), newest_sample_at=NOW)
    measured = {"evals": PASS, "slow": QUIET, "feedback": people(900, up=50), "error-rate": counted_well}
    good = measured.get(gate.name, Value(value=0.1))

    assert verdict(gate, good, good, good, *answers, OUTAGE).kind is not VerdictKind.PASS
