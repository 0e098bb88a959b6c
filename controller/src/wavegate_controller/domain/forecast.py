"""What the next wave will cost, going by this one: requests, and what they add beside stable, an hour."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain.gates import ErrorRateGate, ValueGate
from wavegate_controller.domain.plan import Plan, percent
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.verdict import Verdict

_HOUR: Final = timedelta(hours=1)
#: Of a normal distribution, for an interval of 95 %.
_TWO_SIDED: Final = 1.96
#: Design effects from here on say that nothing is known of the variance.
_UNKNOWN: Final = 1e8


@dataclass(frozen=True, kw_only=True, slots=True)
class Burn:
    """How fast all requests of the flag use up an objective's error budget: 1 is as fast as it may last.

    Attributes:
        objective: the share of the requests that is to end well.
        stable: if stable served all of them.
        next: in the next wave.
        low: end of a 95 % interval of `next`; None where its variance is not known.
        high: as above.
    """

    objective: float
    stable: float
    next: float
    low: float | None
    high: float | None


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
        burn: of the plan's objective; None without one.
    """

    gate: str
    what: str
    now: float
    next: float
    low: float | None
    high: float | None
    budget: float | None
    burn: Burn | None = None

    @property
    def over(self) -> bool:
        """Whether the next wave may take more than its budget."""
        return self.budget is not None and (self.next if self.high is None else self.high) > self.budget


@dataclass(frozen=True, kw_only=True, slots=True)
class Users:
    """How many get the candidate: seen so far, and more of them in the next wave, with a 95 % interval."""

    seen: float
    more: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """The next wave, an hour of it.

    Attributes:
        percent: of the users that get the candidate then.
        requests: that the candidate serves now.
        next_requests: that it serves then.
        low_requests: end of a 95 % interval of that, at the traffic of this wave.
        high_requests: as above.
        users: None where nobody has counted them.
    """

    percent: float
    requests: float
    next_requests: float
    low_requests: float
    high_requests: float
    extras: tuple[Extra, ...]
    users: Users | None = None

    @property
    def over(self) -> str:
        """What would go over its budget, as a sentence; empty when nothing."""
        return "; ".join(_told(each) for each in self.extras if each.over)


def forecast(
    rollout: Rollout, figures: Mapping[str, Mapping[str, float]], *, now: datetime, users: float | None = None
) -> Forecast | None:
    """The wave that follows, at the traffic of this one; None where none follows or nothing was counted.

    Args:
        rollout: in a wave.
        figures: gate to the figures of its verdict, as they were kept with the decision.
        now: until when they were counted.
        users: that were seen with the candidate so far; None where nobody has counted them.
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
    counted_requests = first["candidate_requests"] + first["stable_requests"]
    next_requests = counted_requests / hours * share
    wide = _TWO_SIDED * next_requests / math.sqrt(counted_requests)
    return Forecast(
        percent=percent(following.weight),
        requests=requests,
        next_requests=next_requests,
        low_requests=max(next_requests - wide, 0.0),
        high_requests=next_requests + wide,
        extras=tuple(_extra(gate, mine, requests, next_requests, share, rollout.plan) for gate, mine in counted),
        users=None if users is None else _users(users, following.weight / wave.weight),
    )


def over_budget(rollout: Rollout, verdicts: Sequence[Verdict], *, now: datetime) -> str:
    """What the next wave may take more of than the plan's budget, as a sentence; empty when nothing."""
    if not rollout.plan.budget:
        return ""
    expected = forecast(rollout, {each.gate: each.figures for each in verdicts}, now=now)
    return expected.over if expected else ""


def _users(seen: float, growth: float) -> Users:
    """Each of this wave's users stands for as many as its share is multiplied by."""
    more = seen * (growth - 1)
    wide = _TWO_SIDED * math.sqrt(more * growth)
    return Users(seen=seen, more=more, low=max(more - wide, 0.0), high=more + wide)


def _extra(
    gate: ErrorRateGate | ValueGate,
    figures: Mapping[str, float],
    requests: float,
    next_requests: float,
    share: float,
    plan: Plan,
) -> Extra:
    if isinstance(gate, ErrorRateGate):
        x_t, x_c, what = figures.get("candidate_bad", 0.0), figures.get("stable_bad", 0.0), "bad outcomes"
    else:
        x_t, x_c, what = figures.get("candidate_sum", 0.0), figures.get("stable_sum", 0.0), gate.value.value
    more = x_t / figures["candidate_requests"] - x_c / figures["stable_requests"]
    error = _standard_error(gate, figures, to_candidate=1.0, to_stable=1.0)
    low, high = (None, None) if error is None else (more - _TWO_SIDED * error, more + _TWO_SIDED * error)
    return Extra(
        gate=gate.name,
        what=what,
        now=requests * more,
        next=next_requests * more,
        low=None if low is None else next_requests * low,
        high=None if high is None else next_requests * high,
        budget=plan.budget.get(gate.name),
        burn=_burn(gate, figures, share, plan.objectives[gate.name])
        if isinstance(gate, ErrorRateGate) and gate.name in plan.objectives
        else None,
    )


def _standard_error(
    gate: ErrorRateGate | ValueGate, figures: Mapping[str, float], *, to_candidate: float, to_stable: float
) -> float | None:
    """Of the weighted difference, or sum, of what a request of each variant gives; None where nothing is known of it.

    Of a mean only the plain difference is known.
    """
    if isinstance(gate, ValueGate):
        return figures.get("standard_error")
    clumps = figures.get("design_effect", 1.0)
    if clumps >= _UNKNOWN:
        return None
    # One more of each, so that a rate of 0 is not taken for certain.
    candidate = (figures.get("candidate_bad", 0.0) + 1) / figures["candidate_requests"] ** 2
    stable = (figures.get("stable_bad", 0.0) + 1) / figures["stable_requests"] ** 2
    return math.sqrt(clumps * (to_candidate**2 * candidate + to_stable**2 * stable))


def _burn(gate: ErrorRateGate, figures: Mapping[str, float], share: float, objective: float) -> Burn:
    allowed = 1 - objective
    candidate = figures.get("candidate_bad", 0.0) / figures["candidate_requests"]
    stable = figures.get("stable_bad", 0.0) / figures["stable_requests"]
    bad = share * candidate + (1 - share) * stable
    error = _standard_error(gate, figures, to_candidate=share, to_stable=1 - share)
    return Burn(
        objective=objective,
        stable=stable / allowed,
        next=bad / allowed,
        low=None if error is None else max(bad - _TWO_SIDED * error, 0.0) / allowed,
        high=None if error is None else (bad + _TWO_SIDED * error) / allowed,
    )


def _told(extra: Extra) -> str:
    most = f", up to {extra.high:,.4g}" if extra.high is not None else ""
    return f"{extra.gate}: {extra.next:,.4g} more {extra.what} an hour{most}, the budget is {extra.budget:,.4g}"
