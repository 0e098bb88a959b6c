"""The floor: what Python itself charges for the same answer, with nothing around it.

Closures behind a client object, written by hand for just these flags, bucketing of flagd's
generation v3. It counts nothing, survives nothing, checks nothing and cannot be updated.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmh3 import mmh3_32_uintdigest as digest
from ruleset import ruleset
from workload import Flag, Question

Attributes = Mapping[str, Any]
NONE: Attributes = {}


class Client:
    def __init__(self, document: str) -> None:
        self._flags = {key: closure(key, flag) for key, flag in json.loads(document)["flags"].items()}

    def is_enabled(self, flag_key: str, targeting_key: str, attributes: Attributes = NONE) -> bool:
        return self._flags[flag_key](targeting_key, attributes)


class ByName(Client):
    """The same with attributes as keyword arguments, to see what those cost."""

    def is_enabled(self, flag_key: str, targeting_key: str, /, **attributes: Any) -> bool:
        return self._flags[flag_key](targeting_key, attributes)


def closure(key: str, flag: dict[str, Any]) -> Callable[[str, Attributes], bool]:
    prefix = b"\x82" + text_head(len(key.encode())) + key.encode()
    limit = -((-flag["rollout"]["weight"] << 32) // 100_000)
    heads = HEADS

    def split(targeting_key: str, _attributes: Attributes) -> bool:
        text = targeting_key.encode()
        length = len(text)
        return digest(prefix + (heads[length] if length < 256 else text_head(length)) + text) < limit

    if "rules" not in flag:
        return split
    first, second, third = (rule["if"] for rule in flag["rules"])
    countries, plan, days = frozenset(first["value"]), second["value"], third["value"]

    def rules_then_split(targeting_key: str, attributes: Attributes) -> bool:
        if attributes["country"] in countries or attributes["plan"] == plan or attributes["days"] > days:
            return True
        text = targeting_key.encode()
        length = len(text)
        return digest(prefix + (heads[length] if length < 256 else text_head(length)) + text) < limit

    return rules_then_split


def text_head(length: int) -> bytes:
    """What CBOR puts before a text of that many bytes."""
    if length < 24:
        return bytes((0x60 + length,))
    size, initial = (1, 0x78) if length < 1 << 8 else (2, 0x79) if length < 1 << 16 else (4, 0x7A)
    return bytes((initial,)) + length.to_bytes(size, "big")


HEADS = tuple(map(text_head, range(256)))


class Contestant:
    def __init__(self, *, by_name: bool = False) -> None:
        self.by_name = by_name

    def document(self, flags: Sequence[Flag]) -> str:
        return ruleset(flags)

    def load(self, document: str) -> None:
        self.client = ByName(document) if self.by_name else Client(document)

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
        from openfeature.flag_evaluation import FlagResolutionDetails
        from openfeature.provider import AbstractProvider, Metadata

        is_enabled = self.client.is_enabled

        class Floor(AbstractProvider):
            def get_metadata(self):
                return Metadata("floor")

            def resolve_boolean_details(self, flag_key, default_value, evaluation_context=None):
                return FlagResolutionDetails(
                    is_enabled(flag_key, evaluation_context.targeting_key, evaluation_context.attributes)
                )

            resolve_string_details = resolve_integer_details = resolve_float_details = resolve_object_details = None

        return Floor()
