"""What an app may give a client, as far as it needs no more than looking at it."""

from __future__ import annotations

import math

from wavegate.client.counters import DEFAULT_CAPS
from wavegate.evaluation.errors import WavegateError

TYPE_CHECKING = False  # as in wavegate/__init__.py
if TYPE_CHECKING:
    from collections.abc import Mapping


class ConfigError(WavegateError, ValueError):
    """A client was given something it cannot work with."""


def check_seconds(name: str, value: object) -> None:
    """Refuses what is no span of time."""
    if not _is_positive(value):
        raise ConfigError(f"{name}: is {value!r}; give seconds, more than 0")


def read_caps(caps: Mapping[str, float] | None) -> dict[str, float]:
    """The most that one request adds, for each kind of value."""
    for kind, cap in (caps or {}).items():
        if kind not in DEFAULT_CAPS:
            raise ConfigError(f"value_caps: {kind!r} is no kind of value; use {', '.join(DEFAULT_CAPS)}")
        if not _is_positive(cap):
            raise ConfigError(f"value_caps.{kind}: is {cap!r}; give a number, more than 0")
    return {**DEFAULT_CAPS, **(caps or {})}


def _is_positive(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) and value > 0
