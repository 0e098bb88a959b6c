"""What was served and how it ended, counted in plain list cells; who shows the counts elsewhere reads them here.

An increment such as `cell[0] += 1` loses nothing between threads, because CPython hands the
interpreter to another thread only at calls and backward jumps: no call may stand between the read
and the write. A lock would cost ten times as much as the whole increment. For the same reason the
cells are found in dictionaries with keys of plain strings, whose `setdefault` is one step.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from enum import StrEnum
from weakref import WeakValueDictionary

from wavegate.evaluation.bucketing import COHORTS

TYPE_CHECKING = False  # as in wavegate/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Final, Protocol, TypeAlias
else:
    Protocol = object

Cell: TypeAlias = list[int]
Amounts: TypeAlias = list[float]

#: The last place in every list by cohort: who got their variant for who they are (a rule, a list, the
#: pilot). They were not drawn from the crowd, so a comparison between variants must leave them out.
TARGETED: Final = COHORTS
COHORT_NAMES: Final = (*map(str, range(COHORTS)), "targeted")

#: Wide enough for a cached lookup and for a long generation.
DURATION_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

#: Users are told apart by so many bits of their hash: 128 KiB a flag. Two users with the same bits count as one, so
#: n users in one process and wave count as n - n²/2M, M = 2^20: 10,000 as 9,952, 100,000 as 95,400.
_USER_BITS: Final = 20

_MOST_COMMENTS: Final = 100
LONGEST_COMMENT: Final = 500


class BadKind(StrEnum):
    """Why an outcome counts against its variant."""

    #: An exception left the trial.
    ERROR = "error"
    #: It took longer than the trial's `slow_after`.
    SLOW = "slow"
    #: The app gave up on the variant and used something else.
    FALLBACK = "fallback"
    #: The person said that it was no good.
    THUMBS_DOWN = "thumbs_down"
    #: Anything else the app calls bad; one kind for all, so that no label can grow without bound.
    CUSTOM = "custom"


class ValueKind(StrEnum):
    """What is added up for each variant. No request adds more than the cap, so that no single one decides."""

    #: What the request cost.
    COST_USD = "cost_usd"
    #: Tokens read and written by models.
    TOKENS = "tokens"
    #: How long the request took.
    SECONDS = "seconds"
    #: People who said that it was good.
    THUMBS_UP = "thumbs_up"
    #: Whatever else the app measures; one kind for all, as above.
    CUSTOM = "custom"


#: The most that one request adds, unless the client is told otherwise.
DEFAULT_CAPS: Final[dict[str, float]] = {
    ValueKind.COST_USD: 1.0,
    ValueKind.TOKENS: 100_000.0,
    ValueKind.SECONDS: 60.0,
    ValueKind.CUSTOM: 1_000_000.0,
}


class Comment:
    """What a person said about a variant."""

    __slots__ = ("comment", "flag", "thumbs_up", "variant")

    def __init__(self, *, flag: str, variant: str, thumbs_up: bool, comment: str) -> None:
        self.flag = flag
        self.variant = variant
        self.thumbs_up = thumbs_up
        self.comment = comment


class Users:
    """Which users of one flag were seen in the present wave, as a bitmap of their hashes.

    The arms share it, so that both miss the same share of their users and the ratio between them,
    which is what it is for, stays true.
    """

    __slots__ = ("_bits", "_wave")

    def __init__(self) -> None:
        self._wave: object = None
        self._bits = bytearray()

    def begin(self, wave: object) -> None:
        """A rollout that differs from the one before is a new wave: everybody counts again."""
        if wave != self._wave:
            self._bits = bytearray()
            self._wave = wave

    def forget(self) -> None:
        """Everybody counts again."""
        self._bits = bytearray()

    def see(self, user: int, exposed: Cell) -> None:
        """Counts the user, given as any hash, unless seen before."""
        bits = self._bits
        if not bits:
            bits = self._bits = bytearray(1 << (_USER_BITS - 3))
        place, mask = (user >> 3) & ((1 << (_USER_BITS - 3)) - 1), 1 << (user & 7)
        # No calls from here on, as above.
        if not bits[place] & mask:
            bits[place] |= mask
            exposed[0] += 1


class People:
    """Who of the few that a pilot names uses it: requests by a hash of the person, which no metric gives back.

    They are named beforehand, so there are no more of them than the pilot has people; and whoever leaves it, or a
    pilot that ends, is forgotten.
    """

    __slots__ = ("_cells", "_names", "flag")

    def __init__(self, flag: str) -> None:
        self.flag = flag
        self._names: dict[str, str] = {}
        self._cells: dict[tuple[str, str], Cell] = {}

    def name(self, variants: Iterable[str], names: dict[str, str]) -> None:
        """These targeting keys are the pilot's, each with its hash; all appear, with 0."""
        if names == self._names:
            return
        self._names = names
        cells, hashes = self._cells, set(names.values())
        wanted = [(variant, person) for variant in variants for person in hashes]
        self._cells = {each: cells.get(each, [0]) for each in wanted}

    def cell(self, variant: str, targeting_key: str) -> Cell | None:
        """Where a request of theirs counts; None for somebody else."""
        name = self._names.get(targeting_key)
        return None if name is None else self._cells.get((variant, name))

    def all(self) -> list[tuple[tuple[str, str, str], Cell]]:
        """Flag, variant and person, with the cell."""
        return [((self.flag, *each), cell) for each, cell in self._cells.items()]

    def forget(self) -> None:
        """Starts from 0."""
        for cell in self._cells.values():
            cell[0] = 0


