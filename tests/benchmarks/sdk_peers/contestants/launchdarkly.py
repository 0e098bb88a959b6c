"""LaunchDarkly: flags from a file, no events."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import ldclient
from ldclient import Config, Context, LDClient
from ldclient.integrations import Files
from workload import SHARE, Flag, Question, Rule

OPERATORS = {"in": "in", "equals": "in", "above": "greaterThan"}


class Contestant:
    def document(self, flags: Sequence[Flag]) -> str:
        path = Path(tempfile.mkdtemp(prefix="launchdarkly-")) / "flags.json"
        path.write_text(json.dumps({"flags": {flag.key: self.flag(flag) for flag in flags}}))
        return str(path)

    def flag(self, flag: Flag) -> dict:
        shares = [{"variation": 0, "weight": SHARE * 1000}, {"variation": 1, "weight": 100_000 - SHARE * 1000}]
        return {
            "key": flag.key,
            "version": 1,
            "on": True,
            "salt": flag.key,
            "variations": [True, False],
            "offVariation": 1,
            "fallthrough": {"rollout": {"variations": shares}},
            "rules": [
                {"id": rule.attribute, "clauses": [self.clause(rule)], "variation": 0, "trackEvents": False}
                for rule in flag.rules
            ],
        }

    def clause(self, rule: Rule) -> dict:
        values = rule.operand if rule.operator == "in" else [rule.operand]
        return {"attribute": rule.attribute, "op": OPERATORS[rule.operator], "values": values, "negate": False}

    def load(self, document: str) -> None:
        self.config = Config(
            "offline",
            update_processor_class=Files.new_data_source(paths=[document]),
            send_events=False,
            diagnostic_opt_out=True,
        )
        self.client = LDClient(self.config, start_wait=30)

    def prepare(self, questions: Sequence[Question]) -> list[tuple]:
        return [(question.flag, self.context(question)) for question in questions]

    def context(self, question: Question) -> Context:
        builder = Context.builder(question.user.key)
        for name, value in question.user.attributes.items():
            builder.set(name, value)
        return builder.build()

    def evaluate(self, prepared: Sequence[tuple]) -> list[bool]:
        is_enabled = self.client.variation
        return [is_enabled(flag, context, False) for flag, context in prepared]

    def provider(self):
        from ld_openfeature import LaunchDarklyProvider

        return LaunchDarklyProvider(self.config)


ldclient.log.setLevel("ERROR")
