"""Whether two flags split their users independently: who has the one must be no likelier to have the other."""

from dataclasses import dataclass
from typing import Final

from wavegate.evaluation import FULL_WEIGHT, key_hash
from wavegate.evaluation.bucketing import Generation, bucket_of

#: Made-up keys: the hash knows nothing of what a key looks like.
_KEYS: Final = 20_000
_HALF: Final = FULL_WEIGHT // 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """Two halves of the same users.

    Attributes:
        other: the other flag.
        share: of those in the first half, who are in the second, too; a half where both are independent.
        chi_square: with one degree of freedom: above 6.6 in one of a hundred pairs that are independent.
    """

    other: str
    share: float
    chi_square: float


def overlap(flag: str, other: str, *, generation: Generation = Generation.V3) -> Overlap:
    """Of two flags with salts of their own, at 50 % each."""
    first, second = (key_hash(generation, salt, joined=False) for salt in (flag, other))
    both = one = two = 0
    for number in range(_KEYS):
        key = f"user-{number}"
        in_first, in_second = (bucket_of(hashed(key)) < _HALF for hashed in (first, second))
        both += in_first and in_second
        one += in_first
        two += in_second
    expected = one * two / _KEYS
    cells = (
        (both, expected),
        (one - both, one - expected),
        (two - both, two - expected),
        (_KEYS - one - two + both, _KEYS - one - two + expected),
    )
    chi_square = sum((found - wanted) ** 2 / wanted for found, wanted in cells)
    return Overlap(other=other, share=both / one, chi_square=chi_square)