class Arm:
    """The outcomes of one variant of one flag, by cohort."""

    __slots__ = ("bad", "buckets", "exposed", "flag", "requests", "seconds", "users", "values", "variant")

    def __init__(self, flag: str, variant: str, users: Users) -> None:
        self.flag = flag
        self.variant = variant
        self.users = users
        self.exposed: Cell = [0]
        self.requests: Cell = [0] * len(COHORT_NAMES)
        self.bad: dict[str, Cell] = {kind: [0] * len(COHORT_NAMES) for kind in BadKind}
        self.values: dict[str, Amounts] = {kind: [0.0] * len(COHORT_NAMES) for kind in ValueKind}
        self.buckets: Cell = [0] * (len(DURATION_BOUNDS) + 1)
        self.seconds: Amounts = [0.0]

    def count(self, cohort: int, kind: BadKind | None, seconds: float, values: Iterable[tuple[str, float]]) -> None:
        """Counts one finished request: all that is known of it, together."""
        bucket = bisect_left(DURATION_BOUNDS, seconds)
        bad = None if kind is None else self.bad[kind]
        amounts = [(self.values[name], amount) for name, amount in values]
        # From here on no calls, see above; and the request first, so that no scrape sees more bad than all.
        self.requests[cohort] += 1
        if bad is not None:
            bad[cohort] += 1
        self.buckets[bucket] += 1
        self.seconds[0] += seconds
        for by_cohort, amount in amounts:
            by_cohort[cohort] += amount

    def forget(self) -> None:
        """Starts from 0."""
        for cell in (self.exposed, self.requests, self.buckets, *self.bad.values()):
            cell[:] = [0] * len(cell)
        for amounts in (self.seconds, *self.values.values()):
            amounts[:] = [0.0] * len(amounts)
        self.users.forget()


class Source(Protocol):
    """A client, as far as its own metrics go."""

    @property
    def revision(self) -> int | None:
        """The revision in use; None before there is one."""

    @property
    def age(self) -> float | None:
        """Seconds since the controller last confirmed the ruleset; None for a client without one."""

    @property
    def connected(self) -> bool | None:
        """Whether the controller answered the last look; None for a client without one."""

    @property
    def streaming(self) -> bool | None:
        """Whether changes are pushed to it; None for a client that polls by choice."""

    def complete(self) -> None:
        """Makes every series exist that the ruleset in use can count in."""


#: How the clients are that share counters: of several the one furthest behind, the one to worry about. The
#: revision, the ruleset's age in seconds, and whether the controller answered.
State: TypeAlias = tuple[int | None, float | None, bool | None]


