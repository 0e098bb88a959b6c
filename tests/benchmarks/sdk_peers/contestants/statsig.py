"""Statsig: a Rust core that reads its specs from a data store; the network is off."""

import json
from collections.abc import Sequence

from statsig_python_core import DataStore, FeatureGateEvaluationOptions, Statsig, StatsigOptions, StatsigUser
from statsig_python_core.data_store import DataStoreResponse
from workload import SHARE, Flag, Question, Rule

OPERATORS = {"in": "any", "equals": "any", "above": "gt"}
EVERYBODY = {"type": "public", "targetValue": None, "operator": None, "field": None, "additionalValues": {}}


class Store(DataStore):
    def __init__(self, document: str) -> None:
        super().__init__()
        self.document = document

    def get(self, key: str) -> DataStoreResponse:
        return DataStoreResponse(result=self.document, time=1)


class Contestant:
    def __init__(self, *, exposures: bool = False) -> None:
        self.exposures = exposures

    def document(self, flags: Sequence[Flag]) -> str:
        conditions = {"everybody": EVERYBODY | {"idType": "userID"}}
        conditions |= {rule.attribute: self.condition(rule) for flag in flags for rule in flag.rules}
        return json.dumps(
            {
                "has_updates": True,
                "time": 1,
                "feature_gates": {flag.key: self.gate(flag) for flag in flags},
                "dynamic_configs": {},
                "layer_configs": {},
                "condition_map": conditions,
                "experiment_to_layer": {},
            }
        )

    def gate(self, flag: Flag) -> dict:
        return {
            "type": "feature_gate",
            "entity": "feature_gate",
            "salt": flag.key,
            "enabled": True,
            "defaultValue": False,
            "idType": "userID",
            "rules": [
                *(self.rule(f"rule-{rule.attribute}", 100, rule.attribute) for rule in flag.rules),
                self.rule("rollout", SHARE, "everybody"),
            ],
        }

    def rule(self, name: str, share: int, condition: str) -> dict:
        return {
            "name": name,
            "id": name,
            "salt": name,
            "idType": "userID",
            "passPercentage": share,
            "conditions": [condition],
            "returnValue": True,
        }

    def condition(self, rule: Rule) -> dict:
        return {
            "type": "user_field",
            "field": rule.attribute,
            "operator": OPERATORS[rule.operator],
            "targetValue": [rule.operand] if rule.operator == "equals" else rule.operand,
            "additionalValues": {},
            "idType": "userID",
        }

    def load(self, document: str) -> None:
        options = StatsigOptions(
            data_store=Store(document),
            disable_network=True,
            disable_country_lookup=True,
            enable_id_lists=False,
            output_log_level="none",
        )
        self.client = Statsig("secret-offline", options)
        self.client.initialize().wait()

    def prepare(self, questions: Sequence[Question]) -> list[tuple]:
        return [
            (
                StatsigUser(
                    user_id=question.user.key,
                    country=question.user.attributes.get("country"),
                    custom={name: value for name, value in question.user.attributes.items() if name != "country"},
                ),
                question.flag,
            )
            for question in questions
        ]

    def evaluate(self, prepared: Sequence[tuple]) -> list[bool]:
        is_enabled = self.client.check_gate
        if self.exposures:
            return [is_enabled(user, flag) for user, flag in prepared]
        quietly = FeatureGateEvaluationOptions(disable_exposure_logging=True)
        return [is_enabled(user, flag, quietly) for user, flag in prepared]
