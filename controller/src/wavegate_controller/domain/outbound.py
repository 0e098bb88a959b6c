"""Addresses that the controller may post to, and the signature under what it posts.

Signed as https://www.standardwebhooks.com says, so that receivers find a library for it.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from wavegate_controller.domain.errors import Invalid

_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what a secret begins with
_SECRET_BYTES: Final = range(24, 65)
_PORTS: Final = {"http": 80, "https": 443}


def check_address(field: str, url: str) -> SplitResult:
    """The parts of an address that can be used.

    Raises:
        Invalid: it cannot.
    """
    expected = "an address such as https://checks.example.com/wavegate"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(char.isspace() or not char.isprintable() or char == "\\" for char in url):
        raise Invalid(field, "is not an http or https URL with a host", expected)
    if parts.username is not None or parts.password is not None:
        raise Invalid(field, "carries credentials, which end up in logs", expected)
    if parts.fragment:
        raise Invalid(field, "carries a fragment", expected)
    if {".", ".."} & set(unquote(parts.path).split("/")):
        raise Invalid(field, "has . or .. in its path", expected)
    return parts


def is_beneath(parts: SplitResult, allowed: SplitResult) -> bool:
    """Whether an address is the one that is allowed, or lies beneath its path."""
    if _origin(parts) != _origin(allowed):
        return False
    root = allowed.path.rstrip("/")
    return parts.path in (allowed.path, root) or parts.path.startswith(f"{root}/")


def signing_key(field: str, secret: str) -> bytes:
    """The key behind a secret.

    Raises:
        Invalid: it is none.
    """
    expected = "whsec_ and the base64 of 24 to 64 bytes, such as `openssl rand -base64 32` gives"
    if not secret.startswith(_SECRET_PREFIX):
        raise Invalid(field, "does not begin with whsec_", expected)
    try:
        key = b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except ValueError:
        raise Invalid(field, "is not base64", expected) from None
    if len(key) not in _SECRET_BYTES:
        raise Invalid(field, f"has {len(key)} bytes", expected)
    return key


def signature(key: bytes | None, message_id: str, body: bytes, *, now: datetime) -> Mapping[str, str]:
    """The headers that say which message this is, from when, and, with a key, that it is ours."""
    timestamp = str(int(now.timestamp()))
    headers = {"webhook-id": message_id, "webhook-timestamp": timestamp}
    if key is None:
        return headers
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return headers | {"webhook-signature": f"v1,{b64encode(digest).decode()}"}


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS[parts.scheme]
