"""A rollout plan: the waves, and the gates that each wave must pass. Valid, or not constructed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

from wavegate.evaluation import COHORTS, FULL_WEIGHT
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.findings import Allowance, check_allowances
from wavegate_controller.domain.freeze import FreezeWindow
from wavegate_controller.domain.gates import (
    ComparedGate,
    ErrorRateGate,
    Gate,
    Operator,
    SilencePolicy,
    ThresholdGate,
    ValueGate,
)
from wavegate_controller.domain.guardrail import GuardrailPolicy, GuardrailWave
from wavegate_controller.domain.promql import PLACEHOLDERS, fill_in

__all__ = [
    "DEFAULT_GATES",
    "DEFAULT_WAVES",
    "PLACEHOLDERS",
    "Approval",
    "ErrorRateGate",
    "Gate",
    "GuardrailSettings",
    "OnBreach",
    "OnInconclusive",
    "OnRedCheck",
    "OnTimeLimit",
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


class OnInconclusive(StrEnum):
    """What becomes of a last gate that its maximum time has not opened."""

    #: Held for a human, who sees the numbers.
    ASK = "ask"
    #: Opened all the same.
    ADVANCE = "advance"
    #: Everybody back to the stable variant.
    ROLL_BACK = "roll_back"


class OnTimeLimit(StrEnum):
    """What becomes of a wave that lasts longer than its time limit."""

    #: Held for a human, who is told.
    ASK = "ask"
    #: Paused until a human resumes.
    PAUSE = "pause"
    #: Everybody back to the stable variant.
    ROLL_BACK = "roll_back"


class OnRedCheck(StrEnum):
    """What a check of production readiness does that has turned red since the feature came to scale."""

    #: It is shown, and the waves go on.
    SHOW = "show"
    #: No wave is left upwards by itself before it is green again, or a human promotes.
    HOLD = "hold"


#: More approvers than that for one wave is nobody's rule, but somebody's typing.
_MOST_APPROVERS: Final = 20
#: Times of a wave, as so many times its least one: 15 min, 60 min, 3 h, 24 h.
_TARGET: Final = 4
_SUSPICION_LIMIT: Final = 12
_MAXIMUM: Final = 96


@dataclass(frozen=True, kw_only=True, slots=True)
class Wave:
    """One step of exposure.

    Attributes:
        weight: share of the users that get the candidate variant, in 1/100,000.
        bake: least time in this wave before it may be left upwards.
        approval: whether a human must open the next wave.
        approvers: how many must approve, each once, the rollout's author not among them.
        time_limit: longest time in this wave; None for no limit. What happens then is `on_time_limit`.
        on_time_limit: hold for a human, pause, or roll back.
        target: time after which gates that compare pass without evidence of harm; None for 4 times the bake.
        suspicion_limit: time after which suspicion alone no longer holds; None for 12 times the bake.
        maximum: time after which a last gate that stays shut is inconclusive; None for 96 times the bake.
    """

    weight: int
    bake: timedelta
    approval: Approval = Approval.AUTO
    target: timedelta | None = None
    suspicion_limit: timedelta | None = None
    maximum: timedelta | None = None
    approvers: int = 1
    time_limit: timedelta | None = None
    on_time_limit: OnTimeLimit = OnTimeLimit.ASK

    def __post_init__(self) -> None:
        if not 0 < self.weight <= FULL_WEIGHT:
            raise Invalid("percent", f"{percent(self.weight):g} is out of range", "more than 0 and at most 100")
        if self.bake <= timedelta(0):
            raise Invalid("bake", f"{self.bake} is not a time to watch", "more than 0, such as 10m")
        self.gate(self.weight)  # checks itself
        self._check_approvers()
        if self.time_limit is not None and self.time_limit <= self.bake:
            raise Invalid("time_limit", f"{self.time_limit} is over before the bake", f"more than {self.bake}")
        if self.time_limit is None and self.on_time_limit is not OnTimeLimit.ASK:
            raise Invalid("on_time_limit", f"is {self.on_time_limit}, but there is no limit", "a time_limit too")

    def _check_approvers(self) -> None:
        if not 1 <= self.approvers <= _MOST_APPROVERS:
            raise Invalid("approvers", f"{self.approvers} is out of range", f"from 1 to {_MOST_APPROVERS}")
        if self.approvers > 1 and self.approval is Approval.AUTO:
            raise Invalid("approvers", f"is {self.approvers}, but approval is auto", "approval: manual beside it")

    def gate(self, share: int) -> GuardrailWave:
        """This wave in the comparison, in which so many of all users get the candidate."""
        target = self.target or _TARGET * self.bake
        suspicion_limit = self.suspicion_limit or max(_SUSPICION_LIMIT * self.bake, target)
        return GuardrailWave(
            weight=share,
            bake=self.bake,
            target=target,
            suspicion_limit=suspicion_limit,
            maximum=self.maximum or max(_MAXIMUM * self.bake, suspicion_limit),
        )


DEFAULT_WAVES: Final = tuple(
    Wave(weight=share * FULL_WEIGHT // 100, bake=timedelta(minutes=15)) for share in (10, 25, 50, 100)
)
#: Errors and latency, for whoever says nothing. Slow requests are counted against the app's own `slow_after`; the
#: ceiling is high, since how many of them are normal is the app's choice, too.
DEFAULT_GATES: Final[tuple[Gate, ...]] = (
    ErrorRateGate(),
    ErrorRateGate(name="latency", kinds=("slow",), ceiling=0.5),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardrailSettings:
    """What all gates that compare share; see `guardrail.GuardrailPolicy`.

    Attributes:
        alpha: probability of a false breach by comparison over the whole rollout, all gates and looks together.
        beta: probability of opening a gate on "not worse" although the candidate sits on its margin.
        suspicion: evidence from which a wave is held although it is far from a breach.
        min_requests: what each arm needs in a wave before the wave may pass.
        stale_after: age of samples, or time without candidate requests, from which nothing passes; two looks at least.
        restart_every: distance of the possible starts of a late regression.
        cohorts: 16, as the SDK counts them, or 1 for counters without the label.
        sample_ratio: whether newly exposed users must be split as planned. They are counted once in each *process*,
            so it is right only where a user stays with one process.
        on_inconclusive: what becomes of a last gate that its maximum time has not opened.
    """

    alpha: float = 0.05
    beta: float = 0.05
    suspicion: float = 2.0
    min_requests: int = 50
    stale_after: timedelta = timedelta(minutes=5)
    restart_every: timedelta = timedelta(minutes=10)
    cohorts: int = COHORTS
    sample_ratio: bool = False
    on_inconclusive: OnInconclusive = OnInconclusive.ASK

    def __post_init__(self) -> None:
        if self.cohorts not in (1, COHORTS):
            raise Invalid("cohorts", f"{self.cohorts} is not what the SDK counts", f"{COHORTS}, or 1 for none")
        if self.stale_after <= timedelta(0):
            raise Invalid("stale_after", f"{self.stale_after} is not an age", "more than 0, such as 5m")
        self.policy(GuardrailPolicy(), tick=timedelta(0))  # checks itself

    def policy(self, rest: GuardrailPolicy, *, tick: timedelta) -> GuardrailPolicy:
        """The policy with these settings, for looks so far apart."""
        tick = tick or self.stale_after / 2
        return replace(
            rest,
            cohorts=self.cohorts,
            alpha=self.alpha,
            beta=self.beta,
            suspicion=self.suspicion,
            min_requests=self.min_requests,
            restart_every=self.restart_every,
            stale_after=max(self.stale_after, 2 * tick),
            tick=tick,
        )


_GUARDRAIL: Final = GuardrailSettings()


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a rollout will do, fixed at its start: judging by rules that change while one looks proves nothing.

    Attributes:
        waves: rising weights; the last need not be 100 %.
        gates: all must pass in each wave; at least one, since nothing advances on silence.
        on_breach: what a breach does.
        interval: time between two looks at the gates.
        guardrail: what all gates that compare share.
        on_no_data: for gates without one of their own.
        on_cannot_measure: for gates without one of their own.
        hold_out: share of the users that the candidate never reaches while the rollout lasts, in 1/100,000, so that
            there is somebody to compare with at 100 %, too.
        keep_hold_out: whether it stays when the rollout has completed, until another one starts.
        final_bake: how long it is watched on after its last wave, hold-out and all, before it is completed; None for
            not at all.
        freeze_windows: when nothing raises exposure, beside the windows of the environment.
        budget: gate that compares to how many more of what it counts, an hour, the next wave may take without a human's
            approval.
        objectives: gate that compares bad outcomes to the share of all requests that is to end well in the long run;
            the forecast says how fast the next wave uses up what that leaves.
        allowances: what lint may find in the gates, and why.
        dry_run: whether the reconciler only judges and records what it would have done; people move the rollout.
        on_red_check: whether a check of production readiness that has turned red holds the next wave.
    """

    waves: tuple[Wave, ...] = DEFAULT_WAVES
    gates: tuple[Gate, ...] = DEFAULT_GATES
    on_breach: OnBreach = OnBreach.ROLL_BACK
    interval: timedelta = timedelta(seconds=15)
    guardrail: GuardrailSettings = _GUARDRAIL
    on_no_data: SilencePolicy = _HOLD
    on_cannot_measure: SilencePolicy = _HOLD
    hold_out: int = 0
    keep_hold_out: bool = False
    final_bake: timedelta | None = None
    freeze_windows: tuple[FreezeWindow, ...] = ()
    budget: Mapping[str, float] = field(default_factory=dict)
    objectives: Mapping[str, float] = field(default_factory=dict)
    allowances: tuple[Allowance, ...] = ()
    dry_run: bool = False
    on_red_check: OnRedCheck = OnRedCheck.SHOW
    _policies: list[GuardrailPolicy | None] = field(default_factory=list, init=False, repr=False, compare=False)

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
        if self.final_bake is not None and self.final_bake <= timedelta(0):
            raise Invalid("final_bake", f"{self.final_bake} is not a time to watch", "more than 0, such as 1d")
        self._check_comparison()
        self._check_budget()
        self._check_dry_run()
        check_allowances(self.allowances, names)

    @property
    def compared(self) -> tuple[ComparedGate, ...]:
        """The gates that are judged together, in the order in which the log of evidence has them."""
        return tuple(gate for gate in self.gates if isinstance(gate, ComparedGate))

    @property
    def policy(self) -> GuardrailPolicy | None:
        """The comparison that these gates ask for together; None where none of them compares."""
        if not self._policies:  # asked for several times at each look
            self._policies.append(self._policy())
        return self._policies[0]

    def _policy(self) -> GuardrailPolicy | None:
        if not self.compared:
            return None
        waves: list[GuardrailWave] = []
        for wave in self.waves:
            share = wave.weight * (FULL_WEIGHT - self.hold_out) // FULL_WEIGHT
            # Waves that differ by less than a hundred-thousandth of the users must still rise.
            waves.append(wave.gate(max(share, waves[-1].weight + 1 if waves else 1)))
        metrics = tuple(gate.metric for gate in self.compared)
        return self.guardrail.policy(GuardrailPolicy(metrics=metrics, waves=tuple(waves)), tick=self.interval)

    def _check_budget(self) -> None:
        known = [gate.name for gate in self.compared]
        for name, most in self.budget.items():
            if name not in known:
                raise Invalid(f"budget.{name}", "is no gate that compares", f"one of {', '.join(known) or 'none'}")
            if not (math.isfinite(most) and most >= 0):
                raise Invalid(f"budget.{name}", f"{most} is no budget", "0 or more an hour")

        shares = [gate.name for gate in self.compared if isinstance(gate, ErrorRateGate)]
        for name, objective in self.objectives.items():
            if name not in shares:
                there = ", ".join(shares) or "none"
                raise Invalid(f"objectives.{name}", "is no gate that compares bad outcomes", f"one of {there}")
            if not 0 < objective < 1:
                raise Invalid(
                    f"objectives.{name}", f"{objective} is no share", "more than 0, less than 1, such as 0.999"
                )

    def _check_dry_run(self) -> None:
        for index, gate in enumerate(self.gates):
            if gate.dry_run and isinstance(gate, ComparedGate):
                raise Invalid(
                    f"gates[{index}].dry_run",
                    "is true, but gates that compare share their evidence",
                    "dry_run of the whole plan, or a gate that stands by itself",
                )
        if all(gate.dry_run for gate in self.gates):
            raise Invalid("gates", "are all in dry run, so nothing would open a wave", "dry_run of the plan instead")

    def _check_comparison(self) -> None:
        for index, gate in enumerate(self.gates):
            if isinstance(gate, ValueGate) and self.guardrail.cohorts == 1:
                raise Invalid(
                    f"gates[{index}].type", "value has no variance without cohorts", f"guardrail.cohorts {COHORTS}"
                )
        if self.compared and all(gate.rollback_only for gate in self.compared):
            raise Invalid(
                "gates", "compares, but lets no wave wait for it", "at least one such gate without rollback_only"
            )


def percent(weight: int) -> float:
    """A weight in 1/100,000 as people say it."""
    return weight * 100 / FULL_WEIGHT
