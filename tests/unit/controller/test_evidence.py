"""The e-process against published vectors, and its promise: odds of 20 : 1 come by chance in 5 % at most."""

import math
import random

import pytest

from wavegate_controller.domain.evidence import Block, above_ceiling, blocks, regression
from wavegate_controller.domain.measurement import ArmCounts


def block(n_t: int, n_c: int, x_t: int, x_c: int) -> Block:
    return Block(candidate=ArmCounts(requests=n_t, bad=x_t), stable=ArmCounts(requests=n_c, bad=x_c))


def test_one_block_gives_the_published_evidence():
    odds = regression([block(100, 900, 5, 9)], margin=0.01, absolute_margin=0.0001)

    assert math.log(odds) == pytest.approx(1.952706, abs=1e-6)


def test_the_ceiling_gives_the_published_evidence():
    odds = above_ceiling([ArmCounts(requests=20, bad=10)], ceiling=0.25)

    assert math.log(odds) == pytest.approx(0.851843, abs=1e-6)


def test_no_counts_say_nothing():
    assert regression([], margin=0.01, absolute_margin=0.0001) == 1
    assert above_ceiling([], ceiling=0.25) == 1


def test_one_arm_alone_says_nothing():
    assert regression([block(0, 900, 0, 400), block(100, 0, 90, 0)], margin=0, absolute_margin=0) == 1


def test_looks_are_merged_until_both_arms_have_five_requests_and_the_rest_waits():
    looks = [block(2, 40, 1, 0), block(3, 40, 0, 2), block(4, 40, 1, 1)]

    assert blocks(looks) == [block(5, 80, 1, 2)]


def test_overwhelming_evidence_is_a_number_too():
    odds = regression([block(10_000, 10_000, 10_000, 0)], margin=0.01, absolute_margin=0.0001)

    assert 1e300 < odds < math.inf


def test_old_calm_does_not_weigh_against_new_harm_at_the_ceiling():
    calm = [ArmCounts(requests=1000, bad=1)] * 50
    harm = [ArmCounts(requests=100, bad=90)]

    assert above_ceiling([*calm, *harm], ceiling=0.25) == pytest.approx(above_ceiling(harm, ceiling=0.25))


def ever_convinced(chance: random.Random, *, candidate: float, stable: float, looks: int) -> bool:
    """Whether the odds reach 20 : 1 at any look; 12 candidate and 108 stable requests between two looks."""
    so_far = []
    for _ in range(looks):
        bad_candidate = sum(chance.random() < candidate for _ in range(12))
        bad_stable = sum(chance.random() < stable for _ in range(108))
        so_far.append(block(12, 108, bad_candidate, bad_stable))
        if regression(so_far, margin=0.01, absolute_margin=0.0001) >= 20:
            return True
    return False


def test_a_harmless_candidate_is_convicted_in_less_than_five_percent_of_rollouts_however_often_one_looks():
    chance = random.Random(20240)

    convicted = sum(ever_convinced(chance, candidate=0.05, stable=0.05, looks=60) for _ in range(300))

    # 5 % of 300 is 15 at most in the mean; a true level of 5 % would pass 24 in about one run of 100.
    assert convicted <= 24


def test_a_candidate_that_fails_five_times_as_often_is_convicted_soon():
    chance = random.Random(7)

    convicted = sum(ever_convinced(chance, candidate=0.25, stable=0.05, looks=60) for _ in range(100))

    assert convicted == 100
