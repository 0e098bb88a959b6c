"""Flags as they were parsed: checked when they come, made when they are first looked at."""

from collections.abc import Iterator, Mapping
from typing import Any

from wavegate.evaluation.bucketing import FULL_WEIGHT
from wavegate.evaluation.flag import Flag
from wavegate.evaluation.flag_codec import read_flag

_PLAIN_FIELDS = frozenset({"state", "variants", "default_variant", "generation", "rollout"})


class ParsedFlags(Mapping[str, Flag]):
    """The flags of a ruleset by key, for documents that nobody else holds and may change.

    A ruleset has thousands of flags and an app asks about a few. Most are plain: variants and a
    percentage. Those are looked at in place; every other one is read in full at once.
    """

    __slots__ = ("_flags", "not_plain")

    def __init__(self, documents: dict[str, Any]) -> None:
        """Refuses what `read_flag` refuses."""
        self._flags: dict[str, Any] = documents
        #: The keys of all that may need what else there is in the ruleset, such as segments.
        self.not_plain = tuple(key for key, document in documents.items() if not is_plain(key, document))
        for key in self.not_plain:
            self[key]

    def __getitem__(self, key: str) -> Flag:
        flag = self._flags[key]
        if type(flag) is not Flag:
            # In the place of what it is made of: that changes no sizes under the hands of another thread.
            flag = self._flags[key] = read_flag(key, flag)
        return flag

    def __iter__(self) -> Iterator[str]:
        return iter(self._flags)

    def __len__(self) -> int:
        return len(self._flags)

    def __contains__(self, key: object) -> bool:
        return key in self._flags

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ParsedFlags) and self._flags == other._flags:
            return True
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment] # like every mapping

    def __repr__(self) -> str:
        return repr(dict(self))


def is_plain(key: str, document: Any) -> bool:
    """Whether there is certainly nothing to refuse, nor anything that the flag needs from outside.

    What this says of every flag that is not asked is half of what it costs to take a ruleset in.
    """
    if type(document) is not dict or not document.keys() <= _PLAIN_FIELDS or not key or not key.isascii():
        return False
    variants, rollout = document.get("variants"), document.get("rollout")
    if type(variants) is not dict or not _is_in(variants, document.get("default_variant")):
        return False
    for name, value in variants.items():
        if type(value) is not bool or not name or not name.isascii():
            return False
    # Compared, not looked up: what comes from elsewhere may have no hash.
    if document.get("state", "enabled") not in ("enabled", "disabled"):
        return False
    if document.get("generation", "v3") not in ("v3", "v2"):
        return False
    return rollout is None or (type(rollout) is dict and _is_plain_rollout(rollout, variants))


def _is_plain_rollout(rollout: dict[str, Any], variants: dict[str, Any]) -> bool:
    stable, candidate, weight = rollout.get("stable"), rollout.get("candidate"), rollout.get("weight")
    return (
        type(weight) is int
        and 0 <= weight <= FULL_WEIGHT
        and _is_in(variants, stable)
        and _is_in(variants, candidate)
        and stable != candidate
        and rollout.get("holdout") is None
    )


def _is_in(variants: dict[str, Any], name: object) -> bool:
    return type(name) is str and name in variants
