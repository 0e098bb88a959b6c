"""Any contestant, asked through the OpenFeature client."""

from collections.abc import Sequence
from typing import Any

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from workload import Flag, Question


class ThroughOpenFeature:
    def __init__(self, contestant: Any) -> None:
        self.contestant = contestant

    def document(self, flags: Sequence[Flag]) -> Any:
        return self.contestant.document(flags)

    def load(self, document: Any) -> None:
        self.contestant.load(document)
        # Before 0.10 setting one always waited.
        getattr(api, "set_provider_and_wait", api.set_provider)(self.contestant.provider())
        self.client = api.get_client()

    def prepare(self, questions: Sequence[Question]) -> list[tuple]:
        return [
            (question.flag, EvaluationContext(question.user.key, question.user.attributes)) for question in questions
        ]

    def evaluate(self, prepared: Sequence[tuple]) -> list[bool]:
        is_enabled = self.client.get_boolean_value
        return [is_enabled(flag, False, context) for flag, context in prepared]
