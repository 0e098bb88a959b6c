"""What a metric's state is told at each read, and what it answers: the shape that all kinds of metrics share."""

from dataclasses import dataclass

from wavegate_controller.domain.guardrail.policy import GuardrailWave


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One read, seen from the rollout.

    Attributes:
        wave: that was served.
        compared_waves: how many waves of the plan have a control.
        last_gate: whether this wave's gate is the last one.
        begins: the first read of this wave, or of its continuation after a pause.
        first: no wave with a control came before.
        fresh: this wave was never served before.
        continues: the same wave as at the read before, after a pause.
        slots_done: restarts of this wave that were placed already.
        slots_due: restarts of this wave that should have been placed by now.
    """

    wave: GuardrailWave
    compared_waves: int
    last_gate: bool
    begins: bool
    first: bool
    fresh: bool
    continues: bool
    slots_done: int
    slots_due: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Requests and amounts of both arms: bad outcomes, or the sum of values in the metric's unit."""

    candidate_requests: int = 0
    candidate_amount: int = 0
    stable_requests: int = 0
    stable_amount: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            candidate_requests=self.candidate_requests + other.candidate_requests,
            candidate_amount=self.candidate_amount + other.candidate_amount,
            stable_requests=self.stable_requests + other.stable_requests,
            stable_amount=self.stable_amount + other.stable_amount,
        )

    @property
    def candidate_rate(self) -> float | None:
        """Amount per request; None without requests."""
        return self.candidate_amount / self.candidate_requests if self.candidate_requests else None

    @property
    def stable_rate(self) -> float | None:
        """Amount per request; None without requests."""
        return self.stable_amount / self.stable_requests if self.stable_requests else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What one metric says now.

    Attributes:
        regression: evidence that the candidate is worse by more than the margin (E).
        early: evidence that it is not worse by the early margin of this wave (E_m).
        final: as above for the final margin; None where this is not the last gate.
        ceiling: evidence that its share of bad outcomes is above the ceiling; None without one.
        design_effect: by which log-evidence was divided; None where the variance is estimated directly.
        live_cohorts: in the arm with fewer of them; None without cohorts.
        in_wave: counts since the wave began.
        in_all: counts since the rollout began.
        standard_error: of the difference of both means in this wave, in the steps of the amounts; None where nothing
            is known of it, or the design effect says it.
    """

    regression: float
    early: float
    final: float | None
    ceiling: float | None
    design_effect: float | None
    live_cohorts: int | None
    in_wave: Totals
    in_all: Totals
    standard_error: float | None = None
