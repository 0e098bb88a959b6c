"""What changed from one revision of a ruleset to another, and the check that both ends then have the same bytes.

Format: docs/streaming.md. A delta is applied to the canonical bytes, and names the hash of what must come out: whoever
gets anything else has lost nothing, and fetches the ruleset whole.
"""

import hashlib
import json
from typing import Any, Final

from wavegate.evaluation.errors import WavegateError

_PARTS: Final = ("flags", "segments")


class DeltaMismatch(WavegateError, ValueError):
    """A delta does not lead from the ruleset at hand to the one that it promises: fetch that one whole."""


def document_hash(document: bytes) -> str:
    """The first 128 bits of SHA-256, in hex: what names a ruleset's bytes, in deltas, event ids and ETags."""
    return hashlib.sha256(document).hexdigest()[:32]


def delta_between(before: bytes, after: bytes) -> bytes:
    """The delta from one canonical ruleset to another of the same environment and schema."""
    old, new = json.loads(before), json.loads(after)
    delta: dict[str, Any] = {
        "schema": new["schema"],
        "environment": new["environment"],
        "base": old["revision"],
        "revision": new["revision"],
        "hash": document_hash(after),
    }
    for part in _PARTS:
        was, now = old.get(part, {}), new.get(part, {})
        changes = {key: value for key, value in now.items() if key not in was or not _is_same(was[key], value)}
        changes |= dict.fromkeys(was.keys() - now.keys())
        if changes:
            delta[part] = changes
    return _canonical(delta)


def apply_delta(document: bytes, delta: bytes | str) -> bytes:
    """The canonical ruleset that a delta makes of another.

    Raises:
        DeltaMismatch: the delta is for another ruleset, or what comes out is not what it promises.
    """
    try:
        after, promised = _applied(json.loads(document), json.loads(delta))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise DeltaMismatch(f"the delta cannot be applied: {problem}") from None
    if document_hash(after) != promised:
        raise DeltaMismatch(f"the ruleset that comes out is not the one that the delta promises, {promised}")
    return after


def _applied(ruleset: dict[str, Any], delta: dict[str, Any]) -> tuple[bytes, str]:
    wanted = {name: delta[name] for name in ("schema", "environment")} | {"revision": delta["base"]}
    if any(ruleset[name] != value for name, value in wanted.items()):
        raise ValueError(f"it is for {wanted}")
    ruleset["revision"] = delta["revision"]
    for part in _PARTS:
        _change(ruleset, part, delta.get(part) or {})
    return _canonical(ruleset), delta["hash"]


def _change(ruleset: dict[str, Any], part: str, changes: dict[str, Any]) -> None:
    members = dict(ruleset.get(part, {}))
    for key, value in changes.items():
        if value is None:
            members.pop(key, None)
        else:
            members[key] = value
    if members or part == "flags":
        ruleset[part] = members
    else:
        # Canonical rulesets leave out what is absent.
        ruleset.pop(part, None)


def _is_same(one: Any, other: Any) -> bool:
    """As text: to Python 1, 1.0 and True are equal."""
    return one == other and repr(one) == repr(other)


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
