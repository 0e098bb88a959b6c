"""Who is served what, as sentences: conditions, rules, and the steps by which a flag came to its answer."""

import json
from collections.abc import Mapping
from typing import Any, Final, assert_never

from wavegate.evaluation import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Flag,
    InSegment,
    Not,
    Operator,
    Pilot,
    Rule,
    Serve,
)
from wavegate.evaluation.conditions import TARGETING_KEY
from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.playground import Outcome, Step, Tested

#: How each operator reads between an attribute and its value.
OPERATORS: Final[Mapping[Operator, str]] = {
    Operator.EQUALS: "is",
    Operator.IN: "is one of",
    Operator.CONTAINS: "contains",
    Operator.STARTS_WITH: "begins with",
    Operator.ENDS_WITH: "ends with",
    Operator.MATCHES: "matches the pattern",
    Operator.EXISTS: "is given",
    Operator.LESS: "is below",
    Operator.AT_MOST: "is at most",
    Operator.GREATER: "is above",
    Operator.AT_LEAST: "is at least",
    Operator.VERSION_EQUALS: "is version",
    Operator.VERSION_LESS: "is before version",
    Operator.VERSION_AT_MOST: "is at most version",
    Operator.VERSION_GREATER: "is after version",
    Operator.VERSION_AT_LEAST: "is at least version",
    Operator.BEFORE: "is before the time",
    Operator.NOT_AFTER: "is not after the time",
    Operator.AFTER: "is after the time",
    Operator.NOT_BEFORE: "is not before the time",
}
#: Their opposites, where a negation reads better than "not (…)".
_OPPOSITES: Final[Mapping[Operator, str]] = {
    Operator.EQUALS: "is not",
    Operator.IN: "is none of",
    Operator.CONTAINS: "does not contain",
    Operator.STARTS_WITH: "does not begin with",
    Operator.ENDS_WITH: "does not end with",
    Operator.MATCHES: "does not match the pattern",
    Operator.EXISTS: "is not given",
}
_SHOWN: Final = 5


def condition_sentence(condition: Condition, *, within: bool = False) -> str:
    """The condition as people say it; in brackets where it stands within another one and would be misread."""
    match condition:
        case Comparison(attribute=attribute, operator=operator, value=value):
            return f"{attribute_name(attribute)} {OPERATORS[operator]}{_value(value)}"
        case InSegment(name):
            return f"in segment {name}"
        case Not(Comparison(attribute=attribute, operator=operator, value=value)) if operator in _OPPOSITES:
            return f"{attribute_name(attribute)} {_OPPOSITES[operator]}{_value(value)}"
        case Not(InSegment(name)):
            return f"not in segment {name}"
        case Not(inner):
            return f"not ({condition_sentence(inner)})"
        case AllOf(conditions):
            return _joined(" and ", conditions, within=within)
        case AnyOf(conditions):
            return _joined(" or ", conditions, within=within)
        case _:
            assert_never(condition)


def attribute_name(attribute: str) -> str:
    """The targeting key by its words."""
    return "targeting key" if attribute == TARGETING_KEY else attribute


def serve_sentence(serve: Serve) -> str:
    """`on`, or `60 % small, 40 % large`."""
    if isinstance(serve, str):
        return serve
    return ", ".join(f"{percent(share.weight):g} % {share.variant}" for share in serve)


def rule_sentence(rule: Rule) -> str:
    """The rule, as one reads it out."""
    return f"If {condition_sentence(rule.condition)}, serve {serve_sentence(rule.serve)}"


def pilot_sentence(pilot: Pilot, variant: str) -> str:
    """Who is in the pilot."""
    people = f"{len(pilot.keys)} named" if pilot.keys else ""
    condition = "" if pilot.condition is None else condition_sentence(pilot.condition)
    who = f"{people} of whom {condition}" if people and condition else people or f"whoever has {condition}"
    out = f"; {len(pilot.opted_out)} opted out" if pilot.opted_out else ""
    return f"Pilot: {who}, get {variant}{out}"


