"""The rule of each gate as a person says it: what would stop a rollout, and what lets it go on."""

from typing import Final, assert_never

from wavegate_controller.documents.duration import format_duration
from wavegate_controller.domain.gates import (
    AlertCounts,
    AlertGate,
    ComparedGate,
    ErrorRateGate,
    FeedbackGate,
    Gate,
    LookingGate,
    ManualGate,
    OnSilence,
    Operator,
    SilencePolicy,
    ThresholdGate,
    ValueGate,
    ValueKind,
    WebhookGate,
)
from wavegate_controller.domain.plan import OnBreach, Plan

_ACT: Final = {
    OnBreach.ROLL_BACK: "Rolls back",
    OnBreach.STEP_BACK: "Steps one wave back",
    OnBreach.PAUSE: "Pauses",
}
#: How a threshold gate's limit is passed, and how it is broken.
_INSIDE: Final = {
    Operator.LESS: "below {}",
    Operator.LESS_OR_EQUAL: "at most {}",
    Operator.GREATER: "above {}",
    Operator.GREATER_OR_EQUAL: "at least {}",
}
_OUTSIDE: Final = {
    Operator.LESS: "{} or above",
    Operator.LESS_OR_EQUAL: "above {}",
    Operator.GREATER: "{} or below",
    Operator.GREATER_OR_EQUAL: "below {}",
}
_SILENT_ACT: Final = {OnSilence.PAUSE: "Pauses", OnSilence.ROLL_BACK: "Rolls back"}
#: What a kind of bad outcome is called of one request.
_KINDS: Final = {
    "error": "fails",
    "slow": "is too slow",
    "fallback": "falls back",
    "thumbs_down": "gets a thumbs down",
}
#: What more of a value is called.
_COSTS: Final = {
    ValueKind.COST_USD: "costs more a request",
    ValueKind.TOKENS: "uses more tokens a request",
    ValueKind.SECONDS: "takes longer a request",
    ValueKind.CUSTOM: "has a higher mean",
}


def gate_rule(gate: Gate, plan: Plan, *, candidate: str, stable: str) -> str:
    """The rule that would stop the rollout, and the one that lets it go on."""
    return _rule(gate, plan, candidate=candidate, stable=stable) + _silence_rule(gate, plan)


def _rule(gate: Gate, plan: Plan, *, candidate: str, stable: str) -> str:
    act = _ACT[plan.on_breach]
    match gate:
        case ErrorRateGate(kinds=kinds):
            bad = _KINDS.get(kinds[0]) if len(kinds) == 1 else None
            bad = bad or f"goes wrong ({', '.join(kinds)})"
            ceiling = "" if gate.ceiling is None else f", or above {gate.ceiling * 100:g} % at any time"
            return f"{act} when “{candidate}” {bad} more often than “{stable}”{_compared(gate, plan, ceiling)}"
        case ValueGate(value=value):
            return f"{act} when “{candidate}” {_COSTS[value]} than “{stable}”{_compared(gate, plan, '')}"
        case ThresholdGate():
            held = (
                "" if gate.warn is None else f" Held when they are {_OUTSIDE[gate.operator].format(f'{gate.warn:g}')}."
            )
            return (
                f"Passes while {gate.name} is {_INSIDE[gate.operator].format(f'{gate.limit:g}')}. {act} when "
                f"{_looks(gate)} {_OUTSIDE[gate.operator].format(f'{gate.limit:g}')}{_warm_up(gate)}.{held}"
            )
        case AlertGate():
            fires = "fires" if gate.counts is AlertCounts.FIRING else "has fired since the wave began"
            often = "" if gate.of == 1 else f" at {gate.failures} of the last {gate.of} looks"
            return f"{act} when the alert {gate.alert} {fires}{often}{_warm_up(gate)}. Held while it is pending."
        case FeedbackGate():
            return (
                f"{act} when more than {gate.max_thumbs_down * 100:g} % of the requests of “{candidate}” get a thumbs "
                f"down, beyond chance. Passes a wave from {gate.min_answers} answers on, while at least "
                f"{gate.min_share * 100:g} % of them are thumbs up."
            )
        case WebhookGate():
            often = "" if gate.of == 1 else f" {gate.failures} times in {gate.of} answers"
            again = "" if gate.keep_asking else " A wave that passed is not asked about again."
            return (
                f"{act} when {gate.url} says breach{often}{_warm_up(gate)}. Asked at most every "
                f"{format_duration(gate.interval)}.{again}"
            )
        case ManualGate():
            asked = f" {gate.question}" if gate.question else ""
            return f"Passes a wave when a person says so; {act.lower()} when a person says breach.{asked}"
        case _:
            assert_never(gate)


def _compared(gate: ComparedGate, plan: Plan, ceiling: str) -> str:
    """The rest of a comparing gate's rule: how sure it must be, and when it lets a wave pass."""
    together = ", all gates that compare taken together" if len(plan.compared) > 1 else ""
    sure = f": evidence {1 / plan.guardrail.alpha:g} : 1{together}{ceiling}."
    if gate.rollback_only:
        return f"{sure} No wave waits for it."
    return (
        f"{sure} Passes a wave from {plan.guardrail.min_requests} requests of each on, once there is no suspicion; the "
        f"last one before everybody only when at most {gate.final_margin * 100:g} % worse is shown."
    )


def _looks(gate: LookingGate) -> str:
    return "a look is" if gate.of == 1 else f"{gate.failures} of the last {gate.of} looks are"


def _warm_up(gate: LookingGate) -> str:
    return f", after the first {format_duration(gate.warm_up)} of a wave" if gate.warm_up else ""


def _silence_rule(gate: Gate, plan: Plan) -> str:
    said = _silent(gate.on_no_data or plan.on_no_data, "without data")
    return said + _silent(gate.on_cannot_measure or plan.on_cannot_measure, "in which it cannot be measured")


def _silent(policy: SilencePolicy, what: str) -> str:
    if policy.act is OnSilence.HOLD:
        return ""
    return f" {_SILENT_ACT[policy.act]} after {format_duration(policy.after)} {what}."
