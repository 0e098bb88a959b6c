"""Rare bad outcomes among requests: the state of one such metric, folded read by read."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from wavegate_controller.domain.guardrail import eprocess, restarts
from wavegate_controller.domain.guardrail.design_effect import Arm, BurstSpread, CohortSpread
from wavegate_controller.domain.guardrail.eprocess import EFFECTS, RATIOS, Block
from wavegate_controller.domain.guardrail.log import Increment
from wavegate_controller.domain.guardrail.policy import GuardrailMetric, GuardrailWave
from wavegate_controller.domain.guardrail.reading import Reading, Totals, Turn
from wavegate_controller.domain.guardrail.restarts import Restart

#: A block is closed once both arms have so many requests: that depends on arrivals only, never on outcomes.
BLOCK_REQUESTS = 5

_NO_EFFECTS = (0.0,) * len(EFFECTS)
_NO_RATIOS = (0.0,) * len(RATIOS)
_EMPTY = Block(0, 0, 0, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShareState:
    """All that decisions need of the log so far.

    Attributes:
        sums: log-evidence for a regression, for each effect, since the rollout began.
        starts: where the process began and began again.
        early: log-evidence for "not worse than the early margin", for each ratio, since the wave began.
        final: as above for the final margin; empty where this is not the last gate.
        ceiling: values of the detector for rates above the ceiling, for each effect.
        opened: counts that wait for their block to close.
        bursts: estimate of the design effect without cohorts.
        cohorts: residuals of past waves.
        candidate: counts of this wave.
        stable: counts of this wave.
        past: counts of each past wave, as one block.
    """

    candidate: Arm
    stable: Arm
    cohorts: CohortSpread
    sums: tuple[float, ...] = _NO_EFFECTS
    starts: tuple[Restart, ...] = ()
    early: tuple[float, ...] = _NO_RATIOS
    final: tuple[float, ...] = ()
    ceiling: tuple[float, ...] = _NO_EFFECTS
    opened: Block = _EMPTY
    bursts: BurstSpread = field(default_factory=BurstSpread)
    past: tuple[Block, ...] = ()

    @classmethod
    def empty(cls, cohorts: int) -> "ShareState":
        """Before the first read."""
        none = Arm.empty(cohorts)
        return cls(candidate=none, stable=none, cohorts=CohortSpread.empty(cohorts))

    def advance(self, metric: GuardrailMetric, turn: Turn, increment: Increment) -> "ShareState":
        """With one read."""
        state = self._new_wave(turn) if turn.begins else self
        candidate = state.candidate.plus(increment.candidate_requests, increment.candidate_amount)
        stable = state.stable.plus(increment.stable_requests, increment.stable_amount)
        counted = _block(
            Arm(requests=increment.candidate_requests, amount=increment.candidate_amount),
            Arm(requests=increment.stable_requests, amount=increment.stable_amount),
        )
        ceiling = state.ceiling
        if metric.ceiling is not None:
            ceiling = eprocess.above_ceiling(
                ceiling, requests=counted.candidate, bad=counted.candidate_bad, ceiling=metric.ceiling
            )
        if not turn.wave.has_control:
            return replace(state, candidate=candidate, stable=stable, ceiling=ceiling)
        opened = Block(
            candidate=state.opened.candidate + counted.candidate,
            candidate_bad=state.opened.candidate_bad + counted.candidate_bad,
            stable=state.opened.stable + counted.stable,
            stable_bad=state.opened.stable_bad + counted.stable_bad,
        )
        closes = min(opened.candidate, opened.stable) >= BLOCK_REQUESTS
        starts = restarts.place(state.starts, _weight(turn), state.sums)
        if not closes:
            return replace(state, candidate=candidate, stable=stable, ceiling=ceiling, starts=starts, opened=opened)
        return ShareState(
            candidate=candidate,
            stable=stable,
            cohorts=state.cohorts,
            sums=eprocess.add(state.sums, eprocess.regression(opened, margin=metric.margin, absolute=metric.absolute)),
            starts=starts,
            early=_gate(state.early, opened, metric, metric.early_margin(turn.wave.share)),
            final=_gate(state.final or _NO_RATIOS, opened, metric, metric.final_margin) if turn.last_gate else (),
            ceiling=ceiling,
            opened=_EMPTY,
            bursts=state.bursts.plus(opened),
            past=state.past,
        )

    def read(self, metric: GuardrailMetric, *, wave: GuardrailWave, last_gate: bool) -> Reading:
        """What the counts say now."""
        del wave  # its margin is in the sums already
        spread = self.cohorts.plus(self.candidate, self.stable) if len(self.candidate.requests) > 1 else None
        design_effect = spread.design_effect if spread else self.bursts.design_effect
        in_wave = _totals(_block(self.candidate, self.stable))
        return Reading(
            regression=restarts.evidence(self.starts, self.sums, design_effect=design_effect),
            early=eprocess.mean_of_ratios(self.early, design_effect=design_effect),
            final=eprocess.mean_of_ratios(self.final or _NO_RATIOS, design_effect=design_effect) if last_gate else None,
            ceiling=None if metric.ceiling is None else eprocess.mean_of_effects(self.ceiling),
            design_effect=design_effect,
            live_cohorts=spread.live if spread else None,
            in_wave=in_wave,
            in_all=sum(map(_totals, self.past), in_wave),
        )

    def blocks(self) -> tuple[Block, ...]:
        """The counts of each wave so far, as one block each."""
        return (*self.past, _block(self.candidate, self.stable))

    def _new_wave(self, turn: Turn) -> "ShareState":
        """The open block is dropped: it is too small to close, and it must not mix two shares."""
        none = Arm.empty(len(self.candidate.requests))
        counted = any(self.candidate.requests) or any(self.stable.requests)
        return replace(
            self,
            candidate=none,
            stable=none,
            cohorts=self.cohorts.plus(self.candidate, self.stable),
            early=_NO_RATIOS,
            final=_NO_RATIOS if turn.last_gate else (),
            opened=_EMPTY,
            bursts=self.bursts.new_wave(),
            past=self.blocks() if counted else self.past,
        )


def _weight(turn: Turn) -> float:
    """The slice of the budget that falls due at this read."""
    budget = restarts.slot_budget(turn.compared_waves)
    begins = turn.begins and turn.fresh
    return (restarts.wave_weight(first=turn.first, waves=turn.compared_waves) if begins else 0.0) + (
        restarts.slots_weight(turn.slots_done, turn.slots_due, budget=budget)
    )


def _gate(logs: Sequence[float], block: Block, metric: GuardrailMetric, margin: float) -> tuple[float, ...]:
    return eprocess.add(logs, eprocess.not_worse(block, margin=margin, absolute=metric.gate_absolute))


def _block(candidate: Arm, stable: Arm) -> Block:
    return Block(sum(candidate.requests), sum(candidate.amount), sum(stable.requests), sum(stable.amount))


def _totals(block: Block) -> Totals:
    return Totals(
        candidate_requests=int(block.candidate),
        candidate_amount=int(block.candidate_bad),
        stable_requests=int(block.stable),
        stable_amount=int(block.stable_bad),
    )
