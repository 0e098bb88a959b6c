"""A plan replayed over the past: the reconciler's own measuring, judging and deciding, with nobody behind it."""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, ParamSpec, TypeVar

from wavegate_controller.domain.analysis import judge_all
from wavegate_controller.domain.circumstances import CLEAR, Circumstances
from wavegate_controller.domain.decision import decide
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.replayed import Backtested, Look, RunWriter
from wavegate_controller.domain.freeze import frozen
from wavegate_controller.domain.gates import FeedbackGate, Gate, LookingGate, ManualGate, OnSilence, WebhookGate
from wavegate_controller.domain.guarding import entries
from wavegate_controller.domain.guardrail import State, fold, start
from wavegate_controller.domain.measurement import Cursor, Measurement
from wavegate_controller.domain.plan import Approval, Plan
from wavegate_controller.domain.rollout import WATCHED, Rollout
from wavegate_controller.domain.rollout import State as RolloutState
from wavegate_controller.domain.silence import silence_of
from wavegate_controller.domain.transitions import Event, apply
from wavegate_controller.ports import MetricProvider
from wavegate_controller.service import counting
from wavegate_controller.service.asking import Asking
from wavegate_controller.service.counting import Counted, Wanted
from wavegate_controller.service.measure import measure, needs

_Argument = ParamSpec("_Argument")
_Result = TypeVar("_Result")
#: Looks that are remembered of a gate whose silence leads to nothing.
_FEW: Final = 3


def replayable(plan: Plan) -> Plan:
    """The plan without what the past says nothing of: people and webhooks. Their word is taken for given.

    Raises:
        Invalid: nothing is left.
    """
    gates = tuple(gate for gate in plan.gates if not isinstance(gate, WebhookGate | ManualGate))
    if not gates:
        raise Invalid("gates", "asks only people and webhooks, of whom the past says nothing", "a gate on metrics")
    return replace(
        plan,
        gates=tuple(replace(gate, dry_run=False) for gate in gates),
        budget={},
        dry_run=False,
        waves=tuple(replace(wave, approval=Approval.AUTO, approvers=1) for wave in plan.waves),
    )


def backtest(
    provider: MetricProvider,
    rollout: Rollout,
    times: Sequence[datetime],
    into: Backtested,
    *,
    repeat: bool,
    elsewhere: frozenset[str] = frozenset(),
    seen: Callable[[datetime], None] = lambda _: None,
    finished: Callable[[], None] = lambda: None,
) -> None:
    """Replay over all of these times; what was found is in `into`, also when something ends it early.

    Args:
        provider: of the past.
        rollout: a draft.
        times: of the looks, rising; the first starts the rollout.
        into: takes what is found.
        repeat: whether another rollout starts where one has ended.
        elsewhere: other environments, whose counts are not this rollout's.
        seen: is told how far it is.
        finished: is called after each rollout.

    Raises:
        HistoryLost: the past could not be had any further.
    """
    place = 0
    while place < len(times) - 1:
        writer = RunWriter(into)
        try:
            for look in replay(provider, rollout, times[place:], elsewhere=elsewhere):
                writer.add(look)
                seen(look.at)
        finally:
            # What there is of a run that something ended is kept, too.
            run = writer.finish()
        if run is None:
            return
        place = bisect_left(times, run.end)
        finished()
        if not repeat:
            return


def replay(
    provider: MetricProvider,
    draft: Rollout,
    times: Iterable[datetime],
    moves: Mapping[datetime, Event] = MappingProxyType({}),
    *,
    elsewhere: frozenset[str] = frozenset(),
) -> Iterator[Look]:
    """The looks of one rollout until it has ended, or waits for a person.

    Args:
        provider: of the past.
        draft: of which flag, between which variants, by which plan.
        times: of the looks, rising; the first starts the rollout.
        moves: what people did, at times between two looks.
        elsewhere: other environments, whose counts are not this rollout's.
    """
    rest = iter(times)
    first = next(rest, None)
    if first is None:
        return
    rollout = apply(draft, Event.START, now=first)
    memory = _Memory(rollout, elsewhere)
    people = deque(sorted(moves.items()))
    for now in rest:
        while people and people[0][0] <= now:
            at, event = people.popleft()
            rollout = apply(rollout, event, now=at)
        if rollout.state not in WATCHED:
            return
        look = memory.look(provider, rollout, now=now)
        yield look
        rollout = look.after
        if rollout.state not in WATCHED or (rollout.state is not RolloutState.RUNNING and not people):
            return


