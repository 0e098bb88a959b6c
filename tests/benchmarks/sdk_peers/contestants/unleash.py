"""Unleash: a bootstrapped cache, nothing fetched, registered or reported."""

import json
import tempfile
from collections.abc import Sequence

from UnleashClient import UnleashClient
from UnleashClient.cache import FileCache
from workload import SHARE, Flag, Question, Rule

OPERATORS = {"in": "IN", "equals": "IN", "above": "NUM_GT"}


class Contestant:
    def document(self, flags: Sequence[Flag]) -> str:
        return json.dumps({"version": 2, "features": [self.feature(flag) for flag in flags]})

    def feature(self, flag: Flag) -> dict:
        return {
            "name": flag.key,
            "type": "release",
            "enabled": True,
            "strategies": [
                *(self.strategy(flag, 100, [self.constraint(rule)]) for rule in flag.rules),
                self.strategy(flag, SHARE, []),
            ],
        }

    def strategy(self, flag: Flag, share: int, constraints: list[dict]) -> dict:
        return {
            "name": "flexibleRollout",
            "parameters": {"rollout": str(share), "stickiness": "userId", "groupId": flag.key},
            "constraints": constraints,
        }

    def constraint(self, rule: Rule) -> dict:
        fields = {"contextName": rule.attribute, "operator": OPERATORS[rule.operator]}
        if rule.operator == "above":
            return fields | {"value": str(rule.operand)}
        return fields | {"values": rule.operand if rule.operator == "in" else [rule.operand]}

    def load(self, document: str) -> None:
        self.cache = FileCache("benchmark", directory=tempfile.mkdtemp(prefix="unleash-"))
        self.cache.bootstrap_from_dict(json.loads(document))
        self.client = UnleashClient(
            url="http://127.0.0.1:9/api",
            app_name="benchmark",
            cache=self.cache,
            disable_metrics=True,
            disable_registration=True,
        )
        self.client.initialize_client(fetch_toggles=False)

    def prepare(self, questions: Sequence[Question]) -> list[tuple]:
        return [(question.flag, {"userId": question.user.key, **question.user.attributes}) for question in questions]

    def evaluate(self, prepared: Sequence[tuple]) -> list[bool]:
        is_enabled = self.client.is_enabled
        return [is_enabled(flag, context) for flag, context in prepared]

    def provider(self):
        from openfeature.contrib.provider.unleash import UnleashProvider

        provider = UnleashProvider(
            "http://127.0.0.1:9/api", app_name="benchmark", api_token="", fetch_toggles=False, cache=self.cache
        )
        # The provider makes a client of its own, which would register itself.
        provider.client = self.client
        provider.initialize = lambda _context: None
        return provider
