"""What a plan would have done: rollouts that were replayed over the past, and what they come to."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from wavegate_controller.domain.decision import Decision
from wavegate_controller.domain.gates import ComparedGate, ThresholdGate
from wavegate_controller.domain.guardrail import State
from wavegate_controller.domain.measurement import Broken, Counts, Feedback, Measurement, Value
from wavegate_controller.domain.plan import Plan, percent
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.rollout import State as RolloutState
from wavegate_controller.domain.silence import silence_of
from wavegate_controller.domain.tally import Place
from wavegate_controller.domain.transitions import Event

WEEK: Final = timedelta(days=7)
#: Points of a track from which on it is thinned to half; a chart shows no more.
_MOST_POINTS: Final = 4000
#: Different ones that are told of.
_MOST_TROUBLES: Final = 10
#: The name of the track that shows all gates that compare.
EVIDENCE: Final = "evidence"


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One look of a replayed rollout.

    Attributes:
        before: as it was looked at.
        after: as it went on.
    """

    at: datetime
    before: Rollout
    after: Rollout
    decision: Decision
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """Something that would have happened.

    Attributes:
        percent: of the users that have the candidate afterwards.
    """

    at: datetime
    event: Event
    reason: str
    sentence: str
    percent: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One rollout, from its start to its end or to the end of the time.

    Attributes:
        looks: how many there were.
        holds: why it did not move, by the reason of the decision, in looks.
        silent: looks at which some gate had nothing to go by.
    """

    begin: datetime
    end: datetime
    state: RolloutState
    moves: tuple[Move, ...]
    looks: int
    holds: Mapping[str, int]
    silent: int

    @property
    def rolled_back(self) -> bool:
        """Whether the plan took the candidate back, wholly or for a wave, or paused for a breach."""
        return any(each.reason == "breach" for each in self.moves)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stand:
    """A rollout in the middle of its replay: all that the looks to come need of those that were.

    Attributes:
        at: time of the last look.
        rollout: as it went on.
        run: what there is of its run.
        place: up to where its counters were counted.
        counted_at: when they last could be.
        state: the log of the gates that compare, folded.
        folded_since: since when.
        kept_since: since when measurements are kept.
        kept: gate to the measurements that its verdicts may go back to.
    """

    at: datetime
    rollout: Rollout
    run: Run
    place: Place | None = None
    counted_at: datetime | None = None
    state: State | None = None
    folded_since: datetime | None = None
    kept_since: datetime | None = None
    kept: Mapping[str, tuple[Measurement, ...]] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Track:
    """A number over time, thinned where there is too much of it; of what is thinned the worst is kept."""

    wants_low: bool = True
    points: list[tuple[datetime, float | None]] = field(default_factory=list)
    every: int = 1
    waiting: list[tuple[datetime, float | None]] = field(default_factory=list)

    def add(self, at: datetime, value: float | None) -> None:
        """One look's number; None where there was none."""
        self.waiting.append((at, value))
        if len(self.waiting) < self.every:
            return
        self.points.append(self._worst(self.waiting))
        self.waiting.clear()
        if len(self.points) >= _MOST_POINTS:
            self.points = [self._worst(self.points[index : index + 2]) for index in range(0, len(self.points), 2)]
            self.every *= 2

    def _worst(self, points: Sequence[tuple[datetime, float | None]]) -> tuple[datetime, float | None]:
        values = [value for _, value in points if value is not None]
        if not values:
            return points[-1]
        return points[-1][0], max(values) if self.wants_low else min(values)


@dataclass(kw_only=True, slots=True)
class Needed:
    """The limit that a threshold gate would have had to have to breach at no time.

    Attributes:
        limit: None while there were too few values.
    """

    gate: ThresholdGate
    limit: float | None = None
    recent: deque[float | None] = field(init=False)

    def __post_init__(self) -> None:
        self.recent = deque(maxlen=self.gate.of)

    def add(self, value: float | None) -> None:
        """One look's value."""
        self.recent.append(value)
        wants_low = self.gate.operator.wants_low
        ordered = sorted((each for each in self.recent if each is not None), reverse=wants_low)
        if len(ordered) >= self.gate.failures:
            decisive = ordered[self.gate.failures - 1]
            if self.limit is None or (decisive > self.limit if wants_low else decisive < self.limit):
                self.limit = decisive


@dataclass(kw_only=True, slots=True)
class Trouble:
    """Why a gate could not be measured, and when.

    Attributes:
        looks: how many of them.
    """

    first: datetime
    last: datetime
    looks: int = 1


