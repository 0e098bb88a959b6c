"""Whole rollouts through the real decision code: reads, waves, gates, and decisions that act one minute later."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.decisions.worlds import Run, World
from wavegate_controller.domain.guardrail import (
    Entry,
    GuardrailPolicy,
    GuardrailWave,
    Increment,
    Outcome,
    advance,
    assess,
    start,
)

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LOST_READS = 0.01


@dataclass(frozen=True)
class Result:
    """How a rollout ended: `rolled_back`, `completed` (100 %) or `held` at the end of the time, and when."""

    end: str
    minute: int


def policy_of(world: World) -> GuardrailPolicy:
    """The defaults, in the waves and cohorts of the world."""
    weights = [round(share * 100_000) for share in (*world.shares, 1.0)]
    return GuardrailPolicy(
        waves=tuple(GuardrailWave(weight=weight) for weight in weights), cohorts=world.cohorts, tick=MINUTE
    )


def roll_out(world: World, seed: int, *, minutes: int) -> Result:
    """One rollout under Wavegate's rule."""
    run, policy = Run(world, random.Random(f"{world.name} {seed}")), policy_of(world)
    state, wave, since, pending = start(policy), 0, 0, []
    answer = Outcome.HOLD
    for minute in range(minutes):
        pending.append(run.minute(minute, wave))
        at = minute + 1
        changes = answer is not Outcome.HOLD
        if not changes and run.chance.random() < LOST_READS:
            continue
        entry = Entry(
            at=BEGIN + at * MINUTE,
            wave=wave,
            wave_since=BEGIN + since * MINUTE,
            increments=(total(pending),),
        )
        state, pending = advance(policy, state, entry), []
        if answer is Outcome.ROLLBACK:
            return Result("rolled_back", at)
        if answer is Outcome.PASS:
            wave, since, answer = wave + 1, at, Outcome.HOLD
            if wave == len(world.shares):
                return Result("completed", at)
            continue
        answer = assess(policy, state, now=entry.at).outcome
    return Result("held", minutes)


def total(increments: list[Increment]) -> Increment:
    """Several minutes in one read."""
    if len(increments) == 1:
        return increments[0]

    def add(rows):
        return tuple(map(sum, zip(*rows, strict=True)))

    return Increment(
        candidate_requests=add(each.candidate_requests for each in increments),
        candidate_amount=add(each.candidate_amount for each in increments),
        stable_requests=add(each.stable_requests for each in increments),
        stable_amount=add(each.stable_amount for each in increments),
    )
