"""Rulesets from this machine: what the caller gave, and the last known good one on disk."""

import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from wavegate.evaluation import InvalidRuleset, Ruleset, ruleset_from_json

#: A ruleset, what JSON was parsed to, JSON text, or the path of a file with JSON text.
Source: TypeAlias = Ruleset | Mapping[str, Any] | bytes | str | Path

_log = logging.getLogger("wavegate")


def read_ruleset(source: Source) -> Ruleset:
    """Reads a ruleset in any of its forms. A string that does not begin with a brace is a path.

    Raises:
        InvalidRuleset: it says where and why.
        OSError: the file cannot be read.
    """
    match source:
        case Ruleset():
            return source
        case Path():
            return ruleset_from_json(source.read_bytes())
        case str() if not source.lstrip().startswith("{"):
            return ruleset_from_json(Path(source).read_bytes())
        case _:
            return ruleset_from_json(source)


def read_last_known_good(path: Path) -> Ruleset | None:
    """What an earlier run kept; None, with a warning unless there is simply no file, when it is of no use."""
    try:
        return ruleset_from_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, InvalidRuleset) as problem:
        _log.warning("ignored the ruleset kept in %s: %s", path, problem, extra={"action": "cache_ignored"})
        return None


def keep_last_known_good(path: Path, document: bytes) -> None:
    """Replaces the file in one step, so that a crash leaves the old one or the new one.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(document)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
