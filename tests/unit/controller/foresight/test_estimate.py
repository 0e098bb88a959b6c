"""Rehearsals: made-up counts, real decisions."""

import random
import statistics
from dataclasses import replace
from datetime import timedelta

import pytest

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.draws import clumped, dealt, poisson
from wavegate_controller.domain.foresight.outlook import at_most, outlook
from wavegate_controller.domain.foresight.rehearsal import End, rehearse
from wavegate_controller.domain.foresight.traffic import Expected, Traffic, clumping, spread
from wavegate_controller.domain.guardrail import GuardrailMetric, GuardrailPolicy, MetricKind, Reason

POLICY = GuardrailPolicy()
BUSY = Traffic(requests_per_second=1000, metrics={"errors": Expected(mean=0.01)})
QUIET = Traffic(requests_per_second=0.5, metrics={"errors": Expected(mean=0.01)})


def rehearsals(policy, traffic, number=8, **options):
    chance = random.Random("estimate")
    return [rehearse(policy, traffic, chance, **options) for _ in range(number)]


def test_a_harmless_candidate_with_much_traffic_reaches_everybody_and_each_wave_bakes():
    runs = rehearsals(POLICY, BUSY)

    assert {each.end for each in runs} == {End.COMPLETED}
    assert all(took >= wave.bake for each in runs for took, wave in zip(each.took, POLICY.waves, strict=True))
    assert {each.why[0] for each in runs} == {Reason.NOT_WORSE_EARLY}


def test_a_candidate_that_fails_three_times_as_often_is_rolled_back_in_the_first_wave():
    runs = rehearsals(POLICY, BUSY, ratio=3.0)

    assert {(each.end, each.wave, each.reason) for each in runs} == {(End.ROLLED_BACK, 0, Reason.REGRESSION)}


def test_a_dearer_candidate_is_rolled_back_by_the_mean_of_its_cost():
    policy = GuardrailPolicy(metrics=(GuardrailMetric(name="cost", kind=MetricKind.MEAN, unit=1e-6, ceiling=None),))
    traffic = Traffic(requests_per_second=100, metrics={"cost": Expected(mean=0.002, spread=1.5)})

    assert {each.end for each in rehearsals(policy, traffic, 3)} == {End.COMPLETED}
    assert {each.end for each in rehearsals(policy, traffic, 3, ratio=1.5)} == {End.ROLLED_BACK}


def test_the_same_chance_gives_the_same_rollout():
    assert rehearse(POLICY, BUSY, random.Random(1)) == rehearse(POLICY, BUSY, random.Random(1))


def test_too_little_traffic_is_said_with_what_would_help():
    waves = (*POLICY.waves[:2], replace(POLICY.waves[2], maximum=timedelta(hours=4)), POLICY.waves[3])
    policy = replace(POLICY, waves=waves)

    found = outlook(policy, QUIET, rehearsals(policy, QUIET, 4))

    assert found.ends[End.INCONCLUSIVE] == 4
    assert found.total is None
    assert "too small for this plan: 4 of 4" in found.advice[0]
    assert "final_margin 0.4 instead of 0.2 for errors" in found.advice[1]


def test_enough_traffic_needs_no_advice():
    found = outlook(POLICY, BUSY, rehearsals(POLICY, BUSY))

    assert found.advice == ()
    assert found.total.low <= found.total.middle <= found.total.high
    # What a wave can see is less where more is at stake, and there is nothing to see without a control.
    assert found.waves[0].visible > found.waves[2].visible > 0
    assert found.waves[3].visible is None


def test_clumps_make_a_rollout_slower():
    clumps = Traffic(requests_per_second=100, metrics={"errors": Expected(mean=0.01, clumping=5)})
    alone = Traffic(requests_per_second=100, metrics={"errors": Expected(mean=0.01)})

    def middle(traffic):
        return statistics.median(each.total for each in rehearsals(POLICY, traffic))

    assert middle(clumps) > middle(alone)


def test_what_is_not_known_or_makes_no_sense_is_refused():
    with pytest.raises(Invalid, match=r"base\.errors: is not known"):
        Traffic(requests_per_second=1).of(POLICY.metrics[0])
    with pytest.raises(Invalid, match="is no share of bad outcomes"):
        Traffic(requests_per_second=1, metrics={"errors": Expected(mean=2)}).of(POLICY.metrics[0])
    with pytest.raises(Invalid, match="requests a second is none"):
        Traffic(requests_per_second=0)
    with pytest.raises(Invalid, match="clumping"):
        Expected(mean=0.1, clumping=0.5)


def test_no_wrong_rollback_in_a_hundred_may_still_be_three_percent():
    assert at_most(0, 100) == pytest.approx(0.0295, abs=0.001)
    assert at_most(5, 100) == pytest.approx(0.1023, abs=0.001)
    assert at_most(3, 3) == 1


@pytest.mark.parametrize("mean", [0.3, 4, 60, 5000])
def test_poisson_numbers_have_their_mean_and_variance(mean):
    chance = random.Random(mean)

    numbers = [poisson(chance, mean) for _ in range(4000)]

    assert statistics.fmean(numbers) == pytest.approx(mean, rel=5 / (4000 * mean) ** 0.5)
    assert statistics.variance(numbers) == pytest.approx(mean, rel=0.15)


@pytest.mark.parametrize("mean", [8, 800])
def test_numbers_are_dealt_to_cohorts_evenly(mean):
    chance = random.Random(mean)

    sums = [sum(column) for column in zip(*(dealt(chance, mean, 16) for _ in range(500)), strict=True)]

    assert all(each == pytest.approx(mean * 500 / 16, rel=0.35) for each in sums)


def test_clumped_numbers_vary_by_as_much_more_as_was_said():
    chance = random.Random(7)
    plain = [poisson(chance, 50 * 2 / (1 + 5)) for _ in range(4000)]

    numbers = clumped(chance, plain, 5)

    assert statistics.fmean(numbers) == pytest.approx(50, rel=0.05)
    assert statistics.variance(numbers) / statistics.fmean(numbers) == pytest.approx(5, rel=0.15)


def test_clumping_and_spread_are_told_by_the_cohorts():
    chance = random.Random(3)
    requests = [10_000] * 16
    bad = clumped(chance, dealt(chance, 1600 / 3, 16), 5)

    assert clumping([100] * 16, [2] * 16) == 1
    assert 2 < clumping(requests, bad) < 10
    assert spread([10_000] * 16, [10_000 * (1 + chance.gauss(0, 0.02)) for _ in range(16)]) == pytest.approx(2, rel=0.5)
    assert clumping([10], [2]) == 1
    assert spread([0, 0], [0, 0]) == 0
