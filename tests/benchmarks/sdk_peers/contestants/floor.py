"""The floor: what Python itself charges for the same answer, with nothing around it.

Closures behind a client object, written by hand for just these flags, bucketing of flagd's
generation v3. It counts nothing, survives nothing, checks nothing and cannot be updated. The
plain one is what targets are stated against; the other two tell what a choice is worth.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmh3 import mmh3_32_uintdigest as digest
from ruleset import ruleset
from workload import Flag, Question

Attributes = Mapping[str, Any]
Closure = Callable[[str, Attributes], bool]
NONE: Attributes = {}


class Client:
    def __init__(self, flags: Mapping[str, Closure]) -> None:
        self._flags = flags

    def is_enabled(self, flag_key: str, targeting_key: str, attributes: Attributes = NONE) -> bool:
        return self._flags[flag_key](targeting_key, attributes)


class ClientByName(Client):
    """The same with attributes as keyword arguments, to see what those cost."""

    def is_enabled(self, flag_key: str, targeting_key: str, /, **attributes: Any) -> bool:
        return self._flags[flag_key](targeting_key, attributes)


def closure(key: str, flag: dict[str, Any]) -> Closure:
    prefix, limit = prefix_and_limit(key, flag)
    heads = HEADS

    def split(targeting_key: str, _attributes: Attributes) -> bool:
        text = targeting_key.encode()
        length = len(text)
        return digest(prefix + (heads[length] if length < 256 else text_head(length)) + text) < limit

    if "rules" not in flag:
        return split
    countries, plan, days = operands(flag)

    def rules_then_split(targeting_key: str, attributes: Attributes) -> bool:
        if attributes["country"] in countries or attributes["plan"] == plan or attributes["days"] > days:
            return True
        text = targeting_key.encode()
        length = len(text)
        return digest(prefix + (heads[length] if length < 256 else text_head(length)) + text) < limit

    return rules_then_split


def closure_joining_less(key: str, flag: dict[str, Any]) -> Closure:
    """The same with one concatenation less: prefix and head are remembered together, by the length of the key."""
    prefix, limit = prefix_and_limit(key, flag)
    prefixes = Prefixes(prefix)

    def split(targeting_key: str, _attributes: Attributes) -> bool:
        text = targeting_key.encode()
        return digest(prefixes[len(text)] + text) < limit

    if "rules" not in flag:
        return split
    countries, plan, days = operands(flag)

    def rules_then_split(targeting_key: str, attributes: Attributes) -> bool:
        if attributes["country"] in countries or attributes["plan"] == plan or attributes["days"] > days:
            return True
        text = targeting_key.encode()
        return digest(prefixes[len(text)] + text) < limit

    return rules_then_split


class Prefixes(dict[int, bytes]):
    def __init__(self, prefix: bytes) -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, length: int) -> bytes:
        self[length] = self._prefix + text_head(length)
        return self[length]


def prefix_and_limit(key: str, flag: dict[str, Any]) -> tuple[bytes, int]:
    prefix = b"\x82" + text_head(len(key.encode())) + key.encode()
    return prefix, -((-flag["rollout"]["weight"] << 32) // 100_000)


def operands(flag: dict[str, Any]) -> tuple[frozenset[str], str, int]:
    """What the three rules compare with."""
    countries, plan, days = (rule["if"]["value"] for rule in flag["rules"])
    return frozenset(countries), plan, days


def text_head(length: int) -> bytes:
    """What CBOR puts before a text of that many bytes."""
    if length < 24:
        return bytes((0x60 + length,))
    size, initial = (1, 0x78) if length < 1 << 8 else (2, 0x79) if length < 1 << 16 else (4, 0x7A)
    return bytes((initial,)) + length.to_bytes(size, "big")


HEADS = tuple(map(text_head, range(256)))


class Contestant:
    def __init__(self, *, by_name: bool = False, joining_less: bool = False) -> None:
        self.by_name = by_name
        self.closure = closure_joining_less if joining_less else closure

    def document(self, flags: Sequence[Flag]) -> str:
        return ruleset(flags)

    def load(self, document: str) -> None:
        flags = {key: self.closure(key, flag) for key, flag in json.loads(document)["flags"].items()}
        self.client = ClientByName(flags) if self.by_name else Client(flags)

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
