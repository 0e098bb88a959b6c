"""The evidence log: what was counted between two reads, small enough to keep every tick for ever.

All numbers are integers, values included (the caller counts them in a small unit, such as a millionth of a dollar). So
sums are exact, depend on no order, and a log that was written and read again is the same log.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from wavegate_controller.domain.errors import Invalid

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FORMAT: Final = 1
_SAME_REQUESTS: Final = 1
#: The bit that says that a number goes on in the next byte.
_CONTINUES: Final = 0x80
#: More cohorts than any policy has; what says otherwise is no entry.
_MOST_COHORTS: Final = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Increment:
    """What one metric counted since the read before, by cohort.

    Attributes:
        candidate_requests: of the candidate variant, one number for each cohort.
        candidate_amount: bad outcomes, or the sum of values in the metric's unit.
        stable_requests: as above, for the stable variant.
        stable_amount: as above, for the stable variant.
    """

    candidate_requests: tuple[int, ...]
    candidate_amount: tuple[int, ...]
    stable_requests: tuple[int, ...]
    stable_amount: tuple[int, ...]

    def __post_init__(self) -> None:
        rows = (self.candidate_requests, self.candidate_amount, self.stable_requests, self.stable_amount)
        if len({len(row) for row in rows}) != 1:
            raise Invalid("increment", "its rows differ in length", "one number for each cohort in all four rows")
        if any(row and min(row) < 0 for row in rows):
            raise Invalid("increment", "a counter fell", "increments of 0 or more (a reset counts from 0)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposure:
    """Users who saw the flag for the first time in this wave, since the read before."""

    candidate: int
    stable: int

    def __post_init__(self) -> None:
        if min(self.candidate, self.stable) < 0:
            raise Invalid("exposure", "a counter fell", "0 or more new users")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One read: the line of the log.

    Attributes:
        at: evaluation time of the read, common to all metrics.
        wave: index of the wave that was served since the read before.
        wave_since: when that wave began; begins anew when a paused rollout goes on.
        increments: one for each metric of the policy, in its order.
        exposure: None where exposures are not counted.
    """

    at: datetime
    wave: int
    wave_since: datetime
    increments: tuple[Increment, ...]
    exposure: Exposure | None = None

    def __post_init__(self) -> None:
        if self.wave < 0:
            raise Invalid("wave", f"{self.wave} is negative", "an index into the plan's waves")
        if self.wave_since > self.at:
            raise Invalid("wave_since", f"{self.wave_since} lies after the read at {self.at}", "the wave's begin")


def encode(entry: Entry) -> bytes:
    """The entry as bytes: little-endian base-128 integers, runs of zeros folded, shared request rows written once."""
    numbers = [
        _FORMAT,
        (entry.at - _EPOCH) // _MICROSECOND,
        (entry.at - entry.wave_since) // _MICROSECOND,
        entry.wave,
        *((0,) if entry.exposure is None else (1, entry.exposure.candidate, entry.exposure.stable)),
        len(entry.increments),
    ]
    before: Increment | None = None
    for each in entry.increments:
        same = before is not None and _requests(each) == _requests(before)
        rows = [] if same else [*each.candidate_requests, *each.stable_requests]
        rows += [*each.candidate_amount, *each.stable_amount]
        numbers += [_SAME_REQUESTS if same else 0, len(each.candidate_requests), *_fold_zeros(rows)]
        before = each
    return b"".join(map(_to_varint, numbers))


def decode(data: bytes) -> Entry:
    """The entry that was encoded.

    Raises:
        Invalid: when the bytes are no whole entry.
    """
    numbers = _from_varints(data)
    try:
        if (found := next(numbers)) != _FORMAT:
            raise Invalid("evidence", f"format {found} is not known", f"format {_FORMAT}")
        at = _EPOCH + next(numbers) * _MICROSECOND
        wave_since = at - next(numbers) * _MICROSECOND
        wave = next(numbers)
        exposure = Exposure(candidate=next(numbers), stable=next(numbers)) if next(numbers) else None
        increments: list[Increment] = []
        for _ in range(next(numbers)):
            same, cohorts = next(numbers) == _SAME_REQUESTS, next(numbers)
            if cohorts > _MOST_COHORTS or (same and not increments):
                raise Invalid("evidence", "the bytes make no sense", "a whole entry")
            rows = _unfold_zeros(numbers, cohorts * (2 if same else 4))
            requests = (
                _requests(increments[-1]) if same else (tuple(rows[:cohorts]), tuple(rows[cohorts : 2 * cohorts]))
            )
            increments.append(
                Increment(
                    candidate_requests=requests[0],
                    stable_requests=requests[1],
                    candidate_amount=tuple(rows[-2 * cohorts : -cohorts]),
                    stable_amount=tuple(rows[-cohorts:]),
                )
            )
    except StopIteration:
        raise Invalid("evidence", "the bytes end within an entry", "a whole entry") from None
    if next(numbers, None) is not None:
        raise Invalid("evidence", "bytes follow the entry", "exactly one entry")
    return Entry(at=at, wave=wave, wave_since=wave_since, increments=tuple(increments), exposure=exposure)


def _requests(increment: Increment) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return increment.candidate_requests, increment.stable_requests


def _fold_zeros(row: Sequence[int]) -> Iterator[int]:
    """A run of zeros becomes a zero and its length: most cohorts have no bad outcome in most ticks."""
    for value, run in groupby(row):
        if value:
            yield from run
        else:
            yield 0
            yield sum(1 for _ in run)


def _unfold_zeros(numbers: Iterator[int], length: int) -> list[int]:
    row: list[int] = []
    while len(row) < length:
        value = next(numbers)
        row.extend([value] if value else [0] * min(next(numbers), length))
    if len(row) > length:
        raise Invalid("evidence", "a row is longer than its cohorts", "a whole entry")
    return row


def _to_varint(number: int) -> bytes:
    digits = bytearray()
    while number >= _CONTINUES:
        digits.append(number & _CONTINUES - 1 | _CONTINUES)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _from_varints(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & _CONTINUES - 1) << shift
        shift += 7
        if byte < _CONTINUES:
            yield number
            number = shift = 0
    if shift:
        raise Invalid("evidence", "the bytes end within a number", "a whole entry")
