"""Flagsmith: local evaluation of an environment document. A share is a multivariate value, a rule a segment."""

import json
from collections.abc import Sequence

from flagsmith import Flagsmith
from workload import SHARE, Flag, Question

OPERATORS = {"in": "IN", "equals": "EQUAL", "above": "GREATER_THAN"}
ID = "00000000-0000-0000-0000-{:012}"


class Offline:
    def __init__(self, document: str) -> None:
        self.document = document

    def get_environment(self) -> dict:
        return json.loads(self.document)


class Contestant:
    def document(self, flags: Sequence[Flag]) -> str:
        segments = [
            self.segment(number, flag, priority)
            for number, flag in enumerate(flags)
            for priority in range(len(flag.rules))
        ]
        return json.dumps(
            {
                "api_key": "offline",
                "name": "benchmark",
                "feature_states": [
                    self.state(number, flag, False, [self.share(number)]) for number, flag in enumerate(flags)
                ],
                "identity_overrides": [],
                "project": {"segments": segments},
                "updated_at": "2026-01-01T00:00:00+00:00",
            }
        )

    def state(self, number: int, flag: Flag, value: bool, shares: list[dict]) -> dict:
        return {
            "enabled": True,
            "feature": {"id": number + 1, "name": flag.key},
            "feature_state_value": value,
            "featurestate_uuid": ID.format(number),
            "multivariate_feature_state_values": shares,
        }

    def share(self, number: int) -> dict:
        return {
            "id": number + 1,
            "multivariate_feature_option": {"value": True},
            "mv_fs_value_uuid": ID.format(number),
            "percentage_allocation": SHARE,
        }

    def segment(self, number: int, flag: Flag, priority: int) -> dict:
        """A segment of the one feature: an override of one feature is cheaper to look through than those of all."""
        rule = flag.rules[priority]
        value = ",".join(rule.operand) if rule.operator == "in" else str(rule.operand)
        condition = {"operator": OPERATORS[rule.operator], "property_": rule.attribute, "value": value}
        return {
            "id": number * 10 + priority,
            "name": f"{flag.key} {rule.attribute}",
            "rules": [{"type": "ALL", "conditions": [], "rules": [{"type": "ALL", "conditions": [condition]}]}],
            "feature_states": [self.state(number, flag, True, []) | {"feature_segment": {"priority": priority}}],
        }

    def load(self, document: str) -> None:
        self.client = Flagsmith(offline_mode=True, offline_handler=Offline(document))

    def prepare(self, questions: Sequence[Question]) -> list[tuple]:
        return [(question.flag, question.user.key, question.user.attributes) for question in questions]

    def evaluate(self, prepared: Sequence[tuple]) -> list[bool]:
        flags_of = self.client.get_identity_flags
        return [flags_of(user, attributes).get_feature_value(flag) for flag, user, attributes in prepared]

    def provider(self):
        from openfeature_flagsmith.provider import FlagsmithProvider

        return FlagsmithProvider(client=self.client, use_boolean_config_value=True)
