"""Rulesets from this machine: what the caller gave, and the last known good one on disk."""

from __future__ import annotations

import os
import threading

from wavegate.client.log import log
from wavegate.evaluation.codec import ruleset_from_json
from wavegate.evaluation.errors import InvalidRuleset
from wavegate.evaluation.ruleset import Ruleset

TYPE_CHECKING = False  # as in wavegate/__init__.py
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any, TypeAlias

    #: A ruleset, what JSON was parsed to, JSON text, or the path of a file with JSON text.
    Source: TypeAlias = Ruleset | Mapping[str, Any] | bytes | str | os.PathLike[str]


def read_ruleset(source: Source) -> Ruleset:
    """Reads a ruleset in any of its forms. A string that does not begin with a brace is a path.

    Raises:
        InvalidRuleset: it says where and why.
        OSError: the file cannot be read.
    """
    if isinstance(source, Ruleset):
        return source
    if isinstance(source, os.PathLike) or (isinstance(source, str) and not source.lstrip().startswith("{")):
        from pathlib import Path  # noqa: PLC0415 # costs four milliseconds that an import of wavegate can do without

        return ruleset_from_json(Path(source).read_bytes())
    return ruleset_from_json(source)


def read_last_known_good(path: Path) -> Ruleset | None:
    """What an earlier run kept; None, with a warning unless there is simply no file, when it is of no use."""
    try:
        return ruleset_from_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, InvalidRuleset) as problem:
        log().warning("ignored the ruleset kept in %s: %s", path, problem, extra={"action": "cache_ignored"})
        return None


def keep_last_known_good(path: Path, document: bytes) -> None:
    """Replaces the file in one step, so that a crash leaves the old one or the new one.

    Raises:
        OSError: the file cannot be written; the old one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own for each writer, so that processes may share a cache; and the same one next time, so that
    # what a killed writer left behind is overwritten.
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with open(draft, "wb", opener=_private) as file:  # Path.open takes no opener
            file.write(document)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _private(path: str, flags: int) -> int:
    """A ruleset may name people; it is for the app's own eyes."""
    return os.open(path, flags, 0o600)
