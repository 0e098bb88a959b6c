"""What holds for any log: fairness, determinism, and no arithmetic that can fail."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.guardrails import BEGIN, MINUTE
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.guardrail import (
    Entry,
    Exposure,
    GuardrailMetric,
    GuardrailPolicy,
    Increment,
    MetricKind,
    advance,
    assess,
    assess_log,
    decode,
    encode,
    explain,
    fold,
    load,
    save,
    start,
)
from wavegate_controller.domain.guardrail.eprocess import EFFECTS, RATIOS, Block, log_evidence

COHORTS = 8
METRICS = tuple(
    GuardrailMetric(name=kind.value, kind=kind, weight=weight)
    for kind, weight in zip(MetricKind, (1, 2, 0.5), strict=True)
)
POLICY = GuardrailPolicy(metrics=METRICS, cohorts=COHORTS)

#: From nothing at all, over one arm alone, to more than anybody has.
COUNTS = st.sampled_from([0, 0, 0, 1, 2, 7, 50, 10**4, 10**12])
SILENT = st.just((0,) * COHORTS)
ROWS = SILENT | st.tuples(*[COUNTS] * COHORTS)


@st.composite
def logs(draw: st.DrawFn) -> list[Entry]:
    """Any waves in any order, pauses, lost reads, silent and one-armed traffic."""
    entries, at = [], BEGIN
    for _ in range(draw(st.integers(min_value=1, max_value=4))):
        wave, since = draw(st.integers(min_value=0, max_value=3)), at
        for _ in range(draw(st.integers(min_value=1, max_value=5))):
            at += draw(st.sampled_from([1, 1, 1, 7, 45, 400])) * MINUTE
            increments = tuple(
                Increment(
                    candidate_requests=draw(ROWS),
                    candidate_amount=draw(ROWS),
                    stable_requests=draw(ROWS),
                    stable_amount=draw(ROWS),
                )
                for _ in METRICS
            )
            exposure = draw(st.none() | st.builds(Exposure, candidate=COUNTS, stable=COUNTS))
            entries.append(Entry(at=at, wave=wave, wave_since=since, increments=increments, exposure=exposure))
    return entries


@settings(deadline=None, max_examples=60)
@given(logs())
def test_any_log_gets_an_answer_in_finite_numbers(log: list[Entry]):
    assessment = explain(POLICY, fold(POLICY, log), now=log[-1].at)

    numbers = [assessment.evidence, assessment.mismatch]
    numbers += [number for each in assessment.metrics for number in (each.regression, each.early, each.final or 0)]
    assert all(math.isfinite(number) and number >= 0 for number in numbers)


@settings(deadline=None, max_examples=60)
@given(logs())
def test_the_log_read_back_gives_the_same_decision_bit_by_bit(log: list[Entry]):
    state, answers = start(POLICY), []
    for entry in log:
        state = advance(POLICY, state, entry)
        answers.append(assess(POLICY, state, now=entry.at))

    kept = [decode(encode(entry)) for entry in log]
    again = [assess_log(POLICY, kept[: number + 1], now=entry.at) for number, entry in enumerate(kept)]

    assert fold(POLICY, kept) == state
    assert again == answers


@settings(deadline=None, max_examples=60)
@given(logs(), st.integers(min_value=0, max_value=20))
def test_a_saved_state_goes_on_as_if_nothing_had_happened(log: list[Entry], cut: int):
    before = fold(POLICY, log[:cut])

    loaded = load(POLICY, save(before))

    assert loaded == before
    assert fold(POLICY, log[cut:], after=loaded) == fold(POLICY, log)


@settings(deadline=None, max_examples=60)
@given(logs(), st.permutations(range(COHORTS)))
def test_the_order_of_the_cohorts_does_not_matter_to_the_last_bit(log: list[Entry], order: list[int]):
    def shuffle(each: Increment) -> Increment:
        rows = ("candidate_requests", "candidate_amount", "stable_requests", "stable_amount")
        return Increment(**{name: tuple(getattr(each, name)[cohort] for cohort in order) for name in rows})

    shuffled = [replace(entry, increments=tuple(map(shuffle, entry.increments))) for entry in log]

    assert assess_log(POLICY, shuffled, now=log[-1].at) == assess_log(POLICY, log, now=log[-1].at)


@settings(deadline=None, max_examples=60)
@given(logs())
def test_the_mean_of_the_metrics_lies_between_the_largest_and_its_share(log: list[Entry]):
    assessment = assess_log(POLICY, log, now=log[-1].at)

    evidence = [each.regression for each in assessment.metrics]
    shares = [metric.weight / 3.5 for metric in METRICS]
    largest = max(share * each for share, each in zip(shares, evidence, strict=True))
    assert largest * (1 - 1e-12) <= assessment.evidence <= max(evidence) * (1 + 1e-12)


@settings(deadline=None, max_examples=40)
@given(logs())
def test_silence_changes_no_evidence(log: list[Entry]):
    """A read without any traffic may cost a restart's slice, never more, and brings nothing."""
    nothing = Increment(
        **dict.fromkeys(("candidate_requests", "candidate_amount", "stable_requests", "stable_amount"), (0,) * COHORTS)
    )
    silent = replace(log[-1], at=log[-1].at + timedelta(seconds=1), increments=(nothing,) * len(METRICS), exposure=None)

    before, after = (assess_log(POLICY, each, now=log[-1].at) for each in (log, [*log, silent]))

    assert [each.early for each in after.metrics] == [each.early for each in before.metrics]
    assert after.evidence <= before.evidence + 1


