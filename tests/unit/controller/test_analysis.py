"""What a gate says about its measurements: four verdicts, each with a reason and the number beside its limit."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.rollouts import NOW, a_plan, a_rollout, a_threshold, an_error_rate, counted, judged
from wavegate_controller.domain.analysis import judge
from wavegate_controller.domain.decision import DecisionReason, decide
from wavegate_controller.domain.gates import OnSilence, ValueGate, ValueKind
from wavegate_controller.domain.guarding import entries
from wavegate_controller.domain.guardrail import Reason
from wavegate_controller.domain.measurement import (
    Answer,
    Broken,
    BrokenReason,
    Measurement,
    NoData,
    NoDataReason,
    Value,
)
from wavegate_controller.domain.plan import GuardrailSettings, OnInconclusive, Wave
from wavegate_controller.domain.verdict import GateReason, Verdict, VerdictKind

OUTAGE = Broken(reason=BrokenReason.UNREACHABLE, detail="connection refused")
EMPTY = NoData(reason=NoDataReason.EMPTY_RESULT)


def looks(*answers: float | Answer) -> list[Measurement]:
    """One look every 15 s since NOW; a number is a value."""
    return [
        Measurement(
            gate="latency",
            at=NOW + timedelta(seconds=15 * number),
            query="p95",
            answer=Value(value=answer) if isinstance(answer, int | float) else answer,
        )
        for number, answer in enumerate(answers, start=1)
    ]


def threshold(*answers: float | Answer, **changes) -> Verdict:
    measurements = looks(*answers)
    now = measurements[-1].at if measurements else NOW
    return judge(a_threshold(**changes), measurements, rollout=a_rollout(), now=now)


def said(verdict: Verdict) -> tuple[VerdictKind, str]:
    return verdict.kind, verdict.reason


class TestThreshold:
    def test_passes_after_enough_good_looks(self):
        verdict = threshold(0.3, 0.4)

        assert said(verdict) == (VerdictKind.PASS, GateReason.WITHIN_LIMIT)
        assert (verdict.value, verdict.limit) == (0.4, 0.8)

    def test_needs_more_than_one_good_look(self):
        assert said(threshold(0.3)) == (VerdictKind.NOT_ENOUGH_DATA, GateReason.TOO_FEW_MEASUREMENTS)

    def test_does_not_punish_one_blip(self):
        assert threshold(0.3, 2.0, 0.3).kind is VerdictKind.PASS

    def test_breaches_when_two_of_three_looks_are_over_and_shows_the_number_beside_the_limit(self):
        verdict = threshold(0.9, 0.3, 1.1)

        assert said(verdict) == (VerdictKind.BREACH, GateReason.LIMIT_EXCEEDED)
        assert (verdict.value, verdict.limit) == (1.1, 0.8)
        assert "0.8" in verdict.sentence

    def test_forgets_blips_that_are_past(self):
        assert threshold(2.0, 2.0, 0.3, 0.3, 0.3).kind is VerdictKind.PASS

    def test_a_value_at_the_limit_is_over_a_strict_one(self):
        assert threshold(0.8, 0.8).kind is VerdictKind.BREACH

    def test_cannot_measure_while_the_server_is_away_however_good_it_was_before(self):
        verdict = threshold(0.3, 0.3, OUTAGE)

        assert said(verdict) == (VerdictKind.CANNOT_MEASURE, "unreachable")
        assert "connection refused" in verdict.sentence

    def test_an_outage_is_never_a_breach_by_itself(self):
        assert threshold(0.9, *[OUTAGE] * 50).kind is VerdictKind.CANNOT_MEASURE

    def test_an_outage_between_does_not_wipe_out_what_was_seen(self):
        assert threshold(0.9, OUTAGE, 0.9).kind is VerdictKind.BREACH

    def test_no_data_is_not_enough_data(self):
        assert said(threshold(0.3, 0.3, EMPTY)) == (VerdictKind.NOT_ENOUGH_DATA, "empty_result")

    def test_no_measurement_at_all_is_not_enough_data(self):
        assert said(threshold()) == (VerdictKind.NOT_ENOUGH_DATA, GateReason.TOO_FEW_MEASUREMENTS)

    def test_the_warm_up_is_ignored_and_named(self):
        assert said(threshold(9, 9, 9, warm_up=timedelta(minutes=1))) == (
            VerdictKind.NOT_ENOUGH_DATA,
            GateReason.WARMING_UP,
        )

    def test_looks_of_an_earlier_wave_do_not_count(self):
        rollout = a_rollout(wave=1, wave_since=NOW + timedelta(seconds=30))
        measurements = looks(9, 9, 0.3, 0.3)

        verdict = judge(a_threshold(), measurements, rollout=rollout, now=measurements[-1].at)

        assert verdict.kind is VerdictKind.PASS

    def test_looks_from_before_a_long_absence_do_not_count(self):
        measurements = looks(9, 9)

        verdict = judge(a_threshold(), measurements, rollout=a_rollout(), now=NOW + timedelta(hours=1))

        assert verdict.kind is VerdictKind.NOT_ENOUGH_DATA


MINUTE = timedelta(minutes=1)
#: Waves that need no more than a minute.
WAVES = tuple(Wave(weight=weight, bake=MINUTE, target=MINUTE) for weight in (10_000, 25_000, 50_000, 100_000))


def comparing(*gates, **changes):
    """A rollout in its first wave, whose plan compares."""
    settings = {name: changes.pop(name) for name in ("guardrail", "waves", "hold_out") if name in changes}
    return a_rollout(plan=a_plan(**{"gates": gates or (an_error_rate(),), "waves": WAVES} | settings), **changes)


def errors(*measurements: Measurement, now_minutes: float | None = None, rollout=None, **changes) -> Verdict:
    now = measurements[-1].at if now_minutes is None else NOW + timedelta(minutes=now_minutes)
    return judged(rollout or comparing(an_error_rate(**changes)), *measurements, now=now)[0]


class TestErrorRate:
    def test_passes_when_both_arms_fail_alike(self):
        verdict = errors(counted(1, candidate=(60, 1), stable=(540, 6)), counted(2, candidate=(60, 0), stable=(540, 5)))

        assert said(verdict) == (VerdictKind.PASS, Reason.TARGET_TIME)
        assert verdict.figures["candidate_requests"] == 120

    def test_breaches_when_the_candidate_fails_more_often_beyond_doubt(self):
        verdict = errors(
            counted(1, candidate=(60, 1), stable=(540, 6)), counted(2, candidate=(60, 20), stable=(540, 5))
        )

        assert said(verdict) == (VerdictKind.BREACH, Reason.REGRESSION)
        assert verdict.value >= verdict.limit == pytest.approx(20)

    def test_holds_on_suspicion(self):
        verdict = errors(
            counted(1, candidate=(60, 3), stable=(540, 5)),
            counted(2, candidate=(60, 2), stable=(540, 6)),
            counted(3, candidate=(60, 2), stable=(540, 5)),
        )

        assert said(verdict) == (VerdictKind.NOT_ENOUGH_DATA, Reason.SUSPICION)
        assert verdict.is_warning

    def test_drift_that_hits_both_arms_is_no_regression(self):
        calm = [counted(n, candidate=(60, 0), stable=(540, 3)) for n in range(1, 5)]
        storm = [counted(n, candidate=(60, 12), stable=(540, 108)) for n in range(5, 10)]

        assert errors(*calm, *storm).kind is VerdictKind.PASS

    def test_a_burst_of_one_cohort_is_one_witness(self):
        spread = [counted(n, candidate=(160, 8), stable=(1440, 14)) for n in (1, 2)]
        clump = [
            replace(each, answer=replace(each.answer, increment=in_one_cohort(each.answer.increment)))
            for each in spread
        ]

        assert errors(*spread).value > 20
        assert errors(*clump).value < 5

    def test_needs_requests_in_this_wave(self):
        since = NOW + timedelta(minutes=5)
        measurements = [
            counted(1, candidate=(500, 5), stable=(500, 5)),
            counted(6, candidate=(10, 0), stable=(90, 1), wave=1, wave_since=since),
        ]

        verdict = errors(*measurements, rollout=comparing(wave=1, wave_since=since))

        assert said(verdict) == (VerdictKind.NOT_ENOUGH_DATA, Reason.TOO_FEW_CANDIDATE_REQUESTS)

    def test_needs_stable_requests_to_compare_with(self):
        verdict = errors(counted(1, candidate=(500, 5), stable=(3, 0)))

        assert said(verdict) == (VerdictKind.NOT_ENOUGH_DATA, Reason.TOO_FEW_STABLE_REQUESTS)

    def test_at_100_percent_there_is_nothing_to_compare_with_and_the_ceiling_watches(self):
        rollout = comparing(wave=3)
        calm = counted(1, candidate=(500, 5), stable=(0, 0), wave=3)
        burning = counted(1, candidate=(500, 300), stable=(0, 0), wave=3)

        assert said(errors(calm, rollout=rollout)) == (VerdictKind.PASS, Reason.BELOW_CEILING)
        assert said(errors(burning, rollout=rollout)) == (VerdictKind.BREACH, Reason.ABOVE_CEILING)
        # The rate beside it is the whole wave's, which a calm beginning may have kept below.
        assert "lately above the ceiling" in errors(burning, rollout=rollout).sentence

    def test_silence_is_not_enough_data(self):
        silent = counted(1, candidate=(0, 0), stable=(0, 0))
        nothing = replace(silent.answer, newest_sample_at=None)

        assert said(errors(replace(silent, answer=nothing))) == (VerdictKind.NOT_ENOUGH_DATA, Reason.STALE_SAMPLES)

    def test_samples_that_grow_old_are_not_enough_data_however_good_they_were(self):
        verdict = errors(counted(1, candidate=(500, 5), stable=(500, 5)), now_minutes=7)

        assert said(verdict) == (VerdictKind.NOT_ENOUGH_DATA, Reason.STALE_SAMPLES)

    def test_cannot_measure_while_the_server_is_away(self):
        outage = Measurement(gate="error-rate", at=NOW + timedelta(minutes=2), query="counters", answer=OUTAGE)

        verdict = errors(counted(1, candidate=(500, 5), stable=(500, 5)), outage)

        assert said(verdict) == (VerdictKind.CANNOT_MEASURE, "unreachable")

    def test_a_breach_that_is_proven_stays_one_while_the_server_is_away(self):
        proof = counted(1, candidate=(500, 100), stable=(500, 5))
        outage = Measurement(gate="error-rate", at=NOW + timedelta(minutes=2), query="counters", answer=OUTAGE)

        assert errors(proof, outage).kind is VerdictKind.BREACH

    def test_a_wave_change_starts_no_new_evidence(self):
        first = counted(1, candidate=(60, 5), stable=(540, 5))
        since = NOW + timedelta(minutes=1, seconds=30)
        later = counted(2, candidate=(60, 5), stable=(540, 5), wave=1, wave_since=since)

        before, both = errors(first), errors(first, later, rollout=comparing(wave=1, wave_since=since))

        assert both.value > before.value > 1

    def test_a_wave_that_was_not_counted_yet_does_not_pass_on_the_one_before(self):
        late = comparing(wave=1, wave_since=NOW + timedelta(minutes=2))

        verdict = errors(counted(1, candidate=(500, 5), stable=(500, 5)), now_minutes=3, rollout=late)

        assert said(verdict) == (VerdictKind.NOT_ENOUGH_DATA, Reason.STALE_SAMPLES)

    def test_a_young_wave_bakes(self):
        waves = (Wave(weight=10_000, bake=5 * MINUTE),)

        verdict = errors(counted(1, candidate=(60, 0), stable=(540, 3)), rollout=comparing(waves=waves))
        decision = decide(comparing(waves=waves), [verdict], now=NOW + MINUTE)

        assert said(verdict) == (VerdictKind.NOT_ENOUGH_DATA, Reason.BAKING)
        assert decision.reason is DecisionReason.BAKING

    def test_the_last_gate_stays_shut_until_harmlessness_is_shown(self):
        few = counted(1, candidate=(100, 1), stable=(100, 1), wave=2)
        tolerant = an_error_rate(gate_absolute_margin=0.05, final_margin=1)

        assert said(errors(few, rollout=comparing(wave=2))) == (
            VerdictKind.NOT_ENOUGH_DATA,
            Reason.NOT_SHOWN_HARMLESS,
        )
        many = counted(1, candidate=(500, 5), stable=(500, 5), wave=2)
        assert said(errors(many, rollout=comparing(tolerant, wave=2)))[0] is VerdictKind.PASS

    @pytest.mark.parametrize(
        ("then", "kind", "asks"),
        [
            (OnInconclusive.ASK, VerdictKind.NOT_ENOUGH_DATA, None),
            (OnInconclusive.ADVANCE, VerdictKind.PASS, None),
            (OnInconclusive.ROLL_BACK, VerdictKind.NOT_ENOUGH_DATA, OnSilence.ROLL_BACK),
        ],
    )
    def test_what_becomes_of_a_last_gate_that_never_opens_is_the_plans(self, then, kind, asks):
        rollout = comparing(wave=2, guardrail=GuardrailSettings(on_inconclusive=then))
        looks = [counted(minute, candidate=(100, 1), stable=(100, 1), wave=2) for minute in range(1, 97)]

        verdict = errors(*looks, rollout=rollout)

        assert (verdict.kind, verdict.reason, verdict.asks_for) == (kind, Reason.INCONCLUSIVE, asks)


class TestSeveralMetrics:
    """All gates that compare are one test with one alpha."""

    ERRORS = an_error_rate()
    SLOW = an_error_rate(name="latency", kinds=("slow",))

    def look(self, minute, errors, slow):
        return [
            counted(minute, candidate=(60, errors), stable=(540, 5)),
            counted(minute, candidate=(60, slow), stable=(540, 5), gate="latency"),
        ]

    def test_evidence_is_the_mean_over_all(self):
        both = judged(comparing(self.ERRORS, self.SLOW), *self.look(1, 4, 0))
        alone = judged(comparing(self.ERRORS), self.look(1, 4, 0)[0])[0]

        assert both[0].value == both[1].value < alone.value
        assert both[0].figures["regression"] == alone.value
        assert both[0].value == pytest.approx((alone.value + both[1].figures["regression"]) / 2)

    def test_the_gate_that_is_worse_breaches_and_the_other_says_what_it_knows(self):
        errors, slow = judged(comparing(self.ERRORS, self.SLOW), *self.look(1, 20, 0))

        assert said(errors) == (VerdictKind.BREACH, Reason.REGRESSION)
        assert said(slow) == (VerdictKind.PASS, GateReason.WITHIN_LIMIT)

    def test_no_wave_waits_for_a_gate_that_only_rolls_back(self):
        quiet = an_error_rate(name="latency", kinds=("slow",), rollback_only=True)
        looks = self.look(1, 0, 0)
        looks[1] = counted(1, candidate=(5, 0), stable=(5, 0), gate="latency")

        assert [each.kind for each in judged(comparing(self.ERRORS, quiet), *looks)] == [VerdictKind.PASS] * 2

    def test_a_time_at_which_one_was_not_counted_is_no_evidence(self):
        errors, slow = self.look(1, 20, 20)
        broken = replace(slow, answer=OUTAGE)

        verdicts = judged(comparing(self.ERRORS, self.SLOW), errors, broken)

        assert [each.kind for each in verdicts] == [VerdictKind.NOT_ENOUGH_DATA, VerdictKind.CANNOT_MEASURE]


def test_a_value_is_compared_by_its_mean():
    gate = ValueGate(name="cost", value=ValueKind.COST_USD)
    alike = [counted(m, candidate=(160, 160_000), stable=(1440, 1_440_000), gate="cost") for m in range(1, 6)]
    dear = [counted(m, candidate=(160, 480_000 + m), stable=(1440, 1_440_000 + m), gate="cost") for m in range(1, 6)]

    fair, harm = (judged(comparing(gate), *looks)[0] for looks in (alike, dear))

    assert fair.kind is VerdictKind.PASS
    assert harm.kind is VerdictKind.BREACH
    assert "0.003 cost_usd a request" in harm.sentence


def in_one_cohort(increment):
    """The same requests, but all that went wrong with the candidate happened to one cohort."""
    amount = increment.candidate_amount
    return replace(increment, candidate_amount=(sum(amount), *(0 for _ in amount[1:])))


answers = st.one_of(
    st.floats(0, 2),
    st.builds(lambda reason: NoData(reason=reason), st.sampled_from(NoDataReason)),
    st.builds(lambda reason: Broken(reason=reason, detail="it broke"), st.sampled_from(BrokenReason)),
)


@given(st.lists(answers, max_size=12))
def test_a_threshold_passes_only_on_a_fresh_good_value_and_breaches_only_on_bad_ones(given_answers):
    measurements = looks(*given_answers)
    now = measurements[-1].at if measurements else NOW
    verdict = judge(a_threshold(), measurements, rollout=a_rollout(), now=now)
    recent = given_answers[-3:]
    over = [each for each in recent if isinstance(each, float) and each >= 0.8]

    assert (verdict.kind is VerdictKind.BREACH) == (len(over) >= 2)
    if verdict.kind is VerdictKind.PASS:
        assert isinstance(recent[-1], float)
        assert len([each for each in recent if isinstance(each, float) and each < 0.8]) >= 2


def test_the_same_evidence_gives_the_same_verdict():
    measurements = [counted(n, candidate=(60, 2), stable=(540, 6)) for n in range(1, 30)]

    assert judged(comparing(), *measurements) == judged(comparing(), *measurements)


def test_a_read_that_is_not_newer_than_the_one_before_counts_for_nothing():
    first, second = (counted(minute, candidate=(60, 20), stable=(540, 5)) for minute in (2, 1))

    assert list(entries(comparing().plan, [first, second])) == list(entries(comparing().plan, [first]))
