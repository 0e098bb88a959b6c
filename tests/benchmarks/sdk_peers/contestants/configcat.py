"""ConfigCat: offline, with its config in the cache that it would keep between fetches."""

import json
from collections.abc import Sequence

from configcatclient import ConfigCatClient, ConfigCatOptions, PollingMode
from configcatclient.configentry import ConfigEntry
from configcatclient.interfaces import ConfigCache
from configcatclient.user import User
from workload import SHARE, Flag, Question, Rule

SDK_KEY = "configcat-sdk-1/0123456789012345678901/0123456789012345678901"
ATTRIBUTES = {"country": "Country"}
COMPARATORS = {"in": 0, "equals": 28, "above": 14}
OPERANDS = {"in": "l", "equals": "s", "above": "d"}


class Cache(ConfigCache):
    def __init__(self, document: str) -> None:
        self.entry = ConfigEntry(config=json.loads(document), etag="1", config_json_string=document).serialize()

    def get(self, key: str) -> str:
        return self.entry

    def set(self, key: str, value: str) -> None:
        pass


class Contestant:
    def document(self, flags: Sequence[Flag]) -> str:
        return json.dumps(
            {
                "p": {"u": "http://127.0.0.1:9", "r": 0, "s": "salt"},
                "f": {flag.key: self.setting(flag) for flag in flags},
            }
        )

    def setting(self, flag: Flag) -> dict:
        on, off = {"b": True}, {"b": False}
        return {
            "t": 0,
            "v": off,
            "r": [{"c": [{"u": self.condition(rule)}], "s": {"v": on}} for rule in flag.rules],
            "p": [{"p": SHARE, "v": on}, {"p": 100 - SHARE, "v": off}],
        }

    def condition(self, rule: Rule) -> dict:
        attribute = ATTRIBUTES.get(rule.attribute, rule.attribute)
        return {"a": attribute, "c": COMPARATORS[rule.operator], OPERANDS[rule.operator]: rule.operand}

    def load(self, document: str) -> None:
        self.options = ConfigCatOptions(
            polling_mode=PollingMode.manual_poll(), config_cache=Cache(document), offline=True
        )
        self.client = ConfigCatClient.get(SDK_KEY, self.options)

    def prepare(self, questions: Sequence[Question]) -> list[tuple]:
        return [
            (
                question.flag,
                User(
                    question.user.key, country=question.user.attributes.get("country"), custom=question.user.attributes
                ),
            )
            for question in questions
        ]

    def evaluate(self, prepared: Sequence[tuple]) -> list[bool]:
        is_enabled = self.client.get_value
        return [is_enabled(flag, False, user) for flag, user in prepared]

    def provider(self):
        from configcat_openfeature_provider import ConfigCatProvider

        return ConfigCatProvider(SDK_KEY, self.options)
