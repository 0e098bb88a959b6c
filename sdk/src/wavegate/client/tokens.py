"""Tokens by which a person's browser may give feedback: signed by the app, about one variant, for a short while.

Both sides derive the secret from the SDK key, so nothing is to be handed out. Format: docs/feedback.md.
"""

import base64
import hashlib
import hmac
import json
import secrets
from typing import Final

_PREFIX: Final = "wgf1"
_LONGEST_LIFE: Final = 24 * 3600


class Signer:
    """Signs with what follows from an SDK key; the key itself is in no token, and does not follow from one."""

    def __init__(self, sdk_key: str) -> None:
        key_hash = hashlib.sha256(sdk_key.encode()).hexdigest()
        self._mark = _derived("marks feedback tokens of ", key_hash).hex()[:16]
        self._secret = _derived("signs feedback tokens, for ", key_hash)

    def sign(
        self, *, flag: str, variant: str, targeting_key: str, cohort: int | str | None, expires: int, nonce: str
    ) -> str:
        """A token; the targeting key is in it as a hash that nobody else can make."""
        said: dict[str, object] = {"f": flag, "v": variant, "u": self._user(targeting_key), "e": expires, "n": nonce}
        if cohort is not None:
            said["c"] = cohort
        body = f"{_PREFIX}.{self._mark}.{_encoded(json.dumps(said, separators=(',', ':')).encode())}"
        return f"{body}.{_encoded(hmac.digest(self._secret, body.encode(), hashlib.sha256))}"

    def _user(self, targeting_key: str) -> str:
        return hmac.digest(self._secret, targeting_key.encode(), hashlib.sha256).hex()[:32]


def check_lifetime(seconds: object) -> None:
    """Refuses what is no lifetime of a token.

    Raises:
        ValueError: with the words for a message.
    """
    if type(seconds) not in (int, float) or not 0 < seconds <= _LONGEST_LIFE:  # type: ignore[operator]
        raise ValueError(f"is {seconds!r}; give seconds, {_LONGEST_LIFE} at most")


def nonce() -> str:
    """Makes one token unlike all others."""
    return secrets.token_hex(8)


def _derived(purpose: str, key_hash: str) -> bytes:
    return hashlib.sha256(f"{purpose}{key_hash}".encode()).digest()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
