"""What the next wave will cost, going by this one: requests, and what they add beside stable, an hour."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain.gates import ErrorRateGate, ValueGate
from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.verdict import Verdict

_HOUR: Final = timedelta(hours=1)
#: Of a normal distribution, for an interval of 95 %.
_TWO_SIDED: Final = 1.96
#: Design effects from here on say that nothing is known of the variance.
_UNKNOWN: Final = 1e8


@dataclass(frozen=True, kw_only=True, slots=True)
class Extra:
    """What one gate counts more of, an hour, than if stable served the same requests.

    Attributes:
        gate: its name.
        what: it counts.
        now: more in this wave.
        next: more in the next.
        low: end of a 95 % interval of `next`; None where its variance is not known.
        high: as above.
        budget: the plan's; None without one.
    """

    gate: str
    what: str
    now: float
    next: float
    low: float | None
    high: float | None
    budget: float | None

    @property
    def over(self) -> bool:
        """Whether the next wave may take more than its budget."""
        return self.budget is not None and (self.next if self.high is None else self.high) > self.budget


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """The next wave, an hour of it.

    Attributes:
        percent: of the users that get the candidate then.
        requests: that the candidate serves now.
        next_requests: that it serves then.
    """

    percent: float
    requests: float
    next_requests: float
    extras: tuple[Extra, ...]

    @property
    def over(self) -> str:
        """What would go over its budget, as a sentence; empty when nothing."""
        return "; ".join(_told(each) for each in self.extras if each.over)


def forecast(rollout: Rollout, figures: Mapping[str, Mapping[str, float]], *, now: datetime) -> Forecast | None:
    """The wave that follows, at the traffic of this one; None where none follows or nothing was counted.

    Args:
        rollout: in a wave.
        figures: gate to the figures of its verdict, as they were kept with the decision.
        now: until when they were counted.
    """
    wave, since = rollout.current_wave, rollout.wave_since
    if wave is None or since is None or rollout.is_last_wave or now <= since:
        return None
    following = rollout.plan.waves[(rollout.wave or 0) + 1]
    hours = (now - since) / _HOUR
    share = following.weight * (FULL_WEIGHT - rollout.plan.hold_out) / FULL_WEIGHT**2
    counted = [
        (gate, mine)
        for gate in rollout.plan.compared
        if (mine := figures.get(gate.name)) and mine.get("candidate_requests") and mine.get("stable_requests")
    ]
    if not counted:
        return None
    _, first = counted[0]
    requests = first["candidate_requests"] / hours
    next_requests = (first["candidate_requests"] + first["stable_requests"]) / hours * share
    return Forecast(
        percent=percent(following.weight),
        requests=requests,
        next_requests=next_requests,
        extras=tuple(_extra(gate, mine, requests, next_requests, rollout.plan.budget) for gate, mine in counted),
    )


def over_budget(rollout: Rollout, verdicts: Sequence[Verdict], *, now: datetime) -> str:
    """What the next wave may take more of than the plan's budget, as a sentence; empty when nothing."""
    if not rollout.plan.budget:
        return ""
    expected = forecast(rollout, {each.gate: each.figures for each in verdicts}, now=now)
    return expected.over if expected else ""


def _extra(
    gate: ErrorRateGate | ValueGate,
    figures: Mapping[str, float],
    requests: float,
    next_requests: float,
    budgets: Mapping[str, float],
) -> Extra:
    n_t, n_c = figures["candidate_requests"], figures["stable_requests"]
    low = high = None
    if isinstance(gate, ErrorRateGate):
        x_t, x_c, what = figures.get("candidate_bad", 0.0), figures.get("stable_bad", 0.0), "bad outcomes"
        clumps = figures.get("design_effect", 1.0)
        if clumps < _UNKNOWN:
            # One more of each, so that a rate of 0 is not taken for certain.
            wide = _TWO_SIDED * math.sqrt(clumps * ((x_t + 1) / n_t**2 + (x_c + 1) / n_c**2))
            low, high = (next_requests * (x_t / n_t - x_c / n_c + each) for each in (-wide, wide))
    else:
        x_t, x_c, what = figures.get("candidate_sum", 0.0), figures.get("stable_sum", 0.0), gate.value.value
    more = x_t / n_t - x_c / n_c
    return Extra(
        gate=gate.name,
        what=what,
        now=requests * more,
        next=next_requests * more,
        low=low,
        high=high,
        budget=budgets.get(gate.name),
    )


def _told(extra: Extra) -> str:
    most = f", up to {extra.high:,.4g}" if extra.high is not None else ""
    return f"{extra.gate}: {extra.next:,.4g} more {extra.what} an hour{most}, the budget is {extra.budget:,.4g}"
