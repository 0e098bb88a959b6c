"""What a guardrail promises: metrics, margins, error rates and times, written into the rollout at its start."""

import math
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final, assert_never

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.flag import check_name

#: From this share on so little control is left that waiting for it costs several times the data:
#: the last gate stands before.
_CONTROL_FADES: Final = 90 * FULL_WEIGHT // 100
#: "Less than twice as bad" is the loosest thing that opens a small wave early.
_LOOSEST_EARLY_MARGIN: Final = 1.0
#: Of a SHARE: one more bad outcome in 10,000 requests is no regression; a gate tolerates five.
_ABSOLUTE_MARGIN: Final = 0.0001
_GATE_ABSOLUTE_MARGIN: Final = 0.0005


class MetricKind(StrEnum):
    """What a metric's numbers are, and so how they are compared."""

    #: Bad outcomes among requests, rare ones (up to about 10 %): errors, slow requests, thumbs down per request.
    SHARE = "share"
    #: A mean per request: cost, tokens, seconds, or a share above 10 %. Needs cohorts.
    MEAN = "mean"
    #: Users with a first bad outcome in this wave, each counted once. Exact whatever users do.
    USERS = "users"


def _check_number(
    field: str, value: float, *, expected: str, least: float = -math.inf, above: float = -math.inf
) -> None:
    if not (math.isfinite(value) and value >= least and value > above):
        raise Invalid(field, f"{value} is out of range", expected)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardrailMetric:
    """One metric of the comparison, candidate beside stable.

    Attributes:
        guardrail: a wave passes only when this metric allows it; otherwise it can only roll back.
        weight: of its evidence in the mean over the metrics, relative to the others.
        margin: harm relative to stable that is no regression (delta).
        absolute_margin: harm on top of it, as a share of the requests or, for a MEAN, in its own terms (dollars). It
            makes rare errors judgeable. None: 0.0001 for a SHARE, nothing for the others.
        early_harm: share of the users times margin that opens a gate early; the margin for a share s is
            `early_harm / s - early_harm`, the rest of the tolerance being absolute.
        final_margin: relative harm that the last gate rules out.
        gate_absolute_margin: absolute part of both gate margins. None: 0.0005 for a SHARE, nothing for the others.
        unit: what one step of a MEAN's counts is worth, such as 1e-6 where dollars are counted in millionths.
        ceiling: share of bad outcomes that rolls back whatever stable does; None watches for none. Only for SHARE.
    """

    name: str
    kind: MetricKind = MetricKind.SHARE
    guardrail: bool = True
    weight: float = 1.0
    margin: float = 0.01
    absolute_margin: float | None = None
    early_harm: float = 0.05
    final_margin: float = 0.20
    gate_absolute_margin: float | None = None
    unit: float = 1.0
    ceiling: float | None = 0.25

    def __post_init__(self) -> None:
        check_name("name", self.name)
        _check_number("weight", self.weight, above=0, expected="more than 0")
        _check_number("unit", self.unit, above=0, expected="more than 0, such as 1e-6")
        _check_number("margin", self.margin, least=0, expected="0 or more, such as 0.01 for 1 %")
        _check_number("early_harm", self.early_harm, least=0, expected="0 or more, such as 0.05")
        _check_number("final_margin", self.final_margin, least=0, expected="0 or more, such as 0.2 for 20 %")
        for name in ("absolute_margin", "gate_absolute_margin"):
            margin = getattr(self, name)
            if margin is None:
                continue
            if self.kind is MetricKind.USERS:
                raise Invalid(name, "has no meaning for users, who are counted without requests", "no such field")
            _check_number(name, margin, least=0, expected="0 or more, such as 0.0005")
            if self.kind is MetricKind.SHARE and margin >= 1:
                raise Invalid(name, f"{margin} is not a share", "less than 1, such as 0.0005")
        if self.ceiling is not None and not 0 < self.ceiling < 1:
            raise Invalid("ceiling", f"{self.ceiling} is not a share", "more than 0 and less than 1, or none")

    @property
    def absolute(self) -> float:
        """The absolute margin of the rollback, in steps of the counts."""
        return self._steps(self.absolute_margin, _ABSOLUTE_MARGIN)

    @property
    def gate_absolute(self) -> float:
        """The absolute margin of the gates, in steps of the counts."""
        return self._steps(self.gate_absolute_margin, _GATE_ABSOLUTE_MARGIN)

    def _steps(self, margin: float | None, default: float) -> float:
        match self.kind:
            case MetricKind.SHARE:
                return default if margin is None else margin
            case MetricKind.MEAN:
                return (margin or 0.0) / self.unit
            case MetricKind.USERS:
                return 0.0
            case _:
                assert_never(self.kind)

    def early_margin(self, share: float) -> float:
        """Relative harm to rule out before a gate opens early: the more users, the less."""
        return min(max(self.early_harm / share - self.early_harm, 0.0), _LOOSEST_EARLY_MARGIN)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardrailWave:
    """When the gate of one wave may open.

    Attributes:
        weight: share of the users that get the candidate, hold-out subtracted, in 1/100,000.
        bake: least time before it opens, however good the evidence.
        target: time after which it opens without evidence of harm; at the last gate it still needs evidence of none.
        suspicion_limit: time after which suspicion alone no longer keeps it shut.
        maximum: time after which a last gate that stays shut asks a human.
    """

    weight: int
    bake: timedelta = timedelta(minutes=15)
    target: timedelta = timedelta(minutes=60)
    suspicion_limit: timedelta = timedelta(minutes=180)
    maximum: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        if not 0 < self.weight <= FULL_WEIGHT:
            raise Invalid("weight", f"{self.weight} is out of range", f"more than 0 and at most {FULL_WEIGHT}")
        times = {
            "bake": self.bake,
            "target": self.target,
            "suspicion_limit": self.suspicion_limit,
            "maximum": self.maximum,
        }
        before, least = "", timedelta(0)
        for field, value in times.items():
            if value < least or value <= timedelta(0):
                raise Invalid(
                    field, f"{value} is too short", f"{before} ({least}) or longer" if before else "more than 0"
                )
            before, least = field, value

    @property
    def share(self) -> float:
        """Of the users that get the candidate."""
        return self.weight / FULL_WEIGHT

    @property
    def has_control(self) -> bool:
        """Whether anybody is left to compare with."""
        return self.weight < FULL_WEIGHT


