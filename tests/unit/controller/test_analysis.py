"""What a gate says about its measurements: four verdicts, each with a reason and the number beside its limit."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.rollouts import NOW, a_plan, a_rollout, a_threshold, an_error_rate, counted
from wavegate_controller.domain.analysis import judge
from wavegate_controller.domain.measurement import (
    Answer,
    Broken,
    BrokenReason,
    Counts,
    Measurement,
    NoData,
    NoDataReason,
    Value,
)
from wavegate_controller.domain.rollout import State
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


def errors(*measurements: Measurement, now_minutes: float | None = None, rollout=None, **changes) -> Verdict:
    now = measurements[-1].at if now_minutes is None else NOW + timedelta(minutes=now_minutes)
    return judge(an_error_rate(**changes), measurements, rollout=rollout or a_rollout(), now=now)


class TestErrorRate:
    def test_passes_when_both_arms_fail_alike(self):
        verdict = errors(counted(1, candidate=(60, 1), stable=(540, 6)), counted(2, candidate=(60, 0), stable=(540, 5)))

        assert said(verdict) == (VerdictKind.PASS, GateReason.WITHIN_LIMIT)
        assert verdict.figures["candidate_requests"] == 120

    def test_breaches_when_the_candidate_fails_more_often_beyond_doubt(self):
        verdict = errors(
            counted(1, candidate=(60, 1), stable=(540, 6)), counted(2, candidate=(60, 20), stable=(540, 5))
        )

        assert said(verdict) == (VerdictKind.BREACH, GateReason.WORSE_THAN_STABLE)
        assert verdict.value >= verdict.limit == pytest.approx(20)

    def test_holds_on_suspicion(self):
        verdict = errors(
            counted(1, candidate=(60, 3), stable=(540, 5)),
            counted(2, candidate=(60, 2), stable=(540, 6)),
            counted(3, candidate=(60, 2), stable=(540, 5)),
        )

        assert said(verdict) == (VerdictKind.NOT_ENOUGH_DATA, GateReason.SUSPICION)

    def test_drift_that_hits_both_arms_is_no_regression(self):
        calm = [counted(n, candidate=(60, 0), stable=(540, 3)) for n in range(1, 5)]
        storm = [counted(n, candidate=(60, 12), stable=(540, 108)) for n in range(5, 10)]

        assert errors(*calm, *storm).kind is VerdictKind.PASS

    def test_needs_requests_in_this_wave(self):
        measurements = [counted(1, candidate=(500, 5), stable=(500, 5)), counted(6, candidate=(10, 0), stable=(90, 1))]
        rollout = a_rollout(wave=1, wave_since=NOW + timedelta(minutes=5))

        verdict = errors(*measurements, rollout=rollout)

        assert said(verdict) == (VerdictKind.NOT_ENOUGH_DATA, GateReason.TOO_FEW_CANDIDATE_REQUESTS)

    def test_needs_stable_requests_to_compare_with(self):
        verdict = errors(counted(1, candidate=(500, 5), stable=(3, 0)))

        assert said(verdict) == (VerdictKind.NOT_ENOUGH_DATA, GateReason.TOO_FEW_STABLE_REQUESTS)

    def test_at_100_percent_there_is_nothing_to_compare_with_and_the_ceiling_watches(self):
        rollout = a_rollout(wave=3)

        assert errors(counted(1, candidate=(500, 5), stable=(0, 0)), rollout=rollout).kind is VerdictKind.PASS
        assert said(errors(counted(1, candidate=(500, 300), stable=(0, 0)), rollout=rollout)) == (
            VerdictKind.BREACH,
            GateReason.ABOVE_CEILING,
        )

    def test_silence_is_not_enough_data(self):
        silent = replace(counted(1, candidate=(0, 0), stable=(0, 0)))
        nothing = Counts(candidate=silent.answer.candidate, stable=silent.answer.stable, newest_sample_at=None)

        assert said(errors(replace(silent, answer=nothing))) == (
            VerdictKind.NOT_ENOUGH_DATA,
            GateReason.STALE_SAMPLES,
        )

    def test_samples_that_grow_old_are_not_enough_data_however_good_they_were(self):
        verdict = errors(counted(1, candidate=(500, 5), stable=(500, 5)), now_minutes=3)

        assert said(verdict) == (VerdictKind.NOT_ENOUGH_DATA, GateReason.STALE_SAMPLES)

    def test_cannot_measure_while_the_server_is_away(self):
        outage = Measurement(gate="error-rate", at=NOW + timedelta(minutes=2), query="counters", answer=OUTAGE)

        verdict = errors(counted(1, candidate=(500, 5), stable=(500, 5)), outage)

        assert said(verdict) == (VerdictKind.CANNOT_MEASURE, "unreachable")

    def test_a_wave_change_starts_no_new_evidence(self):
        bad = [counted(n, candidate=(60, 5), stable=(540, 5)) for n in (1, 2)]
        rollout = a_rollout(wave=1, wave_since=NOW + timedelta(minutes=1, seconds=30))

        assert errors(*bad, rollout=rollout).value == errors(*bad).value


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
    gate, rollout = an_error_rate(), a_rollout(state=State.RUNNING, plan=a_plan())

    first = judge(gate, measurements, rollout=rollout, now=measurements[-1].at)

    assert judge(gate, list(measurements), rollout=rollout, now=measurements[-1].at) == first
