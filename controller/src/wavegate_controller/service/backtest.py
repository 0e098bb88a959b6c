"""A plan replayed over the past: the reconciler's own measuring, judging and deciding, with nobody behind it."""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from wavegate_controller.domain.analysis import judge_all
from wavegate_controller.domain.circumstances import CLEAR, Circumstances
from wavegate_controller.domain.decision import decide
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.replayed import Backtested, Look, RunWriter
from wavegate_controller.domain.freeze import frozen
from wavegate_controller.domain.gates import FeedbackGate, Gate, LookingGate, ManualGate, OnSilence, WebhookGate
from wavegate_controller.domain.guarding import entries
from wavegate_controller.domain.guardrail import State, fold, start
from wavegate_controller.domain.measurement import Broken, Cursor, Measurement
from wavegate_controller.domain.plan import Approval, Plan
from wavegate_controller.domain.rollout import WATCHED, Rollout
from wavegate_controller.domain.rollout import State as RolloutState
from wavegate_controller.domain.silence import silence_of
from wavegate_controller.domain.transitions import Event, apply
from wavegate_controller.ports import Past
from wavegate_controller.service.counting import Counted, still_valid
from wavegate_controller.service.measure import measure, needs
from wavegate_controller.service.recounting import Place, Recounting

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
    past: Past,
    rollout: Rollout,
    into: Backtested,
    *,
    repeat: bool,
    elsewhere: frozenset[str] = frozenset(),
    seen: Callable[[datetime], None] = lambda _: None,
    finished: Callable[[], None] = lambda: None,
) -> None:
    """Replay over all looks; what was found is in `into`, also when something ends it early.

    Args:
        past: that is looked at; the first look starts the rollout.
        rollout: a draft.
        into: takes what is found.
        repeat: whether another rollout starts where one has ended.
        elsewhere: other environments, whose counts are not this rollout's.
        seen: is told how far it is.
        finished: is called after each rollout.

    Raises:
        HistoryLost: the past could not be had any further.
    """
    begin, counters = 0, counters_of(past, rollout, elsewhere=elsewhere)
    while begin < len(past.looks) - 1:
        writer = RunWriter(into)
        try:
            for look in replay(past, rollout, begin=begin, counters=counters):
                writer.add(look)
                seen(look.at)
        finally:
            # What there is of a run that something ended is kept, too.
            run = writer.finish()
        if run is None:
            return
        begin = bisect_left(past.looks, run.end)
        finished()
        if not repeat:
            return


def counters_of(past: Past, rollout: Rollout, *, elsewhere: frozenset[str] = frozenset()) -> Recounting | None:
    """What counts for the rollout's gates; None where none of them needs it."""
    wanted = needs(rollout)
    return None if wanted is None else Recounting(past, rollout.flag_key, wanted, elsewhere=elsewhere)


def replay(
    past: Past,
    draft: Rollout,
    moves: Mapping[datetime, Event] = MappingProxyType({}),
    *,
    begin: int = 0,
    counters: Recounting | None = None,
) -> Iterator[Look]:
    """The looks of one rollout until it has ended, or waits for a person.

    Args:
        past: that is looked at.
        draft: of which flag, between which variants, by which plan.
        moves: what people did, at times between two looks.
        begin: number of the look that starts the rollout.
        counters: what counts for its gates, from the rollout before; made where there was none.
    """
    counters = counters or counters_of(past, draft)
    rollout = apply(draft, Event.START, now=past.looks[begin])
    memory = _Memory(past, rollout, counters)
    people = deque(sorted(moves.items()))
    for number in range(begin + 1, len(past.looks)):
        now = past.looks[number]
        while people and people[0][0] <= now:
            at, event = people.popleft()
            rollout = apply(rollout, event, now=at)
        if rollout.state not in WATCHED:
            return
        look = memory.look(rollout, number, now=now)
        yield look
        rollout = look.after
        if rollout.state not in WATCHED or (rollout.state is not RolloutState.RUNNING and not people):
            return


class _Memory:
    """What the database is to the reconciler."""

    def __init__(self, past: Past, rollout: Rollout, counters: Recounting | None) -> None:
        self._past = past
        self._counters = counters
        self._place: Place | None = None
        self._cursor: Cursor | None = None
        self._state: State | None = None
        self._evidence_since: datetime | None = None
        self._wave_since: datetime | None = None
        self._kept: dict[str, deque[Measurement]] = {
            gate.name: deque(maxlen=_remembered(gate, rollout.plan)) for gate in rollout.plan.gates
        }

    def look(self, rollout: Rollout, number: int, *, now: datetime) -> Look:
        """Measure, judge, decide, as `service.reconcile` and `service.conclude` do."""
        counted = self._count(rollout, number, now=now)
        measured = measure(
            rollout,
            counted,
            lambda promql: self._past.query(promql, at=now),
            self._past.alert_rule,
            now=now,
        ).measurements
        state = self._fold(rollout, measured)
        verdicts = judge_all(rollout, self._evidence(rollout, measured), state, now=now)
        windows = rollout.plan.freeze_windows
        circumstances = Circumstances(frozen=frozen(windows, now)) if windows else CLEAR
        decision = decide(rollout, verdicts, now=now, circumstances=circumstances)
        after = apply(rollout, decision.event, now=now, pause_reason=decision.pause_reason)
        return Look(at=now, before=rollout, after=after, decision=decision, measurements=measured)

    def _count(self, rollout: Rollout, number: int, *, now: datetime) -> Counted | Broken | None:
        if self._counters is None:
            return None
        if still_valid(self._cursor, rollout, now=now) is None:
            self._place = None
        counted, self._place = self._counters.read(self._place, number, at=now)
        if isinstance(counted, Counted):
            self._cursor = counted.cursor
        return counted

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
