"""Rulesets as JSON: read whole or refused whole, written canonically."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from wavegate.evaluation.condition_codec import read_condition, write_condition
from wavegate.evaluation.errors import InvalidRuleset
from wavegate.evaluation.flag_codec import read_flag, write_flag
from wavegate.evaluation.parsed_flags import ParsedFlags
from wavegate.evaluation.reading import as_object, kind, required
from wavegate.evaluation.ruleset import Ruleset, check_schema


def ruleset_from_json(document: bytes | str | Mapping[str, Any]) -> Ruleset:
    """Reads a ruleset from JSON text, or from what JSON text was parsed to.

    Fields it does not know are ignored, so that an older SDK reads what a newer controller writes;
    an unknown `schema` says that ignoring would be wrong, and is refused.

    Raises:
        InvalidRuleset: it says where, what was found and what would be right.
    """
    is_ours = isinstance(document, bytes | str)
    root = _parsed(document) if isinstance(document, bytes | str) else document
    if not isinstance(root, Mapping):
        raise InvalidRuleset("ruleset", f"is {kind(root)}", "give a JSON object")
    # Before anything else: in another schema every other complaint would mislead.
    check_schema(required(root, "schema"))
    flags = as_object("flags", required(root, "flags"))
    segments = as_object("segments", {} if root.get("segments") is None else root["segments"])
    return Ruleset(
        schema=root["schema"],
        environment=required(root, "environment"),
        revision=required(root, "revision"),
        # What somebody else holds may change later, so that it is read now.
        flags=ParsedFlags(dict(flags)) if is_ours else {key: read_flag(key, fields) for key, fields in flags.items()},
        segments={name: read_condition(f"segments.{name}", condition) for name, condition in segments.items()},
    )


def ruleset_to_json(ruleset: Ruleset) -> bytes:
    """The canonical bytes: sorted keys, no spaces, UTF-8. The same ruleset gives the same bytes."""
    document: dict[str, Any] = {
        "schema": ruleset.schema,
        "environment": ruleset.environment,
        "revision": ruleset.revision,
        "flags": {key: write_flag(flag) for key, flag in ruleset.flags.items()},
    }
    if ruleset.segments:
        document["segments"] = {name: write_condition(condition) for name, condition in ruleset.segments.items()}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _parsed(text: bytes | str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except InvalidRuleset:
        raise
    except RecursionError:
        raise InvalidRuleset("ruleset", "is nested too deeply", "give a flatter document") from None
    except ValueError as problem:
        # Also text that is not UTF-8, and integers longer than Python reads.
        raise InvalidRuleset("ruleset", f"is not JSON ({problem})", "give JSON in UTF-8") from None


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRuleset("ruleset", f"holds {name}, which JSON does not have", "give a finite number")
