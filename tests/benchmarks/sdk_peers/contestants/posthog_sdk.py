"""PostHog: local evaluation, flag definitions handed in, no events."""

import json
from collections.abc import Sequence

from posthog import Posthog
from workload import SHARE, Flag, Question, Rule

OPERATORS = {"in": "exact", "equals": "exact", "above": "gt"}


class Contestant:
    def document(self, flags: Sequence[Flag]) -> str:
        return json.dumps([self.flag(number, flag) for number, flag in enumerate(flags)])

    def flag(self, number: int, flag: Flag) -> dict:
        groups = [{"properties": [self.condition(rule)], "rollout_percentage": 100} for rule in flag.rules]
        groups.append({"properties": [], "rollout_percentage": SHARE})
        return {"id": number, "key": flag.key, "active": True, "filters": {"groups": groups}}

    def condition(self, rule: Rule) -> dict:
        return {
            "type": "person",
            "key": rule.attribute,
            "operator": OPERATORS[rule.operator],
            "value": rule.operand,
        }

    def load(self, document: str) -> None:
        self.client = Posthog("offline", host="http://127.0.0.1:9", send=False, disable_geoip=True)
        self.client.feature_flags = json.loads(document)

    def prepare(self, questions: Sequence[Question]) -> list[tuple]:
        return [(question.flag, question.user.key, question.user.attributes) for question in questions]

    def evaluate(self, prepared: Sequence[tuple]) -> list[bool]:
        is_enabled = self.client.feature_enabled
        return [
            is_enabled(
                flag,
                user,
                person_properties=attributes,
                only_evaluate_locally=True,
                send_feature_flag_events=False,
            )
            for flag, user, attributes in prepared
        ]

    def provider(self):
        from openfeature.contrib.provider.posthog import PostHogProvider

        return PostHogProvider(self.client, send_feature_flag_events=False)
