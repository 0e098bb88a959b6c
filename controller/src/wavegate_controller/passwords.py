"""Hashing passwords with Argon2id, the only door to argon2-cffi."""

from contextlib import suppress
from threading import BoundedSemaphore
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY

#: Each takes 64 MiB while it works: whoever sends many passwords at once must not take them all.
_AT_ONCE: Final = 2


class Argon2Passwords:
    """Fulfils `ports.Passwords`.

    Args:
        hasher: says how much work a hash is; by default RFC 9106's second recommendation, some 50 ms.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
        self._turn = BoundedSemaphore(_AT_ONCE)
        # Of a password that nobody has: a name that does not exist costs as much as one that does.
        self._nobodys = self._hasher.hash("nobody's")

    def hash(self, password: str) -> str:
        """With a salt of its own, and saying how it was made."""
        with self._turn:
            return self._hasher.hash(password)

    def fits(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the one that was hashed; without a hash False, after as much work."""
        with self._turn, suppress(VerifyMismatchError, VerificationError, InvalidHashError):
            self._hasher.verify(password_hash or self._nobodys, password)
            return password_hash is not None
        return False

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it should be made again, with more work."""
        return self._hasher.check_needs_rehash(password_hash)
