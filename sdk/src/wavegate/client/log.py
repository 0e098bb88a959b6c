"""Where the SDK says what an operator should know; importing it is put off until there is something to say."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger


def log() -> "Logger":
    """The one logger. Each line has a stable `action`."""
    from logging import getLogger  # noqa: PLC0415 # costs more than the rest of the SDK's imports

    return getLogger("wavegate")
