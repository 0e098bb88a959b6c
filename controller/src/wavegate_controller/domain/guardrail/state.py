"""The log folded read by read: the same entries give the same state, bit by bit, whenever and wherever it is folded.

Deterministic: counts are integers, their sums exact; floats are added in the order of the reads, and with `math.fsum`
where the order of cohorts, effects or starts could matter. What remains is the platform's `log`, `exp`, `lgamma` and
`erfc`: the same build gives the same bits, another one may differ in the last of 53.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.guardrail import exposure, restarts
from wavegate_controller.domain.guardrail.log import Entry
from wavegate_controller.domain.guardrail.mean import MeanState
from wavegate_controller.domain.guardrail.policy import GuardrailPolicy, MetricKind
from wavegate_controller.domain.guardrail.reading import Turn
from wavegate_controller.domain.guardrail.share import ShareState
from wavegate_controller.domain.guardrail.users import UsersState

MetricState = ShareState | MeanState | UsersState


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """All that decisions need of the log so far.

    Attributes:
        metrics: one state for each metric of the policy.
        slots: restarts placed so far in each wave; 0 or more once the wave was served.
        served: one bit for each wave that was served.
        wave: served at the last read; None before the first.
        wave_since: when it began.
        slots_before: restarts that this wave had before it began this time.
        read_at: time of the last read.
        candidate_seen_at: of the last read in which the candidate served a request.
        exposed_candidate: users new to the flag in this wave, the settling time left out.
        exposed: of both arms.
        log_mismatch: log-evidence for a broken split, of the waves before.
    """

    metrics: tuple[MetricState, ...]
    slots: tuple[int, ...]
    served: int = 0
    wave: int | None = None
    wave_since: datetime | None = None
    slots_before: int = 0
    read_at: datetime | None = None
    candidate_seen_at: datetime | None = None
    exposed_candidate: int = 0
    exposed: int = 0
    log_mismatch: float = 0.0


def start(policy: GuardrailPolicy) -> State:
    """Before the first read."""
    return State(
        metrics=tuple(_empty(metric.kind, policy.cohorts) for metric in policy.metrics), slots=(0,) * len(policy.waves)
    )


def fold(policy: GuardrailPolicy, entries: Iterable[Entry], *, after: State | None = None) -> State:
    """The state after all these entries, oldest first."""
    state = start(policy) if after is None else after
    for entry in entries:
        state = advance(policy, state, entry)
    return state


def advance(policy: GuardrailPolicy, state: State, entry: Entry) -> State:
    """The state after one more read.

    Raises:
        Invalid: when the entry is not of this policy, or not newer than the read before.
    """
    _check(policy, state, entry)
    wave = policy.waves[entry.wave]
    begins = (entry.wave, entry.wave_since) != (state.wave, state.wave_since)
    done = state.slots[entry.wave]
    slots_before = done if begins else state.slots_before
    due = done
    if wave.has_control:
        due = slots_before + restarts.due_slots(entry.at - entry.wave_since, every=policy.restart_every)
    turn = Turn(
        wave=wave,
        compared_waves=policy.compared_waves,
        last_gate=policy.is_last_gate(entry.wave),
        begins=begins,
        first=not any(state.served >> index & 1 and other.has_control for index, other in enumerate(policy.waves)),
        fresh=not state.served >> entry.wave & 1,
        continues=entry.wave == state.wave,
        slots_done=done,
        slots_due=due,
    )
    metrics = tuple(
        [
            each.advance(metric, turn, increment)
            for each, metric, increment in zip(state.metrics, policy.metrics, entry.increments, strict=True)
        ]
    )
    after = replace(
        state,
        metrics=metrics,
        slots=(*state.slots[: entry.wave], max(done, due), *state.slots[entry.wave + 1 :]),
        served=state.served | 1 << entry.wave,
        wave=entry.wave,
        wave_since=entry.wave_since,
        slots_before=slots_before,
        read_at=entry.at,
        candidate_seen_at=entry.at if _candidate_seen(policy, entry) else state.candidate_seen_at,
    )
    return _expose(policy, state, after, entry)


def log_mismatch(policy: GuardrailPolicy, state: State) -> float:
    """Log-evidence, over all waves, that users are not split as planned."""
    if state.wave is None:
        return 0.0
    share = policy.waves[state.wave].share
    return state.log_mismatch + exposure.log_mismatch(state.exposed_candidate, state.exposed, share)


def _empty(kind: MetricKind, cohorts: int) -> MetricState:
    match kind:
        case MetricKind.SHARE:
            return ShareState.empty(cohorts)
        case MetricKind.MEAN:
            return MeanState.empty(cohorts)
        case MetricKind.USERS:
            return UsersState()
        case _:
            assert_never(kind)


def _expose(policy: GuardrailPolicy, before: State, after: State, entry: Entry) -> State:
    """Count newly exposed users, once the new share has reached everybody."""
    begins = (after.wave, after.wave_since) != (before.wave, before.wave_since)
    if begins:
        after = replace(after, exposed_candidate=0, exposed=0, log_mismatch=log_mismatch(policy, before))
    if entry.exposure is None or entry.at - entry.wave_since <= policy.settle:
        return after
    return replace(
        after,
        exposed_candidate=after.exposed_candidate + entry.exposure.candidate,
        exposed=after.exposed + entry.exposure.candidate + entry.exposure.stable,
    )


def _candidate_seen(policy: GuardrailPolicy, entry: Entry) -> bool:
    return any(
        any(increment.candidate_requests) or (metric.kind is MetricKind.USERS and any(increment.candidate_amount))
        for metric, increment in zip(policy.metrics, entry.increments, strict=True)
    )


def _check(policy: GuardrailPolicy, state: State, entry: Entry) -> None:
    if entry.wave >= len(policy.waves):
        raise Invalid("wave", f"{entry.wave} is not in the plan", f"0 to {len(policy.waves) - 1}")
    if len(entry.increments) != len(policy.metrics):
        raise Invalid(
            "increments", f"{len(entry.increments)} for {len(policy.metrics)} metrics", "one for each metric, in order"
        )
    for metric, increment in zip(policy.metrics, entry.increments, strict=True):
        cohorts = len(increment.candidate_requests)
        if cohorts != policy.cohorts:
            raise Invalid("increments", f"{metric.name} has {cohorts} cohorts", f"{policy.cohorts}, as the policy says")
    if state.read_at is not None and entry.at <= state.read_at:
        raise Invalid("at", f"{entry.at} is not after the read at {state.read_at}", "reads in order, each once")
