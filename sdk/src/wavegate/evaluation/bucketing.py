"""Who is in: the hash of a key, its bucket among 100,000 and its cohort among 16.

The only module that imports mmh3. Both generations are flagd's, bit by bit, so that its evaluators
in other languages put the same people in the same arm.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import mmh3

TYPE_CHECKING = False  # as in wavegate/__init__.py
if TYPE_CHECKING:
    from typing import Final, TypeAlias

#: The weight at which everybody is in. One unit is a thousandth of a percent.
FULL_WEIGHT: Final = 100_000
COHORTS: Final = 16

KeyHash: TypeAlias = Callable[[str], int]


class Generation(StrEnum):
    """How a key is turned into bytes before it is hashed. It never changes while a rollout runs."""

    #: The UTF-8 of salt and key, one after the other; what most released flagd providers do.
    V2 = "v2"
    #: CBOR, so that salt and key cannot run into each other; where flagd is going.
    V3 = "v3"


_ARRAY_OF_TWO: Final = b"\x82"


def _text_head(length: int) -> bytes:
    """The bytes CBOR puts before a text of that many bytes (RFC 8949, 3.1, major type 3)."""
    if length < 24:  # noqa: PLR2004 # the RFC's own steps
        return bytes((0x60 + length,))
    for initial, size in ((0x78, 1), (0x79, 2), (0x7A, 4)):
        if length < 1 << (8 * size):
            return bytes((initial,)) + length.to_bytes(size, "big")
    return b"\x7b" + length.to_bytes(8, "big")


#: The hash of bytes, unsigned; for closures that have no call to spare.
digest: Final[Callable[[bytes], int]] = mmh3.mmh3_32_uintdigest


def prefix_of(generation: Generation, salt: str, *, joined: bool) -> Callable[[int], bytes]:
    """What stands before a key of so many bytes when it is hashed; what depends on the salt alone is done here, once.

    `joined` hashes salt and key as a single text, which flagd's rules can express with `cat`; it is
    the form for a custom salt or bucket-by attribute. Without it, v3 hashes the array of both.
    """
    encoded = salt.encode()
    if generation is Generation.V2:
        return lambda _length: encoded
    if joined:
        return lambda length: _text_head(len(encoded) + length) + encoded
    prefix = _ARRAY_OF_TWO + _text_head(len(encoded)) + encoded
    return lambda length: prefix + _text_head(length)


def key_hash(generation: Generation, salt: str, *, joined: bool) -> KeyHash:
    """The hash function of one flag. It raises for anything but a string that has a UTF-8 form."""
    prefix = prefix_of(generation, salt, joined=joined)

    def hashed(key: str) -> int:
        text = key.encode()
        return digest(prefix(len(text)) + text)

    return hashed


def bucket_of(hashed: int) -> int:
    """The place among 100,000; in the rollout if it is below the weight."""
    return (hashed * FULL_WEIGHT) >> 32


def cohort_of(hashed: int) -> int:
    """One of 16 groups within each arm, independent of the arm: buckets use the high bits."""
    return hashed & (COHORTS - 1)


def first_hash_outside(weight: int) -> int:
    """The hash from which on keys are out: `hash < it` says `bucket_of(hash) < weight`, faster."""
    return -((-weight << 32) // FULL_WEIGHT)
