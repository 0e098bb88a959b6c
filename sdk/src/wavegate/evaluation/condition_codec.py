"""Conditions as JSON."""

from collections.abc import Mapping
from typing import Any

from wavegate.evaluation.conditions import AllOf, AnyOf, Comparison, Condition, InSegment, Not, Operator
from wavegate.evaluation.errors import InvalidRuleset
from wavegate.evaluation.reading import as_list, as_object, built, required
from wavegate.evaluation.segments import DEEPEST_CONDITION

_FORMS = ("all", "any", "not", "segment", "attribute")


def read_condition(path: str, document: object, depth: int = 1) -> Condition:
    """Reads a condition.

    Raises:
        InvalidRuleset: it says where, what was found and what would be right.
    """
    fields = as_object(path, document)
    if depth > DEEPEST_CONDITION:
        raise InvalidRuleset(path, "is nested too deeply", f"use {DEEPEST_CONDITION} levels at most")
    forms = [name for name in _FORMS if name in fields]
    if len(forms) != 1:
        found = f"has both {forms[0]} and {forms[1]}" if forms else "asks nothing"
        raise InvalidRuleset(path, found, f"give exactly one of: {', '.join(_FORMS)}")
    form = forms[0]
    if form == "not":
        return Not(read_condition(f"{path}.not", fields["not"], depth + 1))
    if form in ("all", "any"):
        items = enumerate(as_list(f"{path}.{form}", fields[form]))
        inner = tuple(read_condition(f"{path}.{form}[{index}]", item, depth + 1) for index, item in items)
        return built(path, AllOf, inner) if form == "all" else built(path, AnyOf, inner)
    if form == "segment":
        return built(path, InSegment, fields["segment"])
    return _read_comparison(path, fields)


def _read_comparison(path: str, fields: Mapping[str, Any]) -> Comparison:
    name = required(fields, "operator", path)
    try:
        operator = Operator(name)
    except ValueError:
        raise InvalidRuleset(f"{path}.operator", f"is {name!r}", f"use one of: {', '.join(Operator)}") from None
    value = None if operator is Operator.EXISTS and "value" not in fields else required(fields, "value", path)
    value = tuple(value) if isinstance(value, list) else value
    return built(path, Comparison, attribute=fields["attribute"], operator=operator, value=value)


def write_condition(condition: Condition) -> dict[str, Any]:
    """Writes a condition, as `read_condition` reads it."""
    match condition:
        case AllOf(conditions):
            return {"all": [write_condition(inner) for inner in conditions]}
        case AnyOf(conditions):
            return {"any": [write_condition(inner) for inner in conditions]}
        case Not(inner):
            return {"not": write_condition(inner)}
        case InSegment(name):
            return {"segment": name}
        case Comparison(attribute=attribute, operator=operator, value=value):
            fields: dict[str, Any] = {"attribute": attribute, "operator": operator}
            if value is not None:
                fields["value"] = list(value) if isinstance(value, tuple) else value
            return fields