@pytest.mark.parametrize("broken", [b"", b"{}", b"[1]", b"[2,[]]", b"[1,[[],[],0,0,0,0,0,0,0,0,0]]", b"\xff"])
def test_a_state_that_cannot_be_read_is_refused_so_that_the_log_is_folded(broken: bytes):
    with pytest.raises(Invalid):
        load(POLICY, broken)


def test_a_state_of_another_policy_is_refused():
    other = GuardrailPolicy(metrics=METRICS, cohorts=COHORTS, waves=POLICY.waves[:2])

    with pytest.raises(Invalid, match="waves"):
        load(POLICY, save(start(other)))


def expectation(block: Block, effect: float, *, p_t: float, p_c: float, margin: float, absolute: float) -> float:
    """Of the evidence of one block, over all outcomes of Bernoulli requests."""

    def outcomes(n: int, p: float) -> list[float]:
        return [math.comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(n + 1)]

    return math.fsum(
        likely_t
        * likely_c
        * math.exp(
            log_evidence(Block(block.candidate, x_t, block.stable, x_c), effect, margin=margin, absolute=absolute)
        )
        for x_t, likely_t in enumerate(outcomes(int(block.candidate), p_t))
        for x_c, likely_c in enumerate(outcomes(int(block.stable), p_c))
    )


REQUESTS = st.integers(min_value=1, max_value=12)
SHARE = st.floats(min_value=0, max_value=1)


@settings(deadline=None)
@given(REQUESTS, REQUESTS, SHARE, st.sampled_from([0, 0.01, 0.5]), st.sampled_from([0, 0.0001, 0.01]))
def test_a_block_never_speaks_for_a_regression_on_average_when_there_is_none(n_t, n_c, p_c, margin, absolute):
    """The whole guarantee: a fair game, by enumeration, right on the edge of what is tolerated."""
    p_t = min(1.0, (1 + margin) * p_c + absolute)

    for effect in EFFECTS:
        block = Block(n_t, 0, n_c, 0)
        assert expectation(block, effect, p_t=p_t, p_c=p_c, margin=margin, absolute=absolute) <= 1 + 1e-9


@settings(deadline=None)
@given(REQUESTS, REQUESTS, SHARE, st.sampled_from([0.05, 0.2, 0.45]), st.sampled_from([0, 0.0005, 0.01]))
def test_a_block_never_speaks_for_a_pass_on_average_when_the_candidate_is_on_the_margin(n_t, n_c, p, margin, absolute):
    p_t = p
    p_c = max(0.0, (p_t - absolute) / (1 + margin))
    if p_t < (1 + margin) * p_c + absolute - 1e-12:
        return  # inside the margin: there is something to speak for

    for ratio in RATIOS:
        block = Block(n_t, 0, n_c, 0)
        effect = ratio / (1 + margin)
        assert expectation(block, effect, p_t=p_t, p_c=p_c, margin=margin, absolute=absolute) <= 1 + 1e-9


@given(st.integers(min_value=1, max_value=40), st.sampled_from([0.1, 0.25, 0.5]), st.sampled_from([0.0, 0.01]))
def test_users_counted_once_never_convict_a_harmless_candidate_on_average(failing: int, share: float, margin: float):
    theta = (1 + margin) * share / ((1 + margin) * share + 1 - share)

    for effect in EFFECTS:
        mean = math.fsum(
            math.comb(failing, x)
            * theta**x
            * (1 - theta) ** (failing - x)
            * math.exp(log_evidence(Block(share, x, 1 - share, failing - x), effect, margin=margin, absolute=0))
            for x in range(failing + 1)
        )
        assert mean == pytest.approx(1)
