"""Users with a first bad outcome in this wave: each counts once, so nothing comes in clumps and the test is exact.

Without requests there is no denominator but the plan's own shares: among users who fail for the first time, those of
the candidate must not exceed its share of the users. Each wave is a test of its own with an equal part of alpha, since
the same users fail again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from wavegate_controller.domain.guardrail import eprocess, restarts
from wavegate_controller.domain.guardrail.eprocess import EFFECTS, RATIOS, Block
from wavegate_controller.domain.guardrail.log import Increment
from wavegate_controller.domain.guardrail.policy import GuardrailMetric, GuardrailWave
from wavegate_controller.domain.guardrail.reading import Reading, Totals, Turn
from wavegate_controller.domain.guardrail.restarts import Restart

_AT_WAVE_START: Final = 0.8
_SLOTS: Final = 0.2
_NO_EFFECTS: Final = (0.0,) * len(EFFECTS)
_NO_RATIOS: Final = (0.0,) * len(RATIOS)


@dataclass(frozen=True, kw_only=True, slots=True)
class UsersState:
    """All that decisions need of the log so far.

    Attributes:
        sums: log-evidence for a regression, for each effect, since the wave began.
        starts: where the process began and began again in this wave.
        budget: this wave's part of alpha; nothing when users of this wave were counted before.
        early: log-evidence for "not worse than the early margin", for each ratio.
        final: as above for the final margin; empty where this is not the last gate.
        candidate: users with a first bad outcome in this wave.
        stable: users with a first bad outcome in this wave.
        past: counts of the waves before.
    """

    sums: tuple[float, ...] = _NO_EFFECTS
    starts: tuple[Restart, ...] = ()
    budget: float = 0.0
    early: tuple[float, ...] = _NO_RATIOS
    final: tuple[float, ...] = ()
    candidate: int = 0
    stable: int = 0
    past: Totals = field(default_factory=Totals)

    def advance(self, metric: GuardrailMetric, turn: Turn, increment: Increment) -> "UsersState":
        """With one read."""
        state = self._new_wave(turn) if turn.begins else self
        candidate, stable = sum(increment.candidate_amount), sum(increment.stable_amount)
        counts = replace(state, candidate=state.candidate + candidate, stable=state.stable + stable)
        if not turn.wave.has_control:
            return counts
        block = Block(turn.wave.share, candidate, 1 - turn.wave.share, stable)
        weight = state.budget * (
            (_AT_WAVE_START if not state.starts else 0.0)
            + restarts.slots_weight(turn.slots_done, turn.slots_due, budget=_SLOTS)
        )
        return replace(
            counts,
            starts=restarts.place(state.starts, weight, state.sums),
            sums=eprocess.add(state.sums, eprocess.regression(block, margin=metric.margin, absolute=0.0)),
            early=_gate(state.early, block, metric.early_margin(turn.wave.share)),
            final=_gate(state.final or _NO_RATIOS, block, metric.final_margin) if turn.last_gate else (),
        )

    def read(self, metric: GuardrailMetric, *, wave: GuardrailWave, last_gate: bool) -> Reading:
        """What the counts say now."""
        del metric, wave  # the margins are in the sums already
        in_wave = Totals(candidate_amount=self.candidate, stable_amount=self.stable)
        return Reading(
            regression=restarts.evidence(self.starts, self.sums, design_effect=1.0),
            early=eprocess.mean_of_ratios(self.early, design_effect=1.0),
            final=eprocess.mean_of_ratios(self.final or _NO_RATIOS, design_effect=1.0) if last_gate else None,
            ceiling=None,
            design_effect=1.0,
            live_cohorts=None,
            in_wave=in_wave,
            in_all=self.past + in_wave,
        )

    def _new_wave(self, turn: Turn) -> "UsersState":
        final = _NO_RATIOS if turn.last_gate else ()
        if turn.continues:
            return replace(self, early=_NO_RATIOS, final=final)
        return UsersState(
            budget=1 / turn.compared_waves if turn.fresh and turn.compared_waves else 0.0,
            past=self.past + Totals(candidate_amount=self.candidate, stable_amount=self.stable),
            final=final,
        )


def _gate(logs: Sequence[float], block: Block, margin: float) -> tuple[float, ...]:
    return eprocess.add(logs, eprocess.not_worse(block, margin=margin, absolute=0.0))
