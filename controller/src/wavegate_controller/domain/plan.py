"""A rollout plan: the waves, and the gates that each wave must pass. Valid, or not constructed."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.flag import check_name

#: What a gate's query may refer to; everything else between braces is refused.
PLACEHOLDERS: Final = ("flag", "candidate", "stable", "wave", "window")
_PLACEHOLDER: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


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


class Operator(StrEnum):
    """How a threshold gate compares its value with its limit: the gate holds true while `value op limit`."""

    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="


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


@dataclass(frozen=True, kw_only=True, slots=True)
class ThresholdGate:
    """Any PromQL that gives one number, compared with a limit.

    A breach needs `failures` of the last `of` measurements over the limit, so one blip punishes nobody.

    Attributes:
        query: PromQL with `{{flag}} {{candidate}} {{stable}} {{wave}} {{window}}`; each is replaced by its value,
            escaped for a double-quoted PromQL string.
        operator: the gate holds true while `value operator limit`.
        warm_up: measurements of the first part of a wave that are ignored.
        window: what `{{window}}` stands for.
    """

    name: str
    query: str
    operator: Operator
    limit: float
    failures: int = 2
    of: int = 3
    warm_up: timedelta = timedelta(0)
    window: timedelta = timedelta(minutes=1)

    def __post_init__(self) -> None:
        check_name("name", self.name)
        if not self.query.strip():
            raise Invalid("query", "is empty", "a PromQL expression")
        for name in _PLACEHOLDER.findall(self.query):
            if name not in PLACEHOLDERS:
                raise Invalid(
                    "query",
                    f"{{{{{name}}}}} is not known",
                    "one of " + ", ".join(f"{{{{{p}}}}}" for p in PLACEHOLDERS),
                )
        if not math.isfinite(self.limit):
            raise Invalid("limit", f"{self.limit} is not finite", "a finite number")
        if not 1 <= self.failures <= self.of <= 100:  # noqa: PLR2004 - the evidence of 100 ticks is enough for anybody
            raise Invalid("failures", f"{self.failures} of {self.of} makes no sense", "1 <= failures <= of <= 100")
        if self.warm_up < timedelta(0):
            raise Invalid("warm_up", "is negative", "0 or more, such as 30s")
        if self.window <= timedelta(0):
            raise Invalid("window", f"{self.window} is not a range", "more than 0, such as 1m")


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorRateGate:
    """Bad outcomes of the candidate against those of the stable variant at the same time, on the SDK's counters.

    Attributes:
        kinds: which `kind` labels of `wavegate_bad_total` count as bad.
        alpha: probability of a false breach over the whole rollout; the breach limit of the evidence is 1/alpha.
        margin: relative harm that is tolerated (0.01: 1 % more errors than stable).
        absolute_margin: share of bad outcomes that is tolerated on top.
        min_requests: what each arm needs in a wave before the wave may pass.
        ceiling: share of bad outcomes that is a breach whatever stable does; the only guard at 100 %.
        stale_after: age of the newest sample from which there is not enough data.
    """

    name: str = "error-rate"
    kinds: tuple[str, ...] = ("error",)
    alpha: float = 0.05
    margin: float = 0.01
    absolute_margin: float = 0.0001
    min_requests: int = 50
    ceiling: float = 0.25
    stale_after: timedelta = timedelta(minutes=1)

    def __post_init__(self) -> None:
        check_name("name", self.name)
        if not self.kinds or len(set(self.kinds)) != len(self.kinds):
            raise Invalid(
                "kinds",
                f"{list(self.kinds)} is empty or repeats itself",
                "kinds of wavegate_bad_total, such as error",
            )
        if not 0 < self.alpha < 1:
            raise Invalid("alpha", f"{self.alpha} is not a probability", "more than 0 and less than 1")
        if not 0 <= self.margin < math.inf:
            raise Invalid("margin", f"{self.margin} is not a margin", "0 or more, such as 0.01 for 1 %")
        if not 0 <= self.absolute_margin < 1:
            raise Invalid("absolute_margin", f"{self.absolute_margin} is not a share", "0 or more and less than 1")
        if self.min_requests < 1:
            raise Invalid("min_requests", f"{self.min_requests} would pass on silence", "1 or more")
        if not 0 < self.ceiling < 1:
            raise Invalid("ceiling", f"{self.ceiling} is not a share", "more than 0 and less than 1")
        if self.stale_after <= timedelta(0):
            raise Invalid("stale_after", f"{self.stale_after} is not an age", "more than 0, such as 1m")


Gate = ThresholdGate | ErrorRateGate

DEFAULT_WAVES: Final = tuple(
    Wave(weight=share * FULL_WEIGHT // 100, bake=timedelta(hours=1)) for share in (10, 25, 50, 100)
)
DEFAULT_GATES: Final[tuple[Gate, ...]] = (ErrorRateGate(),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a rollout will do, fixed at its start: judging by rules that change while one looks proves nothing.

    Attributes:
        waves: rising weights; the last need not be 100 %.
        gates: all must pass in each wave; at least one, since nothing advances on silence.
        on_breach: what a breach does.
        interval: time between two looks at the gates.
    """

    waves: tuple[Wave, ...] = DEFAULT_WAVES
    gates: tuple[Gate, ...] = DEFAULT_GATES
    on_breach: OnBreach = OnBreach.ROLL_BACK
    interval: timedelta = field(default=timedelta(seconds=15))

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


def percent(weight: int) -> float:
    """A weight in 1/100,000 as people say it."""
    return weight * 100 / FULL_WEIGHT


def fill_in(query: str, values: Mapping[str, str]) -> str:
    """Replace each placeholder of a gate's query, escaped for a double-quoted PromQL string.

    Escapes are those of PromQL string literals (https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals).
    """
    return _PLACEHOLDER.sub(lambda match: _escape(values[match[1]]), query)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
