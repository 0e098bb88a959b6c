"""flagd in process, with the flags in a file. Its SDK is an OpenFeature provider, which is asked directly."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from workload import SHARE, Flag, Question, Rule

OPERATORS = {"in": "in", "equals": "==", "above": ">"}


class Contestant:
    def document(self, flags: Sequence[Flag]) -> str:
        path = Path(tempfile.mkdtemp(prefix="flagd-")) / "flags.json"
        path.write_text(json.dumps({"flags": {flag.key: self.flag(flag) for flag in flags}}))
        return str(path)

    def flag(self, flag: Flag) -> dict:
        share = {"fractional": [["on", SHARE * 1000], ["off", 100_000 - SHARE * 1000]]}
        rules = [part for rule in flag.rules for part in (self.condition(rule), "on")]
        return {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "off",
            "targeting": {"if": [*rules, share]} if rules else share,
        }

    def condition(self, rule: Rule) -> dict:
        return {OPERATORS[rule.operator]: [{"var": rule.attribute}, rule.operand]}

    def load(self, document: str) -> None:
        self.flagd = FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=document)
        self.flagd.initialize(EvaluationContext())

    def prepare(self, questions: Sequence[Question]) -> list[tuple]:
        return [
            (question.flag, EvaluationContext(question.user.key, question.user.attributes)) for question in questions
        ]

    def evaluate(self, prepared: Sequence[tuple]) -> list[bool]:
        resolve = self.flagd.resolve_boolean_details
        return [resolve(flag, False, context).value for flag, context in prepared]

    def provider(self):
        return self.flagd
