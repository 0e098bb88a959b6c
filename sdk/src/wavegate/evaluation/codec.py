"""Rulesets as JSON: read whole or refused whole, written canonically."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from wavegate.evaluation.bucketing import Generation
from wavegate.evaluation.errors import InvalidRuleset
from wavegate.evaluation.ruleset import Flag, Rollout, Ruleset, check_schema

_STATES = {"enabled": True, "disabled": False}


def ruleset_from_json(document: bytes | str | Mapping[str, Any]) -> Ruleset:
    """Reads a ruleset from JSON text, or from what JSON text was parsed to.

    Fields it does not know are ignored, so that an older SDK reads what a newer controller writes;
    an unknown `schema` says that ignoring would be wrong, and is refused.

    Raises:
        InvalidRuleset: it says where, what was found and what would be right.
    """
    root = _parsed(document) if isinstance(document, bytes | str) else document
    if not isinstance(root, Mapping):
        raise InvalidRuleset("ruleset", f"is {_kind(root)}", "give a JSON object")
    # Before anything else: in another schema every other complaint would mislead.
    check_schema(_required(root, "schema"))
    flags = _object(root, "flags")
    return Ruleset(
        schema=root["schema"],
        environment=_required(root, "environment"),
        revision=_required(root, "revision"),
        flags={key: _flag(key, fields) for key, fields in flags.items()},
    )


def ruleset_to_json(ruleset: Ruleset) -> bytes:
    """The canonical bytes: sorted keys, no spaces, UTF-8. The same ruleset gives the same bytes."""
    document = {
        "schema": ruleset.schema,
        "environment": ruleset.environment,
        "revision": ruleset.revision,
        "flags": {key: _flag_fields(flag) for key, flag in ruleset.flags.items()},
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _flag_fields(flag: Flag) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "state": "enabled" if flag.enabled else "disabled",
        "variants": flag.variants,
        "default_variant": flag.default_variant,
        "generation": flag.generation,
    }
    if flag.salt is not None:
        fields["salt"] = flag.salt
    if flag.bucket_by is not None:
        fields["bucket_by"] = flag.bucket_by
    if flag.rollout is not None:
        fields["rollout"] = {
            "stable": flag.rollout.stable,
            "candidate": flag.rollout.candidate,
            "weight": flag.rollout.weight,
        }
    return fields


def _flag(key: str, fields: object) -> Flag:
    path = f"flags.{key}"
    if not isinstance(fields, Mapping):
        raise InvalidRuleset(path, f"is {_kind(fields)}", "give a JSON object")
    state = fields.get("state", "enabled")
    if not isinstance(state, str) or state not in _STATES:
        raise InvalidRuleset(f"{path}.state", f"is {state!r}", "say enabled or disabled")
    return Flag(
        key=key,
        variants=_object(fields, "variants", path),
        default_variant=_required(fields, "default_variant", path),
        enabled=_STATES[state],
        salt=fields.get("salt"),
        bucket_by=fields.get("bucket_by"),
        generation=_generation(fields.get("generation", Generation.V3), path),
        rollout=_rollout(fields, path),
    )


def _generation(name: Any, path: str) -> Generation:
    try:
        return Generation(name)
    except ValueError:
        raise InvalidRuleset(f"{path}.generation", f"is {name!r}", "use v2 or v3") from None


def _rollout(fields: Mapping[str, Any], path: str) -> Rollout | None:
    if fields.get("rollout") is None:
        return None
    rollout = _object(fields, "rollout", path)
    inside = f"{path}.rollout"
    stable, candidate, weight = (_required(rollout, name, inside) for name in ("stable", "candidate", "weight"))
    try:
        return Rollout(stable=stable, candidate=candidate, weight=weight)
    except InvalidRuleset as refused:
        raise refused.under(path) from None


def _object(fields: Mapping[str, Any], name: str, path: str = "") -> Mapping[str, Any]:
    value = _required(fields, name, path)
    if not isinstance(value, Mapping):
        raise InvalidRuleset(_join(path, name), f"is {_kind(value)}", "give a JSON object")
    return value


def _required(fields: Mapping[str, Any], name: str, path: str = "") -> Any:
    try:
        return fields[name]
    except KeyError:
        raise InvalidRuleset(_join(path, name), "is missing", "a ruleset must have it") from None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


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


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return f"of type {type(value).__name__}"
