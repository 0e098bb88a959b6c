"""The ruleset that Wavegate and the floor are served."""

import json
from collections.abc import Sequence

from workload import SHARE, Flag, Rule

OPERATORS = {"in": "in", "equals": "equals", "above": ">"}


def ruleset(flags: Sequence[Flag]) -> str:
    return json.dumps(
        {"schema": 1, "environment": "benchmark", "revision": 1, "flags": {flag.key: as_json(flag) for flag in flags}}
    )


def as_json(flag: Flag) -> dict:
    fields = {
        "variants": {"on": True, "off": False},
        "default_variant": "off",
        "rollout": {"stable": "off", "candidate": "on", "weight": SHARE * 1000},
    }
    return fields | ({"rules": [rule_as_json(rule) for rule in flag.rules]} if flag.rules else {})


def rule_as_json(rule: Rule) -> dict:
    condition = {"attribute": rule.attribute, "operator": OPERATORS[rule.operator], "value": rule.operand}
    return {"if": condition, "serve": "on"}
