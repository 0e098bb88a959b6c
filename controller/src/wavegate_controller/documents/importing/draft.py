"""One flag on its way from a source to a document: names that fit, one hash to split by, and what is left out."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from typing import Any, Final

from wavegate_controller.documents.importing.asking import ConditionDocument
from wavegate_controller.documents.importing.notes import CannotCarry, Note

FULL: Final = 100_000
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """Another flag of the source, and what it must serve: names of variants, asked of its draft."""

    flag: str
    variants: Callable[["Draft"], list[str]]


@dataclass(kw_only=True)
class Draft:
    """A flag that is being written.

    Attributes:
        key: at the source.
        variants: name to value.
        default_variant: what is served to whom nothing else is.
    """

    key: str
    variants: dict[str, Any]
    default_variant: str
    description: str = ""
    needs: list[Need] = field(default_factory=list)
    allow: dict[str, list[str]] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    generation: str | None = None
    notes: list[Note] = field(default_factory=list)
    _split_by: tuple[str | None, str | None] | None = None

    def rule(self, name: str | None, condition: ConditionDocument, serve: Any) -> None:
        """One more rule, behind those there are."""
        named = {"name": name} if name else {}
        self.rules.append({**named, "if": condition, "serve": serve})

    def split(
        self, shares: Mapping[str, Fraction], *, by: str | None = None, salt: str | None = None, place: str
    ) -> str | list[dict[str, Any]]:
        """What to serve to shares of people, which add up to 1; a variant, where one has all of it.

        Raises:
            CannotCarry: the flag already splits people by another attribute or salt.
        """
        there = [variant for variant, share in shares.items() if share]
        if len(there) == 1:
            return there[0]
        if self._split_by not in (None, (by, salt)):
            raise CannotCarry(
                place,
                "splits people by another attribute or seed than the flag's others, and a flag here has one hash",
                "give it a flag of its own",
            )
        self._split_by = (by, salt)
        return _weighted({variant: shares[variant] for variant in there})

    def lose(self, construct: str, why: str, instead: str) -> None:
        """Say what is left out."""
        self.notes.append(Note(flag=self.key, construct=construct, why=why, instead=instead))

    def mind(self, construct: str, why: str, instead: str) -> None:
        """Say what to mind, once."""
        note = Note(flag=self.key, construct=construct, why=why, instead=instead, is_lost=False)
        if note not in self.notes:
            self.notes.append(note)

    @property
    def splits(self) -> bool:
        """Whether a hash decides for anybody."""
        return self._split_by is not None

    @property
    def serves_people(self) -> bool:
        """Whether anybody gets anything but the default variant."""
        listed = any(keys for variant, keys in self.allow.items() if variant != self.default_variant)
        return listed or any(rule["serve"] != self.default_variant for rule in self.rules)

    def spec(self, key: str, prerequisites: Sequence[Mapping[str, Any]], exempt: str | None) -> dict[str, Any]:
        """The flag's fields, without those that say nothing."""
        by, salt = self._split_by or (None, None)
        fields: dict[str, Any] = {
            "key": key,
            "description": self.description,
            "variants": self.variants,
            "default_variant": self.default_variant,
            "salt": salt,
            "bucket_by": by,
            "generation": self.generation,
            "prerequisites": list(prerequisites),
            "allow": self.allow,
            "rules": self.rules,
            "exempt": exempt if self.serves_people else None,
        }
        return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def plain_name(text: str) -> str:
    """The nearest name that can stand in a label, a URL and a file name alike; empty if there is none."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text)
    plain = re.sub(r"[^a-z0-9._-]+", "-", spaced.lower())
    return plain[:_LONGEST_NAME].strip("._-")


def named_variants(values: Sequence[Any], names: Sequence[str | None] = ()) -> list[str]:
    """A name for each value of a flag: its own where it has one, on and off for booleans, else what it looks like."""
    named: list[str] = []
    for index, value in enumerate(values):
        own = names[index] if index < len(names) else None
        wish = plain_name(own or "") or _looks_like(value) or f"variant-{index + 1}"
        name, number = wish, 2
        while name in named:
            name, number = f"{wish}-{number}", number + 1
        named.append(name)
    return named


def _looks_like(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = value if isinstance(value, str) else json.dumps(value)
    return plain_name(text) if len(text) <= _LONGEST_NAME // 4 and not isinstance(value, dict | list) else ""


def _weighted(shares: Mapping[str, Fraction]) -> list[dict[str, Any]]:
    """Whole thousandths of a percent, each cut rounded, so that they add up."""
    ends = [round(end * FULL) for end in accumulate(shares.values())]
    begins = [0, *ends]
    return [
        {"variant": variant, "weight": end - begin} for variant, begin, end in zip(shares, begins, ends, strict=False)
    ]
