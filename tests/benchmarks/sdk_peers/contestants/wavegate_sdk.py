"""Wavegate: the candidate, with exposures counted."""

from collections.abc import Sequence

from ruleset import ruleset
from workload import Flag, Question

import wavegate


class Contestant:
    def __init__(self, *, by_name: bool = False) -> None:
        self.by_name = by_name
        # A client's own imports wait for the first one: here, where others import theirs, so that "import to first
        # answer" has them and "5,000 flags" has not.
        wavegate.Client.offline(ruleset([]))

    def document(self, flags: Sequence[Flag]) -> str:
        return ruleset(flags)

    def load(self, document: str) -> None:
        self.client = wavegate.Client.offline(document)

    def prepare(self, questions: Sequence[Question]) -> list[tuple]:
        if self.by_name:
            return [(question.flag, question.user.key, *question.user.attributes.values()) for question in questions]
        if not questions[0].user.attributes:
            return [(question.flag, question.user.key) for question in questions]
        return [(question.flag, question.user.key, question.user.attributes) for question in questions]

    def evaluate(self, prepared: Sequence[tuple]) -> list[bool]:
        is_enabled = self.client.is_enabled
        match len(prepared[0]):
            case 2:
                return [is_enabled(flag, user) for flag, user in prepared]
            case 3:
                return [is_enabled(flag, user, attributes) for flag, user, attributes in prepared]
        return [
            is_enabled(flag, user, country=country, plan=plan, days=days)
            for flag, user, country, plan, days in prepared
        ]

    def provider(self):
        from wavegate.openfeature import WavegateProvider

        return WavegateProvider(self.client)