DEFAULT_METRICS: Final = (GuardrailMetric(name="errors"),)
DEFAULT_WAVES: Final = tuple(GuardrailWave(weight=percent * FULL_WEIGHT // 100) for percent in (10, 25, 50, 100))


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardrailPolicy:
    """The whole rule. The guarantee is for the rule that runs, so it never changes while a rollout does.

    Attributes:
        metrics: in the order in which the log has them.
        waves: in the order in which the log numbers them.
        cohorts: into how many cohorts the SDK splits each arm; 1 when the counters carry no cohort, which leaves
            only the burst estimate, blind to users that differ.
        alpha: probability of a false rollback by comparison: whole rollout, all metrics, all looks.
        beta: probability of opening a gate on "not worse" although the candidate sits on the margin.
        suspicion: evidence from which a gate does not open although it is far from a rollback.
        min_requests: what each arm of a guardrail metric needs in a wave before it passes: silence does not advance.
        restart_every: distance of the possible starts of a late regression.
        stale_after: time without a read, or without candidate requests, from which nothing passes.
        settle: first part of a wave in which exposures do not count, as the new share is still on its way.
        tick: intended time between two reads. The guarantee does not depend on it.
    """

    metrics: tuple[GuardrailMetric, ...] = DEFAULT_METRICS
    waves: tuple[GuardrailWave, ...] = DEFAULT_WAVES
    cohorts: int = 16
    alpha: float = 0.05
    beta: float = 0.05
    suspicion: float = 2.0
    min_requests: int = 50
    restart_every: timedelta = timedelta(minutes=10)
    stale_after: timedelta = timedelta(minutes=5)
    settle: timedelta = timedelta(minutes=2)
    tick: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        self._check_waves()
        self._check_metrics()
        for name in ("alpha", "beta"):
            if not 0 < getattr(self, name) < 1:
                raise Invalid(name, f"{getattr(self, name)} is not a probability", "more than 0 and less than 1")
        if not 1 <= self.suspicion < 1 / self.alpha:
            raise Invalid("suspicion", f"{self.suspicion} is out of range", f"1 or more and below {1 / self.alpha:g}")
        if self.min_requests < 1:
            raise Invalid("min_requests", f"{self.min_requests} would pass on silence", "1 or more")
        for name in ("restart_every", "stale_after", "tick"):
            if getattr(self, name) <= timedelta(0):
                raise Invalid(name, f"{getattr(self, name)} is too short", "more than 0")
        if self.stale_after < 2 * self.tick:
            raise Invalid("stale_after", f"{self.stale_after} is less than two ticks", f"{2 * self.tick} or longer")
        if self.settle < timedelta(0):
            raise Invalid("settle", "is negative", "0 or more, such as 2m")

    def _check_waves(self) -> None:
        if not self.waves:
            raise Invalid("waves", "is empty", "at least one wave, such as 10, 25, 50 and 100 percent")
        for index, (wave, following) in enumerate(pairwise(self.waves), start=1):
            if following.weight <= wave.weight:
                raise Invalid(
                    f"waves[{index}].weight",
                    f"{following.weight} does not rise above {wave.weight}",
                    "waves in rising order",
                )

    def _check_metrics(self) -> None:
        names = [metric.name for metric in self.metrics]
        for index, metric in enumerate(self.metrics):
            if metric.name in names[:index]:
                raise Invalid(f"metrics[{index}].name", f"{metric.name!r} is used twice", "a name of its own for each")
            if metric.kind is MetricKind.MEAN and self.cohorts == 1:
                raise Invalid(
                    f"metrics[{index}].kind", "mean has no variance without cohorts", "share, or 16 or more cohorts"
                )
        if not any(metric.guardrail for metric in self.metrics):
            raise Invalid("metrics", "has no guardrail", "at least one metric that a wave must pass")
        if self.cohorts != 1 and not 8 <= self.cohorts <= 64:  # noqa: PLR2004 - see the message
            raise Invalid("cohorts", f"{self.cohorts} gives no variance estimate", "8 to 64, or 1 for none")

    @property
    def compared_waves(self) -> int:
        """How many waves have a control; the budget of late starts is shared among them."""
        return sum(wave.has_control for wave in self.waves)

    def is_last_gate(self, index: int) -> bool:
        """Whether this wave's gate is the last one before the control disappears: it opens only on evidence of no harm.

        That is the first wave whose successor leaves less than a tenth of the users as control; where no wave goes
        that far, it is the gate that completes the rollout.
        """
        last = next(
            (each for each, after in enumerate(self.waves[1:]) if after.weight > _CONTROL_FADES), len(self.waves) - 1
        )
        return index == last and self.waves[index].has_control
