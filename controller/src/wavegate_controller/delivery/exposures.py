"""What this server answered for apps that have no SDK, counted under the SDK's own names.

An answer counts as an evaluation; where a rollout drew the variant, the user counts as exposed, once in a wave. It is
no finished request: only the app knows how a request ended, and one without an outcome would look like a good one.
"""

from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

from wavegate.evaluation import EvaluationDetails, Flag

Cell: TypeAlias = list[int]
#: Flag, variant and reason.
Given: TypeAlias = tuple[str, str, str]

#: Users are told apart by as many bits of a hash as the bitmap has: n users under M bits count as some n - n²/2M.
_LARGEST_BITMAP: Final = 128 * 1024
_SMALLEST_BITMAP: Final = 1024
#: What all bitmaps of an environment may take together, unless it has more than 32,000 flags.
_BITMAPS: Final = 32 * 1024 * 1024
#: Drawn at random from one crowd, so that their shares say whether the draw is fair.
_DRAWN: Final = frozenset({"rollout", "rollout.holdout"})


def is_drawn(answer: EvaluationDetails) -> bool:
    """Whether chance alone decided between the variants of a rollout."""
    return answer.decided_by in _DRAWN


class Users:
    """Which users of one flag were seen in the present wave, as a bitmap that all its variants share.

    Attributes:
        bits: the bitmap; of one byte until somebody is seen.
        last: the index of its last byte, all of whose bits are 1.
    """

    __slots__ = ("_size", "_wave", "bits", "last")

    def __init__(self) -> None:
        self._wave: object = self
        self.begin(None, _LARGEST_BITMAP)

    def begin(self, wave: object, size: int) -> None:
        """A rollout that differs from the one before is a new wave: everybody counts again, in so many bytes."""
        if wave != self._wave:
            self._wave, self._size, self.bits, self.last = wave, size, bytearray(1), 0

    def see(self, user: int, exposed: Cell) -> None:
        """Count the user, given as any hash, unless seen before."""
        if self.last == 0:
            self.bits, self.last = bytearray(self._size), self._size - 1
        place, mask = (user >> 3) & self.last, 1 << (user & 7)
        if not self.bits[place] & mask:
            self.bits[place] |= mask
            exposed[0] += 1


class Exposures:
    """The counts of one environment, in cells that one thread writes and others may read."""

    def __init__(self) -> None:
        self._evaluations: dict[Given, Cell] = {}
        self._exposed: dict[tuple[str, str], Cell] = {}
        self._users: dict[str, Users] = {}
        self._size = _LARGEST_BITMAP

    def evaluations(self, flag: str, variant: str | None, reason: str) -> Cell:
        """The cell for one kind of answer; no variant is the default in the app's code."""
        return self._evaluations.setdefault((flag, variant or "", reason), [0])

    def users(self, flag: Flag) -> Users:
        """Who was exposed to this flag; if its rollout is not the one before, nobody yet."""
        users = self._users.setdefault(flag.key, Users())
        users.begin(flag.rollout, self._size)
        return users

    def exposed(self, answer: EvaluationDetails) -> Cell | None:
        """The cell for those who were given this answer's variant by the draw; None where nobody was drawn."""
        if answer.variant is None or not is_drawn(answer):
            return None
        return self._exposed.setdefault((answer.flag_key, answer.variant), [0])

    def keep(self, flags: Collection[str]) -> None:
        """Forget who was seen under flags that are gone; what was counted stays, as counters do."""
        self._users = {key: users for key, users in self._users.items() if key in flags}
        share = _BITMAPS // max(1, len(flags))
        # A power of two, for places are found with a mask.
        self._size = min(_LARGEST_BITMAP, max(_SMALLEST_BITMAP, 1 << share.bit_length() - 1))

    def totals(self) -> tuple[Mapping[Given, int], Mapping[tuple[str, str], int]]:
        """Evaluations, and users exposed, at one moment."""
        given = {key: cell[0] for key, cell in list(self._evaluations.items())}
        return given, {key: cell[0] for key, cell in list(self._exposed.items())}