class _Memory:
    """What the database is to the reconciler."""

    def __init__(self, rollout: Rollout, elsewhere: frozenset[str]) -> None:
        self._elsewhere = elsewhere
        self._cursor: Cursor | None = None
        self._state: State | None = None
        self._evidence_since: datetime | None = None
        self._wave_since: datetime | None = None
        self._kept: dict[str, deque[Measurement]] = {
            gate.name: deque(maxlen=_remembered(gate, rollout.plan)) for gate in rollout.plan.gates
        }
        self._executor = _Here()

    def look(self, provider: MetricProvider, rollout: Rollout, *, now: datetime) -> Look:
        """Measure, judge, decide, as `service.reconcile` and `service.conclude` do."""
        counted: Any = None
        asking = Asking(provider, self._executor, at=now)
        if wanted := needs(rollout):
            cursor = counting.still_valid(self._cursor, rollout, now=now)
            mine = Wanted(rollout=rollout, needs=wanted, cursor=cursor, elsewhere=self._elsewhere)
            (group,) = counting.group([mine], now=now)
            counted = counting.read(asking, group)[rollout.id]
            if isinstance(counted, Exception):
                raise counted
            if isinstance(counted, Counted):
                self._cursor = counted.cursor
        measured = measure(
            rollout,
            counted,
            lambda promql: asking.number(promql).result(),
            lambda name: asking.rule(name).result(),
            now=now,
        ).measurements
        state = self._fold(rollout, measured)
        verdicts = judge_all(rollout, self._evidence(rollout, measured), state, now=now)
        windows = rollout.plan.freeze_windows
        circumstances = Circumstances(frozen=frozen(windows, now)) if windows else CLEAR
        decision = decide(rollout, verdicts, now=now, circumstances=circumstances)
        after = apply(rollout, decision.event, now=now, pause_reason=decision.pause_reason)
        return Look(at=now, before=rollout, after=after, decision=decision, measurements=measured)

    def _fold(self, rollout: Rollout, measured: Sequence[Measurement]) -> State | None:
        policy = rollout.plan.policy
        if policy is None:
            return None
        if self._state is None or self._evidence_since != rollout.evidence_since:
            self._state, self._evidence_since = start(policy), rollout.evidence_since
        self._state = fold(policy, entries(rollout.plan, measured), after=self._state)
        return self._state

    def _evidence(self, rollout: Rollout, measured: Sequence[Measurement]) -> Mapping[str, Sequence[Measurement]]:
        """As `service.conclude.evidence_of` gives it: since the wave began."""
        if self._wave_since != rollout.wave_since:
            self._wave_since = rollout.wave_since
            for kept in self._kept.values():
                kept.clear()
        for each in measured:
            self._kept[each.gate].append(each)
        compared = {gate.name for gate in rollout.plan.compared}
        heard = {each.gate for each in measured if silence_of(each.answer) is None}
        return {
            name: [kept[-1]] if name in compared & heard and kept else list(kept) for name, kept in self._kept.items()
        }


def _remembered(gate: Gate, plan: Plan) -> int | None:
    """Looks that a verdict may go back to: those that are counted, those of a silence that leads to something."""
    if isinstance(gate, FeedbackGate):
        return None
    policies = (gate.on_no_data or plan.on_no_data, gate.on_cannot_measure or plan.on_cannot_measure)
    silence = max((each.after / plan.interval for each in policies if each.act is not OnSilence.HOLD), default=0)
    return max(gate.of if isinstance(gate, LookingGate) else 1, int(silence) + 2, _FEW)


class _Here(Executor):
    """Runs what it is given at once: the past is asked in the order of time."""

    def submit(
        self, fn: Callable[_Argument, _Result], /, *args: _Argument.args, **kwargs: _Argument.kwargs
    ) -> Future[_Result]:
        """Done when it returns."""
        future: Future[_Result] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)
        return future
