"""Means per request, by cohort sums: cost, tokens, seconds."""

import random
from dataclasses import replace

import pytest

from support.guardrails import BEGIN, MINUTE, increment, reads
from wavegate_controller.domain.guardrail import (
    GuardrailMetric,
    GuardrailPolicy,
    Increment,
    MetricKind,
    Outcome,
    Reason,
    advance,
    assess,
    assess_log,
    explain,
    fold,
    start,
)

COST = GuardrailMetric(name="cost", kind=MetricKind.MEAN, unit=1e-6)
POLICY = GuardrailPolicy(metrics=(COST,))


def spent(chance: random.Random, *, candidate: float, stable: float, requests: int = 20) -> Increment:
    """Exponential costs around a mean, 16 cohorts; stable has three times the requests."""

    def arm(mean: float, count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (count,) * 16, tuple(round(chance.gammavariate(count, mean)) for _ in range(16))

    (n_t, y_t), (n_c, y_c) = arm(candidate, requests), arm(stable, 3 * requests)
    return Increment(candidate_requests=n_t, candidate_amount=y_t, stable_requests=n_c, stable_amount=y_c)


def ever_rolled_back(seed: int, *, candidate: float, looks: int = 45) -> bool:
    chance, state = random.Random(seed), start(POLICY)
    for entry in reads((spent(chance, candidate=candidate, stable=2000) for _ in range(looks)), wave=1):
        state = advance(POLICY, state, entry)
        if assess(POLICY, state, now=entry.at).outcome is Outcome.ROLLBACK:
            return True
    return False


def test_a_feature_that_costs_the_same_is_rarely_rolled_back():
    """5 % are promised. Were it exactly 5 %, more than 24 of 200 would come in one of 38,000 series of seeds."""
    assert sum(ever_rolled_back(seed, candidate=2000) for seed in range(200)) <= 24


def test_a_feature_that_costs_a_third_more_is_rolled_back():
    assert all(ever_rolled_back(seed, candidate=2700) for seed in range(20))


def test_a_feature_that_costs_the_same_passes_early():
    chance = random.Random(1)
    log = reads([spent(chance, candidate=2000, stable=2000, requests=60) for _ in range(30)], wave=1)

    assessment = assess_log(POLICY, log, now=log[-1].at)

    assert (assessment.outcome, assessment.reason) == (Outcome.PASS, Reason.NOT_WORSE_EARLY)


def test_a_constant_cost_is_judged_at_once_although_it_has_no_spread():
    same, more = (
        increment(160, 160 * 2000, 1440, 1440 * 2000, cohorts=16),
        increment(160, 160 * 2100, 1440, 1440 * 2000, cohorts=16),
    )

    assert assess_log(POLICY, reads([same] * 15), now=BEGIN + 15 * MINUTE).reason is Reason.NOT_WORSE_EARLY
    assert assess_log(POLICY, reads([more] * 3), now=BEGIN + 3 * MINUTE).reason is Reason.REGRESSION


@pytest.mark.parametrize(
    "counted",
    [
        pytest.param(increment(12, 12 * 9000, 100, 100 * 2000, cohorts=16), id="under 200 requests"),
        pytest.param(
            replace(
                increment(1600, 1600 * 9000, 1600, 1600 * 2000, cohorts=16),
                candidate_requests=(200,) * 7 + (0,) * 9,
                candidate_amount=(200 * 9000,) * 7 + (0,) * 9,
            ),
            id="7 live cohorts",
        ),
        pytest.param(increment(1600, 1600 * 9000, 1600, 0, cohorts=16), id="stable costs nothing"),
    ],
)
def test_too_little_to_know_the_variance_is_no_evidence(counted: Increment):
    log = reads([counted] * 3, wave=1, turning=False)

    (cost,) = assess_log(POLICY, log, now=log[-1].at).metrics

    assert (cost.regression, cost.early) == (0.8, 1)


def test_an_absolute_margin_judges_a_feature_whose_stable_variant_costs_nothing():
    """In the metric's unit: a tenth of a cent a request is agreed."""
    policy = replace(POLICY, metrics=(replace(COST, absolute_margin=0.001, gate_absolute_margin=0.001),))

    def said(cost: int):
        log = reads([increment(1600, 1600 * cost, 1600, 0, cohorts=16)] * 15, wave=1)
        return assess_log(policy, log, now=log[-1].at).outcome

    assert said(500) is Outcome.PASS
    assert said(2000) is Outcome.ROLLBACK


def test_a_change_in_a_later_wave_is_found_against_a_good_past():
    chance, state, rolled_back = random.Random(3), start(POLICY), None
    first = reads([spent(chance, candidate=1500, stable=2000) for _ in range(60)])
    second = reads([spent(chance, candidate=3000, stable=2000) for _ in range(60)], wave=1, since=first[-1].at)
    for entry in first + second:
        state = advance(POLICY, state, entry)
        if assess(POLICY, state, now=entry.at).outcome is Outcome.ROLLBACK:
            rolled_back = entry.at
            break

    assert rolled_back is not None
    assert first[-1].at < rolled_back <= first[-1].at + 10 * MINUTE


def test_the_interval_holds_the_true_ratio():
    chance = random.Random(5)
    log = reads([spent(chance, candidate=2400, stable=2000) for _ in range(30)], wave=1)

    (cost,) = explain(POLICY, fold(POLICY, log), now=log[-1].at).metrics

    assert cost.interval.low < 1.2 < cost.interval.high < 1.5
    assert cost.in_wave.candidate_rate * cost.unit == pytest.approx(0.0024, rel=0.05)
