"""Where the SDK says what an operator should know; importing it is put off until there is something to say."""

from __future__ import annotations

TYPE_CHECKING = False  # as in wavegate/__init__.py
if TYPE_CHECKING:
    from logging import Logger


def log() -> Logger:
    """The one logger. Each line has a stable `action`."""
    from logging import getLogger  # noqa: PLC0415 # costs more than the rest of the SDK's imports

    return getLogger("wavegate")
