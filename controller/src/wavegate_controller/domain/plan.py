"""A rollout plan: the waves, and the gates that each wave must pass. Valid, or not constructed."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.gates import (
    ErrorRateGate,
    Gate,
    Operator,
    SilencePolicy,
    ThresholdGate,
)
from wavegate_controller.domain.promql import PLACEHOLDERS, fill_in

__all__ = [
    "DEFAULT_GATES",
    "DEFAULT_WAVES",
    "PLACEHOLDERS",
    "Approval",
    "ErrorRateGate",
    "Gate",
    "OnBreach",
    "Operator",
    "Plan",
    "ThresholdGate",
    "Wave",
    "fill_in",
    "percent",
]

#: With more of the users held out there is little left to roll out to.
_MOST_HELD_OUT: Final = FULL_WEIGHT // 2
_HOLD: Final = SilencePolicy()


class Approval(StrEnum):
    """Who opens the next wave once the gates pass."""

    #: The reconciler advances by itself.
    AUTO = "auto"
    #: The rollout waits in `awaiting_approval` for a named human.
    MANUAL = "manual"


class OnBreach(StrEnum):
    """What the reconciler does when a gate is breached."""

    #: Weight 0 at once, state `rolled_back`.
    ROLL_BACK = "roll_back"
    #: One wave back, then paused until a human resumes.
    STEP_BACK = "step_back"
    #: Stay at this weight, paused until a human decides.
    PAUSE = "pause"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wave:
    """One step of exposure.

    Attributes:
        weight: share of the users that get the candidate variant, in 1/100,000.
        bake: least time in this wave before it may be left upwards.
        approval: whether a human must open the next wave.
    """

    weight: int
    bake: timedelta
    approval: Approval = Approval.AUTO

    def __post_init__(self) -> None:
        if not 0 < self.weight <= FULL_WEIGHT:
            raise Invalid("percent", f"{percent(self.weight):g} is out of range", "more than 0 and at most 100")
        if self.bake <= timedelta(0):
            raise Invalid("bake", f"{self.bake} is not a time to watch", "more than 0, such as 10m")


DEFAULT_WAVES: Final = tuple(
    Wave(weight=share * FULL_WEIGHT // 100, bake=timedelta(hours=1)) for share in (10, 25, 50, 100)
)
#: Errors and latency, for whoever says nothing. Slow requests are counted against the app's own `slow_after`; the
#: ceiling is high, since how many of them are normal is the app's choice, too.
DEFAULT_GATES: Final[tuple[Gate, ...]] = (
    ErrorRateGate(),
    ErrorRateGate(name="latency", kinds=("slow",), ceiling=0.5),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a rollout will do, fixed at its start: judging by rules that change while one looks proves nothing.

    Attributes:
        waves: rising weights; the last need not be 100 %.
        gates: all must pass in each wave; at least one, since nothing advances on silence.
        on_breach: what a breach does.
        interval: time between two looks at the gates.
        on_no_data: for gates without one of their own.
        on_cannot_measure: for gates without one of their own.
        hold_out: share of the users that the candidate never reaches while the rollout lasts, in 1/100,000, so that
            there is somebody to compare with at 100 %, too.
        keep_hold_out: whether it stays when the rollout has completed, until another one starts.
    """

    waves: tuple[Wave, ...] = DEFAULT_WAVES
    gates: tuple[Gate, ...] = DEFAULT_GATES
    on_breach: OnBreach = OnBreach.ROLL_BACK
    interval: timedelta = field(default=timedelta(seconds=15))
    on_no_data: SilencePolicy = _HOLD
    on_cannot_measure: SilencePolicy = _HOLD
    hold_out: int = 0
    keep_hold_out: bool = False

    def __post_init__(self) -> None:
        if not self.waves:
            raise Invalid("waves", "is empty", "at least one wave, such as 10, 25, 50 and 100 percent")
        for index, (wave, following) in enumerate(zip(self.waves, self.waves[1:], strict=False), start=1):
            if following.weight <= wave.weight:
                raise Invalid(
                    f"waves[{index}].percent",
                    f"{percent(following.weight):g} does not rise above {percent(wave.weight):g}",
                    "waves in rising order, such as 10, 25, 50, 100",
                )
        if not self.gates:
            raise Invalid(
                "gates",
                "is empty",
                "at least one gate (leave the field out for the default): no wave advances on silence",
            )
        names = [gate.name for gate in self.gates]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise Invalid(f"gates[{index}].name", f"{name!r} is used twice", "a name of its own for each gate")
        if self.interval < timedelta(seconds=1):
            raise Invalid("interval", f"{self.interval} is too often", "1s or more")
        if not 0 <= self.hold_out <= _MOST_HELD_OUT:
            raise Invalid("hold_out", f"{percent(self.hold_out):g} is out of range", "from 0 to 50 percent")
        if self.keep_hold_out and not self.hold_out:
            raise Invalid("keep_hold_out", "is true, but nobody is held out", "a hold_out, such as 5")


def percent(weight: int) -> float:
    """A weight in 1/100,000 as people say it."""
    return weight * 100 / FULL_WEIGHT
