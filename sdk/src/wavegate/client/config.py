"""What a client is told when it is made, checked there."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from wavegate.client.checks import ConfigError, check_seconds

#: As in pyproject.toml; asking the installation for it would take longer than all else a client does at its start.
VERSION: Final = "0.1.0"
LONGEST_NAME: Final = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Where the controller is and how to ask it. Times are seconds."""

    url: str
    sdk_key: str | None = field(default=None, repr=False)
    poll_interval: float = 1.0
    timeout: float = 5.0
    cache_path: Path | None = None
    stale_after: float = 300.0
    post_interval: float = 5.0
    stream: bool = True
    app_name: str | None = None

    def __post_init__(self) -> None:
        _check_url(self.url)
        check_seconds("poll_interval", self.poll_interval)
        check_seconds("timeout", self.timeout)
        check_seconds("stale_after", self.stale_after)
        check_seconds("post_interval", self.post_interval)
        if self.sdk_key is not None and not _fits_a_header(self.sdk_key):
            # The key itself stays out of the message: messages end up in logs.
            raise ConfigError(
                "sdk_key: is empty or has spaces or characters beyond ASCII; give the key as it was shown"
            )
        if self.app_name is not None and not (_fits_a_header(self.app_name) and len(self.app_name) <= LONGEST_NAME):
            raise ConfigError(
                f"app_name: is {self.app_name!r}; give up to {LONGEST_NAME} ASCII characters without spaces"
            )

    @property
    def ruleset_url(self) -> str:
        """What an SDK reads first, and again when nothing is pushed."""
        return self.url.rstrip("/") + "/sdk/v1/ruleset"

    @property
    def stream_url(self) -> str:
        """Where changes are pushed."""
        return self.url.rstrip("/") + "/sdk/v1/stream"

    @property
    def acks_url(self) -> str:
        """Where to say which ruleset is in use."""
        return self.url.rstrip("/") + "/sdk/v1/acks"

    @property
    def counts_url(self) -> str:
        """Where counts go, if an SDK is told to hand them over."""
        return self.url.rstrip("/") + "/sdk/v1/counts"


def _check_url(url: object) -> None:
    address = False
    # urlsplit raises for a bad bracket at once, for a bad port when that is read.
    with suppress(ValueError):
        if isinstance(url, str):
            parts = urlsplit(url)
            address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            address = address and not (parts.username or parts.password or parts.query or parts.fragment)
    if not address:
        raise ConfigError(
            "url: must be the controller's plain address, like https://wavegate.example.com, "
            "without user name, query or fragment; a key goes into sdk_key"
        )


def _fits_a_header(key: object) -> bool:
    return isinstance(key, str) and key != "" and key.isascii() and key.isprintable() and " " not in key
