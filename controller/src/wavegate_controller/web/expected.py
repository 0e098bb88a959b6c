"""What is expected to happen to a rollout next, and when: as far as anybody can say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.guardrail import MetricAssessment
from wavegate_controller.domain.plan import Approval, percent
from wavegate_controller.domain.rollout import Rollout, State
from wavegate_controller.service.queries import RolloutView

#: Holds that no traffic and no time ends, but a person or the end of something else.
_WAITS: Final = {
    DecisionReason.FREEZE_WINDOW: "waits for the end of the freeze window",
    DecisionReason.PINNED: "stays until somebody unpins it",
    DecisionReason.PINNED_BREACH: "stays until somebody unpins it",
    DecisionReason.PREREQUISITE: "waits for another flag",
    DecisionReason.RED_CHECK: "waits until the checks of production readiness are green again",
    DecisionReason.FLAG_STOPPED: "waits for the flag to be enabled",
    DecisionReason.CANNOT_MEASURE: "waits until the gates can be measured again",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """The next decision.

    Attributes:
        what: happens, as the rest of a sentence.
        at: when at the earliest; None where nobody can say.
        because: what that goes by.
    """

    what: str
    at: datetime | None
    because: str


def expected(view: RolloutView, *, now: datetime) -> Expected | None:
    """Of a rollout that has not ended; at this traffic, if the candidate is no worse than stable."""
    rollout, latest = view.rollout, view.latest
    match rollout.state:
        case State.DRAFT:
            return Expected(what="waits until somebody starts it", at=None, because="")
        case State.AWAITING_APPROVAL:
            missing = (rollout.current_wave.approvers if rollout.current_wave else 1) - len(rollout.approvals)
            people = "an approver signs" if missing == 1 else f"{missing} approvers sign"
            return Expected(what=f"waits until {people}", at=None, because="")
        case State.PAUSED:
            return Expected(what="stays until somebody resumes it", at=None, because="")
        case State.RUNNING:
            if latest is not None and latest.reason in _WAITS:
                return Expected(what=_WAITS[latest.reason], at=None, because="")
            return _onwards(rollout, view.guardrail.metrics if view.guardrail else (), now=now)
        case _:
            return None


def _onwards(rollout: Rollout, metrics: Sequence[MetricAssessment], *, now: datetime) -> Expected:
    baked = rollout.bakes_until or now
    forecasts = [(each.name, each.forecast.remaining) for each in metrics if each.forecast is not None]
    endless = [name for name, remaining in forecasts if remaining is None]
    if endless:
        because = f"{', '.join(endless)} cannot be told apart from harm at this traffic"
        return Expected(what=_what(rollout), at=None, because=because)
    slowest = max(forecasts, key=lambda each: each[1] or timedelta(0), default=None)
    if slowest is not None and slowest[1] is not None and now + slowest[1] > baked:
        return Expected(
            what=_what(rollout), at=now + slowest[1], because=f"{slowest[0]} needs that long at this traffic"
        )
    return Expected(what=_what(rollout), at=max(baked, now), because="the wave bakes until then" if baked > now else "")


def _what(rollout: Rollout) -> str:
    wave = rollout.current_wave
    if rollout.final_bake_since is not None or (rollout.is_last_wave and rollout.plan.final_bake is None):
        return "completes"
    if rollout.is_last_wave:
        return "begins the bake after the last wave"
    if wave is not None and wave.approval is Approval.MANUAL:
        return "asks for approval"
    return f"goes on to {percent(rollout.plan.waves[(rollout.wave or 0) + 1].weight):g} % of users"
