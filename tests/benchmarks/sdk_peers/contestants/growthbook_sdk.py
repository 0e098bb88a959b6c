"""GrowthBook: the client for many users. It is asynchronous, and never waits for anything once it has its features."""

import asyncio
import json
from collections.abc import Sequence

from growthbook import GrowthBookClient, Options, UserContext
from workload import SHARE, Flag, Question, Rule

OPERATORS = {"in": "$in", "equals": "$eq", "above": "$gt"}


class Contestant:
    def document(self, flags: Sequence[Flag]) -> str:
        return json.dumps({"features": {flag.key: self.feature(flag) for flag in flags}})

    def feature(self, flag: Flag) -> dict:
        return {
            "defaultValue": False,
            "rules": [
                *({"condition": self.condition(rule), "force": True} for rule in flag.rules),
                {"force": True, "coverage": SHARE / 100, "hashAttribute": "id", "seed": flag.key, "hashVersion": 2},
            ],
        }

    def condition(self, rule: Rule) -> dict:
        return {rule.attribute: {OPERATORS[rule.operator]: rule.operand}}

    def load(self, document: str) -> None:
        self.client = GrowthBookClient(Options(api_host="http://127.0.0.1:9", client_key="offline"))
        asyncio.run(self.client.set_payload(json.loads(document)))

    def prepare(self, questions: Sequence[Question]) -> list[tuple]:
        return [
            (question.flag, UserContext(attributes={"id": question.user.key, **question.user.attributes}))
            for question in questions
        ]

    def evaluate(self, prepared: Sequence[tuple]) -> list[bool]:
        asking = self.ask(prepared)
        try:
            asking.send(None)  # an event loop would only add to its time
        except StopIteration as done:
            return done.value
        raise RuntimeError("it wanted to wait")

    async def ask(self, prepared: Sequence[tuple]) -> list[bool]:
        is_enabled = self.client.is_on
        return [await is_enabled(flag, user) for flag, user in prepared]

    def provider(self):
        from growthbook_openfeature_provider import GrowthBookProvider, GrowthBookProviderOptions

        provider = GrowthBookProvider(GrowthBookProviderOptions(api_host="http://127.0.0.1:9", client_key="offline"))
        provider.client, provider.initialized = self.client, True
        # OpenFeature calls it without awaiting; there is nothing left to initialize.
        provider.initialize = lambda _context: None
        # Without a loop it makes one, closes it, and answers the default from the second question on.
        asyncio.set_event_loop(asyncio.new_event_loop())
        return provider
