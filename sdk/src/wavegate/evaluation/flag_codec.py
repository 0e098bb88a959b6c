"""Flags as JSON. What is absent is left out, so that the same flag is always the same text."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from wavegate.evaluation.bucketing import Generation
from wavegate.evaluation.condition_codec import read_condition, write_condition
from wavegate.evaluation.errors import InvalidRuleset
from wavegate.evaluation.flag import Flag, Holdout, Pilot, Prerequisite, Rollout, Rule, Serve, Share, Stale
from wavegate.evaluation.reading import as_list, as_object, built, kind, required

E = TypeVar("E", bound=StrEnum)

_STATES = {"enabled": True, "disabled": False}


def read_flag(key: str, document: object) -> Flag:
    """Reads a flag.

    Raises:
        InvalidRuleset: it says where, what was found and what would be right.
    """
    path = f"flags.{key}"
    fields = as_object(path, document)
    state = fields.get("state", "enabled")
    if not isinstance(state, str) or state not in _STATES:
        raise InvalidRuleset(f"{path}.state", f"is {state!r}", "say enabled or disabled")
    return Flag(
        key=key,
        variants=as_object(path, required(fields, "variants", path), "variants"),
        default_variant=required(fields, "default_variant", path),
        enabled=_STATES[state],
        salt=fields.get("salt"),
        bucket_by=fields.get("bucket_by"),
        generation=_read_generation(path, fields),
        rollout=_read_rollout(path, fields),
        **({} if _TARGETING.keys().isdisjoint(fields) else _read_targeting(path, fields)),
    )


def write_flag(flag: Flag) -> dict[str, Any]:
    """Writes a flag, as `read_flag` reads it."""
    fields: dict[str, Any] = {
        "state": "enabled" if flag.enabled else "disabled",
        "variants": flag.variants,
        "default_variant": flag.default_variant,
        "generation": flag.generation,
    }
    rollout, pilot = flag.rollout, flag.pilot
    optional: dict[str, Any] = {
        "salt": flag.salt,
        "bucket_by": flag.bucket_by,
        "rollout": None if rollout is None else _write_rollout(rollout),
        "prerequisites": [{"flag": one.flag, "variants": list(one.variants)} for one in flag.prerequisites] or None,
        "deny": list(flag.deny) or None,
        "allow": {variant: list(keys) for variant, keys in flag.allow.items()} or None,
        "rules": [_write_rule(rule) for rule in flag.rules] or None,
        "pilot": None if pilot is None else _write_pilot(pilot),
        "stale": None if flag.stale is Stale.KEEP else flag.stale,
    }
    return fields | _present(optional)


def _read_targeting(path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What few flags have; a flag without it costs a look."""
    return {
        name: read(f"{path}.{name}", fields[name]) for name, read in _TARGETING.items() if fields.get(name) is not None
    }


def _read_rollout(path: str, fields: Mapping[str, Any]) -> Rollout | None:
    document = fields.get("rollout")
    if document is None:
        return None
    inside = f"{path}.rollout"
    rollout = as_object(inside, document)
    stable = required(rollout, "stable", inside)
    candidate = required(rollout, "candidate", inside)
    if type(candidate) is not str:
        candidate = _read_serve(f"{inside}.candidate", candidate)
    weight = required(rollout, "weight", inside)
    holdout = _read_holdout(f"{inside}.holdout", rollout.get("holdout"))
    try:
        return Rollout(stable=stable, candidate=candidate, weight=weight, holdout=holdout)
    except InvalidRuleset as refused:
        raise refused.under(path) from None


def _write_rollout(rollout: Rollout) -> dict[str, Any]:
    holdout = rollout.holdout
    fields = {"stable": rollout.stable, "candidate": _write_serve(rollout.candidate), "weight": rollout.weight}
    if holdout is not None:
        fields["holdout"] = {"weight": holdout.weight} | _present({"salt": holdout.salt})
    return fields


