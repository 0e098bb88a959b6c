"""Hold, pass or roll back: each answer has a name, and each name a case."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.guardrails import BEGIN, MINUTE, increment, reads
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.guardrail import (
    Entry,
    Exposure,
    GuardrailMetric,
    GuardrailPolicy,
    MetricKind,
    Outcome,
    Reason,
    advance,
    assess,
    assess_log,
    fold,
    start,
)

POLICY = GuardrailPolicy()
#: 1 % bad in both arms, spread evenly over the cohorts: a harmless candidate with a design effect of 1.
HARMLESS_10 = increment(1600, 16, 14_400, 144, cohorts=16)
HARMLESS_50 = increment(8000, 80, 8000, 80, cohorts=16)
THIN_50 = increment(160, 0, 160, 0, cohorts=16)


def answer(log: list[Entry], policy: GuardrailPolicy = POLICY, *, later: timedelta = timedelta(0)):
    return assess_log(policy, log, now=log[-1].at + later)


def said(log: list[Entry], policy: GuardrailPolicy = POLICY, *, later: timedelta = timedelta(0)):
    assessment = answer(log, policy, later=later)
    return assessment.outcome, assessment.reason


def test_without_any_read_a_wave_is_held():
    assessment = assess(POLICY, start(POLICY), now=BEGIN)

    assert (assessment.outcome, assessment.reason) == (Outcome.HOLD, Reason.STALE_SAMPLES)


def test_a_wave_is_not_passed_before_its_bake_however_good_the_evidence():
    log = reads([HARMLESS_10] * 14)

    assessment = answer(log)

    assert assessment.metrics[0].early > assessment.gate_limit
    assert (assessment.outcome, assessment.reason) == (Outcome.HOLD, Reason.BAKING)


def test_a_wave_passes_after_its_bake_once_it_is_shown_to_be_not_worse():
    assert said(reads([HARMLESS_10] * 15)) == (Outcome.PASS, Reason.NOT_WORSE_EARLY)


def test_a_wave_without_such_evidence_waits_for_its_target_time_and_passes_then():
    thin = increment(16, 0, 144, 0, cohorts=16)

    assert said(reads([thin] * 59)) == (Outcome.HOLD, Reason.BEFORE_TARGET)
    assert said(reads([thin] * 60)) == (Outcome.PASS, Reason.TARGET_TIME)


def test_suspicion_keeps_a_gate_shut_until_its_limit():
    # 14 to 18 minutes of 1.5 times the errors are too little to convict, too much to trust.
    bad, fine = increment(320, 7, 2880, 36, cohorts=16), increment(0, 0, 16, 0, cohorts=16)
    for worse in range(1, 60):
        log = reads([bad] * worse + [fine] * (60 - worse))
        if answer(log).evidence > POLICY.suspicion:
            break
    policy = replace(POLICY, stale_after=timedelta(days=1))

    assert said(log, policy) == (Outcome.HOLD, Reason.SUSPICION)
    assert said(log, policy, later=timedelta(minutes=119)) == (Outcome.HOLD, Reason.SUSPICION)
    assert said(log, policy, later=timedelta(minutes=120)) == (Outcome.PASS, Reason.SUSPICION_LIMIT)


def test_the_last_gate_stays_shut_until_harmlessness_is_shown():
    assert said(reads([THIN_50] * 60, wave=2)) == (Outcome.HOLD, Reason.NOT_SHOWN_HARMLESS)


def test_the_last_gate_opens_at_the_target_time_on_the_final_margin():
    enough = increment(560, 6, 560, 6, cohorts=16)
    log = reads([enough] * 120, wave=2)

    assessment = answer(log)

    assert assessment.metrics[0].early < assessment.gate_limit <= assessment.metrics[0].final
    assert (assessment.outcome, assessment.reason) == (Outcome.PASS, Reason.NOT_WORSE)


def test_the_last_gate_opens_early_on_the_early_margin():
    assert said(reads([HARMLESS_50] * 30, wave=2)) == (Outcome.PASS, Reason.NOT_WORSE_EARLY)


def test_a_last_gate_that_stays_shut_asks_a_human_in_the_end_and_never_passes_by_itself():
    policy = replace(POLICY, stale_after=timedelta(days=2))
    log = reads([THIN_50] * 60, wave=2)

    assessment = answer(log, policy, later=timedelta(hours=23))

    assert (assessment.outcome, assessment.reason) == (Outcome.HOLD, Reason.INCONCLUSIVE)
    assert assessment.alerts
    assert assessment.cause == "errors"


def test_a_regression_is_rolled_back_within_the_bake():
    log = reads([increment(160, 16, 1440, 14, cohorts=16)] * 5)

    assessment = answer(log)

    assert (assessment.outcome, assessment.reason) == (Outcome.ROLLBACK, Reason.REGRESSION)
    assert assessment.evidence >= assessment.evidence_limit


def test_a_regression_that_begins_late_is_found_although_the_past_was_good():
    good, bad = increment(160, 1, 1440, 16, cohorts=16), increment(160, 5, 1440, 16, cohorts=16)
    minutes = [good] * 300 + [bad] * 60
    state, policy = start(POLICY), POLICY
    for entry in reads(minutes):
        state = advance(policy, state, entry)
        if assess(policy, state, now=entry.at).outcome is Outcome.ROLLBACK:
            break

    assert 300 * MINUTE < entry.at - BEGIN < 340 * MINUTE


def test_evidence_runs_on_over_the_waves():
    worse = increment(160, 3, 1440, 14, cohorts=16)
    first = reads([worse] * 14)
    second = reads([increment(400, 7, 1200, 12, cohorts=16)] * 6, wave=1, since=first[-1].at)

    assert answer(first + second).evidence > answer(second).evidence


def test_at_a_hundred_percent_only_the_ceiling_speaks():
    leftover = increment(1600, 100, 16, 0, cohorts=16)
    log = reads([leftover] * 10, wave=3)

    assert said(log) == (Outcome.HOLD, Reason.BAKING)
    assert said(reads([leftover] * 60, wave=3)) == (Outcome.PASS, Reason.BELOW_CEILING)


def test_at_a_hundred_percent_an_outage_rolls_back():
    fine, broken = increment(1600, 16, 0, 0, cohorts=16), increment(1600, 800, 0, 0, cohorts=16)

    assert said(reads([fine] * 30 + [broken], wave=3)) == (Outcome.ROLLBACK, Reason.ABOVE_CEILING)


def test_the_ceiling_watches_a_pilot_of_two_where_no_comparison_can():
    two_people = replace(increment(4, 3, 160, 1, cohorts=16), candidate_requests=(2, 2, *[0] * 14))

    assessment = answer(reads([two_people] * 12, turning=False))

    assert (assessment.outcome, assessment.reason) == (Outcome.ROLLBACK, Reason.ABOVE_CEILING)
    assert assessment.evidence < 1
    assert assessment.metrics[0].live_cohorts == 2


def test_a_metric_without_a_ceiling_has_none():
    policy = replace(POLICY, metrics=(GuardrailMetric(name="errors", ceiling=None),))

    assessment = answer(reads([increment(1600, 1600, 0, 0, cohorts=16)] * 5, wave=3), policy)

    assert (assessment.outcome, assessment.metrics[0].ceiling) == (Outcome.HOLD, None)


def test_missing_reads_hold_and_alert():
    assessment = answer(reads([HARMLESS_10] * 15), later=timedelta(minutes=5, seconds=1))

    assert (assessment.outcome, assessment.reason, assessment.alerts) == (Outcome.HOLD, Reason.STALE_SAMPLES, True)


def test_a_candidate_that_nobody_asks_holds_and_alerts():
    silent = increment(0, 0, 1440, 14, cohorts=16)

    assessment = answer(reads([HARMLESS_10] * 15 + [silent] * 6))

    assert (assessment.outcome, assessment.reason) == (Outcome.HOLD, Reason.NO_CANDIDATE_TRAFFIC)
    assert assessment.alerts


def test_traffic_of_a_wave_before_does_not_count_for_this_one():
    first = reads([HARMLESS_10] * 15)
    second = reads([increment(0, 0, 1440, 14, cohorts=16)] * 16, wave=1, since=first[-1].at)

    assert said(first + second) == (Outcome.HOLD, Reason.NO_CANDIDATE_TRAFFIC)


@pytest.mark.parametrize(
    ("counted", "reason"),
    [
        (increment(1, 0, 100, 1, cohorts=16), Reason.TOO_FEW_CANDIDATE_REQUESTS),
        (increment(100, 1, 1, 0, cohorts=16), Reason.TOO_FEW_STABLE_REQUESTS),
    ],
)
def test_a_handful_of_requests_never_passes_a_wave(counted, reason):
    policy = replace(POLICY, min_requests=100)

    assert said(reads([counted] * 60), policy) == (Outcome.HOLD, reason)


def test_users_that_are_not_split_as_planned_hold_and_alert():
    log = reads([HARMLESS_10] * 20, exposure=Exposure(candidate=20, stable=80))

    assessment = answer(log)

    assert (assessment.outcome, assessment.reason) == (Outcome.HOLD, Reason.SAMPLE_RATIO_MISMATCH)
    assert assessment.mismatch >= assessment.mismatch_limit


def test_a_split_that_was_broken_does_not_matter_where_nobody_is_compared():
    broken = reads([HARMLESS_10] * 20, exposure=Exposure(candidate=20, stable=80))
    everybody = reads([increment(1600, 16, 0, 0, cohorts=16)] * 60, wave=3, since=broken[-1].at)

    assert said(broken + everybody) == (Outcome.PASS, Reason.BELOW_CEILING)


def test_exposures_do_not_count_while_the_new_share_is_on_its_way():
    log = reads([HARMLESS_10] * 2, exposure=Exposure(candidate=0, stable=10_000))

    assert answer(log).mismatch == pytest.approx(1)


def test_a_broken_split_does_not_hide_a_regression():
    log = reads([increment(160, 16, 1440, 14, cohorts=16)] * 5, exposure=Exposure(candidate=500, stable=500))

    assert said(log) == (Outcome.ROLLBACK, Reason.REGRESSION)


def test_the_metric_that_speaks_loudest_is_named_as_the_cause():
    policy = replace(POLICY, metrics=tuple(GuardrailMetric(name=name) for name in ("errors", "slow", "fallback")))
    fine, worse = increment(160, 2, 1440, 14, cohorts=16), increment(160, 16, 1440, 14, cohorts=16)

    assessment = answer(reads([[fine, worse, fine]] * 6), policy)

    assert (assessment.reason, assessment.cause) == (Reason.REGRESSION, "slow")


def test_every_guardrail_must_allow_a_pass_and_other_metrics_need_not():
    def policy(guardrail: bool):
        slow = GuardrailMetric(name="slow", guardrail=guardrail)
        return replace(POLICY, metrics=(GuardrailMetric(name="errors"), slow))

    too_few_to_say = increment(160, 2, 1440, 14, cohorts=16)
    log = reads([[HARMLESS_10, too_few_to_say]] * 15)

    held, passed = answer(log, policy(guardrail=True)), answer(log, policy(guardrail=False))

    assert (held.outcome, held.reason, held.cause) == (Outcome.HOLD, Reason.BEFORE_TARGET, "slow")
    assert (passed.outcome, passed.reason) == (Outcome.PASS, Reason.NOT_WORSE_EARLY)


def test_an_error_free_feature_passes_early_after_enough_clean_requests():
    """The rule of three: the absolute margin makes silence speak, after about 14,000 candidate requests."""
    clean = increment(1600, 0, 14_400, 0, cohorts=16)

    assert said(reads([clean] * 15)) == (Outcome.PASS, Reason.NOT_WORSE_EARLY)
    assert answer(reads([clean] * 5)).metrics[0].early < 20


def test_counters_without_cohorts_use_the_burst_estimate():
    policy = GuardrailPolicy(cohorts=1)

    assessment = answer(reads([increment(60, 3, 540, 5)]), policy)

    assert assessment.metrics[0].design_effect == 5
    assert assessment.metrics[0].live_cohorts is None


def test_a_resumed_wave_bakes_anew_and_keeps_its_evidence():
    worse = increment(160, 3, 1440, 14, cohorts=16)
    first = reads([worse] * 20)
    resumed = reads([worse] * 3, since=first[-1].at + timedelta(hours=1))

    assert said(first + resumed) in {(Outcome.HOLD, Reason.BAKING), (Outcome.ROLLBACK, Reason.REGRESSION)}
    assert answer(first + resumed).evidence > answer(first).evidence


def test_stepping_to_and_fro_does_not_spend_more_than_the_budget():
    quiet, log, since = increment(16, 0, 144, 0, cohorts=16), [], BEGIN
    for wave in (0, 1, 0, 1, 2, 1, 2, 2, 0):
        log += reads([quiet] * 45, wave=wave, since=since)
        since = log[-1].at

    (state,) = fold(POLICY, log).metrics

    assert 0.9 < sum(each.weight for each in state.starts) <= 1


@pytest.mark.parametrize("percents", [(100,), (50, 100), (1, 5, 20, 50, 80, 95, 100)])
def test_any_list_of_waves_can_be_judged(percents):
    policy = replace(POLICY, waves=tuple(replace(POLICY.waves[0], weight=each * 1000) for each in percents))
    log, since = [], BEGIN
    for wave, percent in enumerate(percents):
        log += reads([increment(16 * percent, 2, 16 * (100 - percent), 2, cohorts=16)] * 61, wave=wave, since=since)
        since = log[-1].at

    assert answer(log, policy).outcome in set(Outcome)


def test_a_read_out_of_order_is_refused():
    log = reads([HARMLESS_10] * 2)

    with pytest.raises(Invalid, match="reads in order"):
        fold(POLICY, [log[1], log[0]])


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (reads([HARMLESS_10], wave=4)[0], "wave"),
        (reads([[HARMLESS_10, HARMLESS_10]])[0], "increments"),
        (reads([increment(1, 0, 1, 0)])[0], "increments"),
    ],
)
def test_an_entry_of_another_policy_is_refused(entry: Entry, field: str):
    with pytest.raises(Invalid) as refused:
        advance(POLICY, start(POLICY), entry)

    assert refused.value.field == field


def test_every_kind_of_metric_can_stand_beside_the_others():
    kinds = tuple(GuardrailMetric(name=kind.value, kind=kind) for kind in MetricKind)
    policy = replace(POLICY, metrics=kinds)
    users = increment(0, 10, 0, 90, cohorts=16)

    log = reads([[HARMLESS_10, HARMLESS_10, users]] * 60)

    assert said(log, policy)[0] is Outcome.PASS
    assert log[-1].at - BEGIN == MINUTE * 60
