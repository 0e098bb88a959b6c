"""What a Prometheus API says about its alerting rules: an alert that nobody evaluates never fires, which is no calm.

The format is https://prometheus.io/docs/prometheus/latest/querying/api/#rules.
"""

import json
from typing import Any, Final

from wavegate_controller.domain.measurement import Broken, BrokenReason
from wavegate_controller.providers.response import malformed, one_line

#: Asks for one rule; servers that do not know the filter answer all of them.
PATH: Final = "/api/v1/rules?type=alert&rule_name[]={}"


def alert_rule(body: bytes, name: str) -> Broken | None:
    """Why an alert of this name could not fire although it should; None when a healthy rule would raise it."""
    rules = _rules(body)
    if isinstance(rules, Broken):
        return rules
    mine = [rule for rule in rules if rule.get("name") == name]
    if not mine:
        detail = f"the metrics server has no alerting rule {name!r}; is the name right, and the rule loaded?"
        return Broken(reason=BrokenReason.NO_SUCH_ALERT, detail=one_line(detail))
    for rule in mine:
        if rule.get("health") != "ok":
            said = rule.get("lastError") or f"its health is {rule.get('health')!r}"
            return Broken(reason=BrokenReason.ALERT_RULE_FAILS, detail=one_line(f"alerting rule {name}: {said}"))
    return None


def _rules(body: bytes) -> list[dict[str, Any]] | Broken:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    match document:
        case {"status": "success", "warnings": [_, *_] as warnings}:
            detail = one_line(f"the server warns: {warnings}")
            return Broken(reason=BrokenReason.PARTIAL_RESPONSE, detail=detail)
        case {"status": "success", "data": {"groups": list() as groups}}:
            return [
                rule
                for group in groups
                if isinstance(group, dict)
                for rule in group.get("rules") or ()
                if isinstance(rule, dict) and rule.get("type") == "alerting"
            ]
        case _:
            return malformed("no list of rules; is this URL the root of a Prometheus API?")
