"""The closed forms against vectors that were computed independently."""

import math
from datetime import timedelta

import pytest

from support.guardrails import BEGIN, MINUTE, increment, reads
from wavegate_controller.domain.guardrail import (
    GuardrailMetric,
    GuardrailPolicy,
    Outcome,
    Reason,
    advance,
    assess,
    assess_log,
    start,
)
from wavegate_controller.domain.guardrail.design_effect import Arm, BurstSpread, CohortSpread
from wavegate_controller.domain.guardrail.eprocess import (
    EFFECTS,
    Block,
    above_ceiling,
    log_evidence,
    mean_of_effects,
    mean_of_ratios,
    not_worse,
    regression,
)
from wavegate_controller.domain.guardrail.exposure import log_mismatch
from wavegate_controller.domain.guardrail.restarts import slot_budget, slots_weight, wave_weight

BLOCK = Block(candidate=100, candidate_bad=5, stable=900, stable_bad=9)


def test_factors_of_a_block():
    """a is what one bad candidate outcome multiplies the evidence by, absolute margins aside."""
    one, none = BLOCK._replace(candidate_bad=1, stable_bad=0), BLOCK._replace(candidate_bad=0, stable_bad=0)

    a = [
        math.exp(
            log_evidence(one, effect, margin=0.01, absolute=0.0001)
            - log_evidence(none, effect, margin=0.01, absolute=0.0001)
        )
        for effect in EFFECTS
    ]

    expected = [1.062496, 1.132854, 1.261805, 1.508666, 1.962395, 3.070552, 5.240838, 7.641221]
    assert a == pytest.approx(expected, abs=1e-6)


def test_regression_in_one_block():
    logs = regression(BLOCK, margin=0.01, absolute=0.0001)

    expected = [0.239135, 0.487181, 0.891714, 1.522044, 2.332581, 3.208649, 2.425065, -2.207384]
    assert logs == pytest.approx(expected, abs=1e-6)
    assert math.log(mean_of_effects(logs)) == pytest.approx(1.952706, abs=1e-6)


def test_not_worse_in_one_block():
    logs = not_worse(BLOCK._replace(candidate_bad=0), margin=0.45, absolute=0.0005)

    assert math.log(mean_of_ratios(logs, design_effect=1)) == pytest.approx(0.587865, abs=1e-6)


def test_ceiling():
    logs = above_ceiling([0.0] * len(EFFECTS), requests=20, bad=10, ceiling=0.25)

    assert math.log(mean_of_effects(logs)) == pytest.approx(0.851843, abs=1e-6)


def test_design_effect_from_bursts():
    spread = BurstSpread()
    for n_t, n_c, x_t, x_c in ((100, 900, 5, 9), (120, 880, 0, 12), (90, 910, 1, 7)):
        spread = spread.plus(Block(candidate=n_t, candidate_bad=x_t, stable=n_c, stable_bad=x_c))

    assert spread.observed == pytest.approx(7.410817, abs=1e-6)
    assert spread.model == pytest.approx(1.556882, abs=1e-6)
    assert spread.design_effect == pytest.approx(4.880019, abs=1e-6)


def test_design_effect_from_cohorts():
    requests = (10, 12, 8, 9, 11, 10, 9, 13)
    candidate = Arm(requests=requests, amount=(0, 1, 0, 0, 3, 0, 1, 0))
    stable = Arm(requests=tuple(9 * each for each in requests), amount=(1, 2, 0, 1, 1, 3, 1, 0))

    assert CohortSpread.empty(8).plus(candidate, stable).design_effect == pytest.approx(2.213055, abs=1e-6)


def test_sample_ratio():
    assert log_mismatch(1060, 10_000, 0.1) == pytest.approx(0.244545, abs=1e-6)


def test_restart_weights_of_three_waves():
    assert wave_weight(first=True, waves=3) == 0.5
    assert wave_weight(first=False, waves=3) == pytest.approx(0.1)
    assert slots_weight(0, 1, budget=slot_budget(3)) == pytest.approx(0.1 / 2)
    assert slots_weight(1, 2, budget=slot_budget(3)) == pytest.approx(0.1 / 6)


def test_a_regression_is_rolled_back_in_its_fourth_minute():
    policy = GuardrailPolicy(metrics=(GuardrailMetric(name="errors"),), cohorts=1)
    state, evidence = start(policy), []
    for entry in reads(increment(60, x_t, 540, x_c) for x_t, x_c in ((3, 5), (4, 6), (5, 4), (3, 5))):
        state = advance(policy, state, entry)
        answer = assess(policy, state, now=entry.at)
        evidence.append(answer.evidence)

    assert evidence == pytest.approx([0.5946, 1.0833, 7.3218, 30.8734], abs=1e-4)
    assert (answer.outcome, answer.reason, answer.cause) == (Outcome.ROLLBACK, Reason.REGRESSION, "errors")


def test_three_minutes_of_it_still_hold():
    policy = GuardrailPolicy(cohorts=1)
    log = reads(increment(60, x_t, 540, x_c) for x_t, x_c in ((3, 5), (4, 6), (5, 4)))

    answer = assess_log(policy, log, now=BEGIN + 3 * MINUTE)

    assert (answer.outcome, answer.reason) == (Outcome.HOLD, Reason.BAKING)
    assert answer.evidence < answer.evidence_limit == 20


@pytest.mark.parametrize(("share", "margin"), [(0.10, 0.45), (0.25, 0.15), (0.50, 0.05)])
def test_early_margins_shrink_with_the_share(share: float, margin: float):
    assert GuardrailMetric(name="errors").early_margin(share) == pytest.approx(margin)


def test_a_bake_is_fifteen_minutes_by_default():
    assert GuardrailPolicy().waves[0].bake == timedelta(minutes=15)