def _read_holdout(path: str, document: object) -> Holdout | None:
    if document is None:
        return None
    fields = as_object(path, document)
    return built(path, Holdout, weight=required(fields, "weight", path), salt=fields.get("salt"))


def _read_serve(path: str, document: object) -> Serve:
    if not isinstance(document, list):
        if not isinstance(document, str):
            raise InvalidRuleset(path, f"is {kind(document)}", "give a variant, or a list of variants with weights")
        return document
    return tuple(_read_share(f"{path}[{index}]", item) for index, item in enumerate(document))


def _read_share(path: str, document: object) -> Share:
    fields = as_object(path, document)
    return built(path, Share, variant=required(fields, "variant", path), weight=required(fields, "weight", path))


def _write_serve(serve: Serve) -> Any:
    if isinstance(serve, str):
        return serve
    return [{"variant": share.variant, "weight": share.weight} for share in serve]


def _read_rules(path: str, document: object) -> tuple[Rule, ...]:
    return tuple(_read_rule(f"{path}[{index}]", item) for index, item in enumerate(as_list(path, document)))


def _read_rule(path: str, document: object) -> Rule:
    fields = as_object(path, document)
    condition = read_condition(f"{path}.if", required(fields, "if", path))
    serve = _read_serve(f"{path}.serve", required(fields, "serve", path))
    return built(path, Rule, condition=condition, serve=serve, name=fields.get("name"))


def _write_rule(rule: Rule) -> dict[str, Any]:
    return {"if": write_condition(rule.condition), "serve": _write_serve(rule.serve)} | _present({"name": rule.name})


def _read_pilot(path: str, document: object) -> Pilot:
    fields = as_object(path, document)
    condition = fields.get("if")
    return built(
        path,
        Pilot,
        keys=_read_keys(f"{path}.keys", fields.get("keys")),
        condition=None if condition is None else read_condition(f"{path}.if", condition),
        limit=fields.get("limit"),
        opted_out=_read_keys(f"{path}.opted_out", fields.get("opted_out")),
        usage_key=fields.get("usage_key"),
    )


def _write_pilot(pilot: Pilot) -> dict[str, Any]:
    return _present(
        {
            "keys": list(pilot.keys) or None,
            "if": None if pilot.condition is None else write_condition(pilot.condition),
            "limit": pilot.limit,
            "opted_out": list(pilot.opted_out) or None,
            "usage_key": pilot.usage_key,
        }
    )


def _read_prerequisites(path: str, document: object) -> tuple[Prerequisite, ...]:
    return tuple(_read_prerequisite(f"{path}[{index}]", item) for index, item in enumerate(as_list(path, document)))


def _read_prerequisite(path: str, document: object) -> Prerequisite:
    fields = as_object(path, document)
    variants = tuple(as_list(f"{path}.variants", required(fields, "variants", path)))
    return built(path, Prerequisite, flag=required(fields, "flag", path), variants=variants)


def _read_keys(path: str, document: object) -> tuple[str, ...]:
    return () if document is None else tuple(as_list(path, document))


def _read_allow(path: str, document: object) -> dict[str, tuple[str, ...]]:
    return {variant: _read_keys(f"{path}.{variant}", keys) for variant, keys in as_object(path, document).items()}


def _read_generation(path: str, fields: Mapping[str, Any]) -> Generation:
    name = fields.get("generation", Generation.V3)
    return Generation.V3 if name == "v3" else _member(Generation, f"{path}.generation", name)


def _read_stale(path: str, document: object) -> Stale:
    return _member(Stale, path, document)


_TARGETING = {
    "prerequisites": _read_prerequisites,
    "deny": _read_keys,
    "allow": _read_allow,
    "rules": _read_rules,
    "pilot": _read_pilot,
    "stale": _read_stale,
}


def _member(choices: type[E], path: str, name: Any) -> E:
    try:
        return choices(name)
    except ValueError:
        raise InvalidRuleset(path, f"is {name!r}", f"use {' or '.join(choices)}") from None


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
