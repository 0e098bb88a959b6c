"""A replay that is left in the middle of a rollout goes on another day as if nobody had left it."""

import random
from datetime import timedelta

import pytest

from support.raw import BEGIN, Raw, counters
from wavegate_controller.documents import RolloutDocument, parse
from wavegate_controller.documents.backtests import backtest_to_document, progress_from_text, progress_to_text
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.replayed import Backtested
from wavegate_controller.domain.foresight.supposed import draft
from wavegate_controller.domain.measurement import Labelled, Series
from wavegate_controller.providers.past import Past
from wavegate_controller.service.backtest import backtest, looks_left

STEP = timedelta(seconds=15)
LOOKS = [BEGIN + number * STEP for number in range(260)]
PLAN = {
    "interval": "15s",
    "waves": [{"percent": percent, "bake": "3m", "target": "5m"} for percent in (50, 100)],
    "gates": [
        {"type": "error_rate", "final_margin": 5, "ceiling": None},
        {"type": "threshold", "name": "queue", "query": "queue", "operator": "<", "limit": 8, "failures": 2, "of": 3},
    ],
    "guardrail": {"min_requests": 5, "cohorts": 1},
    "on_no_data": {"act": "pause", "after": "2m"},
}


class Queues(Raw):
    """A gauge besides, that now and then says nothing."""

    def values(self, promql, *, start, end, step):
        looks = [start + number * step for number in range((end - start) // step + 1)]
        chance = {at: random.Random(at.timestamp()) for at in looks}
        samples = tuple((at.timestamp(), chance[at].uniform(0, 8)) for at in looks if chance[at].random() < 0.97)
        return (Series(labels={}, samples=samples),)

    def vector(self, promql, *, at):
        (series,) = self.values(promql, start=at, end=at, step=STEP)
        return tuple(Labelled(labels={}, value=value) for _, value in series.samples)


class Left(Exception):
    pass


def asked():
    plan = parse(RolloutDocument, {"flag": "flag", "plan": PLAN}).plan_to_domain()
    return plan, draft("flag", plan, stable="off", candidate="on", at=BEGIN)


def fresh():
    return Backtested(name="", plan=asked()[0], begin=BEGIN, until=BEGIN)


def go_on(history, into, leave_at=None):
    """Replay from where it was left, until it is left again or ends."""
    past = Past(history, looks_left(LOOKS, into), step=STEP, goes_on=into.stand is not None)

    def seen(at):
        if leave_at is not None and at >= LOOKS[leave_at]:
            raise Left

    backtest(past, asked()[1], into, repeat=True, seen=seen)


def told(into):
    return backtest_to_document(into), {name: track.points for name, track in into.tracks.items()}


@pytest.mark.parametrize("seed", [0, 4])
def test_a_rollout_that_was_left_goes_on_as_if_nobody_had_left_it(seed):
    history = Queues(counters(random.Random(seed), quiet=100))
    whole = fresh()
    go_on(history, whole)

    for leave_at in range(7, len(LOOKS), 41):
        into = fresh()
        with pytest.raises(Left):
            go_on(history, into, leave_at)
        again = fresh()
        progress_from_text(progress_to_text(into, "this"), again, "this", asked()[1])
        go_on(history, again)

        assert told(again) == told(whole)

    assert len(whole.runs) > 1
    assert {reason for run in whole.runs for reason in run.holds} >= {"not_enough_data", "cannot_measure", "baking"}


def test_what_belongs_to_another_question_or_is_no_replay_is_refused():
    text = progress_to_text(fresh(), "this")

    for given, question, said in (
        (text, "that", "belongs to another plan"),
        ("[]", "this", "holds no replay"),
        (text[:-9], "this", "holds no replay"),
    ):
        with pytest.raises(Invalid, match=said):
            progress_from_text(given, fresh(), question, asked()[1])
