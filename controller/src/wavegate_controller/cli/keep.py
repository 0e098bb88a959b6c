"""The tokens of `wavegate login`, one for each controller, in a file that nobody else reads."""

import json
import os
from pathlib import Path

import click


def token(url: str) -> str | None:
    """The one for this controller."""
    found = _read().get(_key(url))
    return found if isinstance(found, str) else None


def put(url: str, secret: str) -> Path:
    """Keep it; gives the file where."""
    tokens = _read() | {_key(url): secret}
    return _write(tokens)


def drop(url: str) -> None:
    """Keep it no longer."""
    tokens = _read()
    if tokens.pop(_key(url), None) is not None:
        _write(tokens)


def _file() -> Path:
    return Path(click.get_app_dir("wavegate")) / "tokens.json"


def _key(url: str) -> str:
    return url.rstrip("/")


def _read() -> dict[str, str]:
    try:
        tokens = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return tokens if isinstance(tokens, dict) else {}


def _write(tokens: dict[str, str]) -> Path:
    """In one step, and never readable by others, not for an instant."""
    file = _file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        json.dump(tokens, opened, indent=2)
    fresh.replace(file)
    return file