@dataclass(kw_only=True, slots=True)
class Backtested:
    """What came of one plan over one time.

    Attributes:
        begin: of the time.
        until: up to where it was replayed.
        first_data: the first sample or value that was found; None where there was none.
        last_data: the last.
        stand: of the last run, if it is still under way.
        troubles: what the server, or the counters, would have said instead of an answer.
    """

    name: str
    plan: Plan
    begin: datetime
    until: datetime
    runs: list[Run] = field(default_factory=list)
    first_data: datetime | None = None
    last_data: datetime | None = None
    tracks: dict[str, Track] = field(default_factory=dict)
    needed: dict[str, Needed] = field(default_factory=dict)
    stand: Stand | None = None
    troubles: dict[str, Trouble] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for gate in self.plan.gates:
            if isinstance(gate, ThresholdGate):
                self.tracks[gate.name] = Track(wants_low=gate.operator.wants_low)
                self.needed[gate.name] = Needed(gate=gate)
        if self.plan.compared:
            self.tracks[EVIDENCE] = Track()

    def see(self, look: Look) -> None:
        """One look more, for everything that is not a run's."""
        self.until = max(self.until, look.at)
        for each in look.measurements:
            value: float | None = None
            match each.answer:
                case Value(value=measured):
                    value = measured
                    self._data(look.at)
                case Counts(newest_sample_at=at) | Feedback(newest_sample_at=at):
                    self._data(at)
                    continue
                case Broken(detail=detail):
                    self._trouble(detail, look.at)
                case _:
                    pass
            if each.gate in self.needed:
                self.needed[each.gate].add(value)
                self.tracks[each.gate].add(look.at, value)
        if EVIDENCE in self.tracks:
            self.tracks[EVIDENCE].add(look.at, _evidence(look, self.plan))

    @property
    def time(self) -> timedelta:
        """That was replayed."""
        return self.until - self.begin

    @property
    def rollbacks(self) -> int:
        """How many runs were taken back."""
        return sum(each.rolled_back for each in self.runs)

    @property
    def alarms_a_week(self) -> float | None:
        """Rollbacks in a week of looking; None before there was a time."""
        looked = sum((each.end - each.begin for each in self.runs), timedelta(0))
        return self.rollbacks / (looked / WEEK) if looked else None

    @property
    def silent(self) -> float:
        """Share of the looks at which some gate had nothing to go by."""
        looks = sum(each.looks for each in self.runs)
        return sum(each.silent for each in self.runs) / looks if looks else 0.0

    @property
    def holds(self) -> Mapping[str, int]:
        """Why the runs did not move, in looks."""
        return sum((Counter(each.holds) for each in self.runs), Counter())

    def _trouble(self, detail: str, at: datetime) -> None:
        known = self.troubles.get(detail)
        if known is None:
            if len(self.troubles) < _MOST_TROUBLES:
                self.troubles[detail] = Trouble(first=at, last=at)
        elif known.last != at:  # gates that compare share their trouble
            known.last, known.looks = at, known.looks + 1

    def _data(self, at: datetime | None) -> None:
        if at is not None and self.begin - timedelta(minutes=5) <= at:
            self.first_data = min(self.first_data or at, at)
            self.last_data = max(self.last_data or at, at)


class RunWriter:
    """A run out of its looks, which are not kept."""

    def __init__(self, into: Backtested, run: Run | None = None) -> None:
        """A new run, or what there is of one."""
        self._into = into
        self._run = run
        self._looks, self._silent = (run.looks, run.silent) if run else (0, 0)
        self._moves: list[Move] = list(run.moves) if run else []
        self._holds: Counter[str] = Counter(run.holds if run else {})
        self._last: Look | None = None

    def add(self, look: Look) -> None:
        """One look more."""
        self._into.see(look)
        self._looks += 1
        self._silent += any(silence_of(each.answer) is not None for each in look.measurements)
        decision = look.decision
        if decision.event is Event.TICK:
            self._holds[decision.reason.value] += 1
        else:
            self._moves.append(
                Move(
                    at=look.at,
                    event=decision.event,
                    reason=decision.reason.value,
                    sentence=decision.sentence,
                    percent=percent(look.after.weight),
                )
            )
        self._last = look

    @property
    def run(self) -> Run | None:
        """So far; None without a look."""
        if self._last is None:
            return self._run
        return Run(
            begin=self._run.begin if self._run else self._last.before.started_at or self._last.at,
            end=self._last.at,
            state=self._last.after.state,
            moves=tuple(self._moves),
            looks=self._looks,
            holds=dict(self._holds),
            silent=self._silent,
        )

    def finish(self) -> Run | None:
        """The run, which is kept with the others; None without a look."""
        run = self.run
        if run is not None:
            self._into.runs.append(run)
        return run


def _evidence(look: Look, plan: Plan) -> float | None:
    """Of all gates that compare, against 'no worse'; each of their verdicts has it."""
    names = {gate.name for gate in plan.gates if isinstance(gate, ComparedGate)}
    return next((each.value for each in look.decision.verdicts if each.gate in names), None)
