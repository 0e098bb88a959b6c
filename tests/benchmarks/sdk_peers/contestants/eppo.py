"""Eppo: a Rust core that is handed the configuration; polling is off."""

import json
from collections.abc import Sequence

import eppo_client
from workload import SHARE, Flag, Question, Rule

OPERATORS = {"in": "ONE_OF", "equals": "ONE_OF", "above": "GT"}


class Logger(eppo_client.AssignmentLogger):
    def log_assignment(self, event: dict) -> None:
        pass


class Contestant:
    def __init__(self, *, logging: bool = False) -> None:
        # Without a logger of its own class the core does not make events.
        self.logger = Logger() if logging else eppo_client.AssignmentLogger()
        self.logging = logging

    def document(self, flags: Sequence[Flag]) -> bytes:
        return json.dumps(
            {
                "format": "SERVER",
                "createdAt": "2026-01-01T00:00:00Z",
                "environment": {"name": "benchmark"},
                "flags": {flag.key: self.flag(flag) for flag in flags},
            }
        ).encode()

    def flag(self, flag: Flag) -> dict:
        on, off = round(SHARE * 100), 10_000
        split = [
            {"variationKey": "on", "shards": [{"salt": flag.key, "ranges": [{"start": 0, "end": on}]}]},
            {"variationKey": "off", "shards": [{"salt": flag.key, "ranges": [{"start": on, "end": off}]}]},
        ]
        return {
            "key": flag.key,
            "enabled": True,
            "variationType": "BOOLEAN",
            "variations": {"on": {"key": "on", "value": True}, "off": {"key": "off", "value": False}},
            "totalShards": off,
            "allocations": [
                *(self.allocation(f"rule-{number}", rule) for number, rule in enumerate(flag.rules)),
                {"key": "rollout", "splits": split, "doLog": self.logging},
            ],
        }

    def allocation(self, key: str, rule: Rule) -> dict:
        operand = [rule.operand] if rule.operator == "equals" else rule.operand
        condition = {"attribute": rule.attribute, "operator": OPERATORS[rule.operator], "value": operand}
        return {
            "key": key,
            "rules": [{"conditions": [condition]}],
            "splits": [{"variationKey": "on", "shards": []}],
            "doLog": self.logging,
        }

    def load(self, document: bytes) -> None:
        self.client = eppo_client.init(
            eppo_client.ClientConfig(
                api_key="offline",
                assignment_logger=self.logger,
                initial_configuration=eppo_client.Configuration(flags_configuration=document),
                poll_interval_seconds=None,
            )
        )

    def prepare(self, questions: Sequence[Question]) -> list[tuple]:
        return [(question.flag, question.user.key, question.user.attributes) for question in questions]

    def evaluate(self, prepared: Sequence[tuple]) -> list[bool]:
        is_enabled = self.client.get_boolean_assignment
        return [is_enabled(flag, user, attributes, False) for flag, user, attributes in prepared]