class Counters:
    """The counts that several clients may share; a count outlives the ruleset it began under.

    The outcomes of a flag appear, all with 0, when it gets a rollout; without one there is nothing to
    compare, and some 360 series a flag would be a lot to scrape for that. Then they wait for a trial.
    """

    def __init__(self) -> None:
        self._evaluations: dict[tuple[str, str, str], Cell] = {}
        self._arms: dict[tuple[str, str], Arm] = {}
        self._users: dict[str, Users] = {}
        self._people: dict[str, People] = {}
        #: What the apps call themselves that count here; mostly one.
        self.apps: dict[str, None] = {}
        self._expected: dict[tuple[str, str], None] = {}
        self._sources: WeakValueDictionary[int, Source] = WeakValueDictionary()
        self.comments: deque[Comment] = deque(maxlen=_MOST_COMMENTS)
        #: Brings the counts to where they are kept, if they are not just looked at where they are.
        self.flush: Callable[[], None] = _nothing

    def attach(self, source: Source) -> None:
        """Shows a client's state, from now on and as long as anybody holds it."""
        self._sources[id(source)] = source

    def detach(self, source: Source) -> None:
        """Shows it no longer."""
        self._sources.pop(id(source), None)

    def state(self) -> State:
        """How the clients are, who make all their series exist on this occasion: somebody is about to look."""
        sources = [source for reference in self._sources.valuerefs() if (source := reference()) is not None]
        for source in sources:
            source.complete()
        return (
            min((source.revision for source in sources if source.revision is not None), default=None),
            max((age for source in sources if (age := source.age) is not None), default=None),
            min((fed for source in sources if (fed := _is_fed(source)) is not None), default=None),
        )

    def evaluations(self, flag: str, variant: str | None, reason: str) -> Cell:
        """The cell for one kind of answer. No variant, the caller's default, is an empty label."""
        return self._evaluations.setdefault((flag, variant or "", str(reason)), [0])

    def expect(self, flag: str, variants: Iterable[str], wave: object) -> None:
        """A flag has a rollout: its outcomes appear, and users count anew if it is another wave than before."""
        for variant in variants:
            self._expected[flag, variant] = None
        self._users_of(flag).begin(wave)

    def name_people(self, flag: str, variants: Iterable[str], names: dict[str, str]) -> None:
        """The targeting keys of a flag's pilot, each with its hash; none where it has no pilot any more."""
        if names or flag in self._people:
            self._people.setdefault(flag, People(flag)).name(variants, names)

    def person(self, flag: str, variant: str, targeting_key: str) -> Cell | None:
        """Where a request of somebody in a pilot counts as theirs; None for whoever is in none."""
        people = self._people.get(flag)
        return None if people is None else people.cell(variant, targeting_key)

    def all_people(self) -> list[tuple[tuple[str, str, str], Cell]]:
        """Flag, variant and person, with the cell."""
        return [each for people in list(self._people.values()) for each in people.all()]

    def arm(self, flag: str, variant: str) -> Arm:
        """The cells for one variant; asking for it makes all its series appear, with 0."""
        arm = self._arms.get((flag, variant))
        if arm is None:
            arm = self._arms.setdefault((flag, variant), Arm(flag, variant, self._users_of(flag)))
        return arm

    def all_evaluations(self) -> list[tuple[tuple[str, str, str], Cell]]:
        """Flag, variant and reason, with the cell."""
        return list(self._evaluations.items())

    def all_arms(self) -> list[Arm]:
        """Every arm whose outcomes are shown."""
        for flag, variant in list(self._expected):
            self.arm(flag, variant)
            self._expected.pop((flag, variant), None)
        return list(self._arms.values())

    def after_fork(self) -> None:
        """In a forked child, whose parent goes on counting: from 0, in the same cells."""
        for cell in self._evaluations.values():
            cell[0] = 0
        for arm in self._arms.values():
            arm.forget()
        for users in self._users.values():
            users.forget()
        for people in self._people.values():
            people.forget()
        self.comments.clear()

    def at_exit(self) -> None:
        """When the process ends."""
        self.flush()

    def _users_of(self, flag: str) -> Users:
        return self._users.setdefault(flag, Users())


def _nothing() -> None:
    pass


def _is_fed(source: Source) -> bool | None:
    """Whether changes arrive in the way that was asked for; None for a client without a controller."""
    return source.connected if source.streaming is None else source.streaming
