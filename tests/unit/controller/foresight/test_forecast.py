"""An hour of the next wave, going by the figures of this one."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from wavegate_controller.domain.decision import DecisionReason, decide
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.forecast import forecast
from wavegate_controller.domain.foresight.supposed import supposed
from wavegate_controller.domain.gates import ErrorRateGate, ValueGate, ValueKind
from wavegate_controller.domain.guardrail import Reason
from wavegate_controller.domain.guardrail.design_effect import Arm
from wavegate_controller.domain.guardrail.mean import Strata
from wavegate_controller.domain.plan import DEFAULT_WAVES, Plan
from wavegate_controller.domain.transitions import Event, apply
from wavegate_controller.domain.verdict import Verdict, VerdictKind

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = BEGIN + timedelta(hours=2)
GATES = (ErrorRateGate(), ValueGate(name="cost", value=ValueKind.COST_USD))
#: In two hours at 10 %: 1,000 and 9,000 requests; 30 and 90 failed, so 2 % more; 0.03 and 0.02 dollars each.
FIGURES = {
    "error-rate": {
        "candidate_requests": 1000.0,
        "candidate_bad": 30.0,
        "stable_requests": 9000.0,
        "stable_bad": 90.0,
        "design_effect": 1.0,
    },
    "cost": {
        "candidate_requests": 1000.0,
        "candidate_sum": 30.0,
        "stable_requests": 9000.0,
        "stable_sum": 180.0,
        "design_effect": 1.0,
    },
}


def rollout(**plan):
    return supposed("search", Plan(gates=GATES, **plan), stable="off", candidate="on", at=BEGIN)


def verdicts(figures=FIGURES):
    return [
        Verdict(
            gate=name, kind=VerdictKind.PASS, reason=Reason.NOT_WORSE_EARLY, sentence="fine", query="", figures=mine
        )
        for name, mine in figures.items()
    ]


def test_an_hour_of_the_next_wave_is_more_requests_and_more_of_what_they_add():
    found = forecast(rollout(), FIGURES, now=LATER)

    errors, cost = found.extras
    assert (found.percent, found.requests, found.next_requests) == (25, 500, 1250)
    assert (errors.now, errors.next) == (pytest.approx(10), pytest.approx(25))
    assert errors.low < errors.next < errors.high
    assert (cost.what, cost.next, cost.low) == ("cost_usd", pytest.approx(12.5), None)


def test_clumps_widen_the_interval_and_without_a_variance_there_is_none():
    def width(clumps):
        mine = {"error-rate": FIGURES["error-rate"] | {"design_effect": clumps}}
        (errors,) = forecast(rollout(), mine, now=LATER).extras
        return None if errors.high is None else errors.high - errors.low

    assert width(4.0) == pytest.approx(2 * width(1.0))
    assert width(1e9) is None


def test_a_value_has_an_interval_where_the_cohorts_show_how_it_spreads():
    mine = {"cost": FIGURES["cost"] | {"standard_error": 0.001}}

    (cost,) = forecast(rollout(), mine, now=LATER).extras

    # 1,250 requests an hour, 0.01 dollars more each, give or take 0.00196.
    assert (cost.next, cost.low, cost.high) == (pytest.approx(12.5), pytest.approx(10.05), pytest.approx(14.95))


def test_the_requests_of_the_next_wave_have_an_interval_of_what_was_counted():
    found = forecast(rollout(), FIGURES, now=LATER)

    # 10,000 were counted, so that a hundredth is one standard deviation.
    assert (found.low_requests, found.high_requests) == (pytest.approx(1250 * 0.9804), pytest.approx(1250 * 1.0196))


def test_each_user_of_this_wave_stands_for_those_that_the_next_one_adds():
    found = forecast(rollout(), FIGURES, now=LATER, users=400)

    assert found.users.more == pytest.approx(600)
    assert found.users.low < 600 < found.users.high
    assert forecast(rollout(), FIGURES, now=LATER).users is None


def test_an_objective_says_how_fast_its_error_budget_goes():
    errors, _ = forecast(rollout(objectives={"error-rate": 0.99}), FIGURES, now=LATER).extras

    # 3 % of a quarter and 1 % of the rest go wrong, 1 % may.
    assert (errors.burn.next, errors.burn.stable) == (pytest.approx(1.5), pytest.approx(1.0))
    assert errors.burn.low < 1.5 < errors.burn.high


@pytest.mark.parametrize("objectives", [{"cost": 0.9}, {"error-rate": 1.0}, {"error-rate": 0}, {"nothing": 0.9}])
def test_an_objective_that_makes_no_sense_is_refused(objectives):
    with pytest.raises(Invalid, match=rf"objectives.{next(iter(objectives))}"):
        rollout(objectives=objectives)


def test_the_interval_of_a_value_holds_what_it_promises():
    """Users who differ twofold in cost; in 95 of 100 worlds the true difference lies within, some more or less."""
    random, inside, worlds = Random(7), 0, 200
    for _ in range(worlds):
        arms = []
        for mean in (1_200, 1_000):
            costs = [[mean * random.choice((0.5, 1, 1.5)) for _ in range(random.randint(40, 60))] for _ in range(16)]
            arms.append(Arm(requests=tuple(map(len, costs)), amount=tuple(round(math.fsum(each)) for each in costs)))
        counts = Strata.of(*arms)
        difference = counts.totals.candidate_rate - counts.totals.stable_rate
        inside += abs(difference - 200) <= 1.96 * counts.standard_error

    assert 0.9 <= inside / worlds <= 1


def test_nothing_is_forecast_where_no_wave_follows_or_nothing_was_counted():
    last = rollout()
    for _ in DEFAULT_WAVES[1:]:
        last = apply(last, Event.PROMOTE, now=BEGIN)
    nobody = {"error-rate": FIGURES["error-rate"] | {"candidate_requests": 0.0}}

    assert forecast(last, FIGURES, now=LATER) is None
    assert forecast(rollout(), nobody, now=LATER) is None
    assert forecast(rollout(), {}, now=LATER) is None
    assert forecast(rollout(), FIGURES, now=BEGIN) is None


@pytest.mark.parametrize(
    ("budget", "event", "reason"),
    [
        ({}, Event.PROMOTE, DecisionReason.GATES_PASSED),
        ({"error-rate": 100}, Event.PROMOTE, DecisionReason.GATES_PASSED),
        ({"error-rate": 26}, Event.AWAIT_APPROVAL, DecisionReason.OVER_BUDGET),
        ({"cost": 12}, Event.AWAIT_APPROVAL, DecisionReason.OVER_BUDGET),
        ({"cost": 13, "error-rate": 100}, Event.PROMOTE, DecisionReason.GATES_PASSED),
    ],
)
def test_a_wave_that_may_go_over_its_budget_asks_a_human_though_all_gates_pass(budget, event, reason):
    decision = decide(rollout(budget=budget), verdicts(), now=LATER)

    assert (decision.event, decision.reason) == (event, reason)
    assert ("may go over its budget" in decision.sentence) is (event is Event.AWAIT_APPROVAL)


def test_what_is_over_budget_and_held_anyway_only_holds():
    held = [replace(each, kind=VerdictKind.NOT_ENOUGH_DATA) for each in verdicts()]

    assert decide(rollout(budget={"cost": 0}), held, now=LATER).event is Event.TICK


@pytest.mark.parametrize("budget", [{"latency": 1}, {"cost": -1}, {"cost": float("nan")}])
def test_a_budget_that_makes_no_sense_is_refused(budget):
    with pytest.raises(Invalid, match=rf"budget.{next(iter(budget))}"):
        rollout(budget=budget)
