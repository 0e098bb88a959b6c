"""Users with a first bad outcome, each counted once."""

from dataclasses import replace

from support.guardrails import increment, reads
from wavegate_controller.domain.guardrail import (
    GuardrailMetric,
    GuardrailPolicy,
    MetricKind,
    Outcome,
    Reason,
    assess_log,
    explain,
    fold,
)

POLICY = GuardrailPolicy(metrics=(GuardrailMetric(name="failing-users", kind=MetricKind.USERS),))


def first_failures(candidate: int, stable: int):
    return increment(0, candidate, 0, stable, cohorts=16)


def test_twice_as_many_failing_users_as_their_share_are_a_regression():
    log = reads([first_failures(4, 18)] * 25)

    assessment = assess_log(POLICY, log, now=log[-1].at)

    assert (assessment.outcome, assessment.reason) == (Outcome.ROLLBACK, Reason.REGRESSION)
    assert assessment.metrics[0].design_effect == 1


def test_each_wave_has_its_own_part_of_the_budget():
    log = reads([first_failures(0, 0)] * 5)
    later = reads([first_failures(0, 0)] * 5, wave=1, since=log[-1].at)

    assert abs(assess_log(POLICY, log + later, now=later[-1].at).evidence - 0.8 / 3) < 1e-9


def test_users_who_are_counted_a_second_time_are_no_evidence():
    """Back in a wave that was served before, the same users fail again."""
    first = reads([first_failures(0, 0)] * 5)
    second = reads([first_failures(0, 0)] * 5, wave=1, since=first[-1].at)
    again = reads([first_failures(40, 18)] * 5, since=second[-1].at)

    assert assess_log(POLICY, first + second + again, now=again[-1].at).evidence == 0


def test_a_harmless_candidate_passes_early_on_users_alone():
    log = reads([first_failures(6, 54)] * 30)

    assert assess_log(POLICY, log, now=log[-1].at).outcome is Outcome.PASS


def test_beside_requests_its_evidence_is_averaged_in():
    both = replace(POLICY, metrics=(GuardrailMetric(name="errors"), *POLICY.metrics))
    log = reads([[increment(160, 2, 1440, 14, cohorts=16), first_failures(4, 18)]] * 40)

    assessment = assess_log(both, log, now=log[-1].at)

    assert (assessment.outcome, assessment.cause) == (Outcome.ROLLBACK, "failing-users")


def test_the_interval_is_of_the_ratio_of_failing_users():
    log = reads([first_failures(4, 18)] * 10)

    (users,) = explain(POLICY, fold(POLICY, log), now=log[-1].at).metrics

    assert 1 < users.interval.low < 2 < users.interval.high