def literal(value: Any) -> str:
    """A value as one types it, text in quotes."""
    return json.dumps(value, ensure_ascii=False)


def step_title(step: Step, flag: Flag) -> str:
    """What the step asks."""
    kind, _, rest = step.path.partition("[")
    if kind == "prerequisites" and step.needed is not None:
        return f"Prerequisite: {step.needed.flag} serves {' or '.join(step.needed.variants)}"
    if kind == "rules":
        rule = flag.rules[int(rest.rstrip("]"))]
        name = f" “{rule.name}”" if rule.name else ""
        return f"Rule {int(rest.rstrip(']')) + 1}{name}: if {condition_sentence(rule.condition)}"
    kind, _, variant = step.path.partition(".")
    match kind:
        case "state":
            return "Emergency stop"
        case "deny":
            return "Denied people"
        case "allow":
            return f"People who always get {variant}"
        case "pilot":
            return "Pilot"
        case "rollout" if variant:
            return "Held out of the rollout"
        case "rollout":
            return "Percentage of the rollout"
        case "default_variant":
            return "Default variant"
        case _:
            return step.path


def step_sentence(step: Step, flag: Flag, error: str | None = None) -> str:
    """What came of it."""
    if step.outcome is Outcome.FAILED:
        return error or "could not say"
    decided = step.outcome is Outcome.DECIDED
    kind = step.path.partition("[")[0].partition(".")[0]
    match kind:
        case "state":
            return f"the flag is disabled, so everybody gets {flag.default_variant}"
        case "prerequisites":
            served = step.served or "nothing"
            return f"it serves {served}, so this flag serves its default" if decided else f"met: it serves {served}"
        case "deny" | "allow":
            return "the targeting key is listed" if decided else "the targeting key is not listed"
        case "rules":
            return "met" if decided else "not met"
        case "pilot":
            return "in the pilot" if decided else "opted out of it" if step.opted_out else "not in the pilot"
        case "rollout":
            return _rollout_sentence(step, flag, decided=decided)
        case _:
            return f"nothing more special applied, so {flag.default_variant} is served"


def _rollout_sentence(step: Step, flag: Flag, *, decided: bool) -> str:
    if step.path == "rollout.holdout":
        held = flag.rollout.holdout.weight if flag.rollout and flag.rollout.holdout else 0
        return f"{'held out' if decided else 'not held out'}: {percent(held):g} % of the users are"
    if flag.rollout is None:
        return ""
    share = f"{percent(flag.rollout.weight):g} % of the users"
    if step.bucket is None:
        return f"the same for everybody: the candidate has {share}"
    place = percent(step.bucket.number)
    side = "below" if step.bucket.is_in else "not below"
    return f"the key {step.bucket.key!r} falls at {place:g} %, {side} the candidate's {share}"


def tested_sentence(tested: Tested) -> str:
    """A condition and what it was tested on."""
    said = condition_sentence(tested.condition)
    if not isinstance(tested.condition, Comparison):
        return said
    given = "is not given" if tested.given is None else f"is {literal(tested.given)}"
    return f"{said}: {given}" if tested.given is None else f"{said}: it {given}"


def _joined(word: str, conditions: tuple[Condition, ...], *, within: bool) -> str:
    if len(conditions) == 1:
        return condition_sentence(conditions[0], within=within)
    said = word.join(condition_sentence(each, within=True) for each in conditions)
    return f"({said})" if within else said


def _value(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, tuple):
        return f" {_plain(value)}"
    shown = ", ".join(_plain(each) for each in value[:_SHOWN])
    more = len(value) - _SHOWN
    return f" {shown} and {more} more" if more > 0 else f" {shown}"


def _plain(value: Any) -> str:
    """Text as it is where that cannot be misread."""
    if isinstance(value, str) and value.strip() == value and value and not any(each in value for each in ', "'):
        return value
    return literal(value)
