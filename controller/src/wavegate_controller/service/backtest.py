"""A plan replayed over the past: the reconciler's own measuring, judging and deciding, with nobody behind it."""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from wavegate_controller.domain.analysis import judge_all
from wavegate_controller.domain.decision import decide
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.replayed import Backtested, Look, Run, RunWriter, Stand
from wavegate_controller.domain.foresight.then import NOTHING_ELSE, Then
from wavegate_controller.domain.gates import FeedbackGate, Gate, LookingGate, ManualGate, OnSilence, WebhookGate
from wavegate_controller.domain.guarding import entries
from wavegate_controller.domain.guardrail import State, fold, start
from wavegate_controller.domain.measurement import Broken, Cursor, Measurement
from wavegate_controller.domain.plan import Approval, Plan
from wavegate_controller.domain.rollout import WATCHED, Rollout
from wavegate_controller.domain.rollout import State as RolloutState
from wavegate_controller.domain.silence import silence_of
from wavegate_controller.domain.tally import Place
from wavegate_controller.domain.transitions import Event, apply
from wavegate_controller.ports import Past
from wavegate_controller.service.counting import Counted, still_valid
from wavegate_controller.service.measure import measure, needs
from wavegate_controller.service.recounting import Recounting

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
    then: Then = NOTHING_ELSE,
    seen: Callable[[datetime], None] = lambda _: None,
    finished: Callable[[], None] = lambda: None,
) -> None:
    """Replay over all looks; what was found is in `into`, also when something ends it early.

    Where `into` has a rollout that is under way, the replay goes on behind its last look.

    Args:
        past: that is looked at; the first look starts the rollout.
        rollout: a draft.
        into: takes what is found.
        repeat: whether another rollout starts where one has ended.
        elsewhere: other environments, whose counts are not this rollout's.
        then: what holds the rollout beside its evidence.
        seen: is told how far it is; what it raises ends the replay behind that look.
        finished: is called after each rollout.

    Raises:
        HistoryLost: the past could not be had any further.
    """
    begin, counters = 0, counters_of(past, rollout, elsewhere=elsewhere)
    while begin < len(past.looks) - 1:
        replay, writer = Replay(past, rollout, counters, then=then, begin=begin), RunWriter(into)
        if into.stand is not None:
            replay.resume(into.stand)
            writer = RunWriter(into, into.stand.run)
            into.stand = None
        try:
            for look in replay.looks():
                writer.add(look)
                seen(look.at)
        finally:
            # What there is of a run that something ended is kept, too.
            run = writer.finish()
            if run is not None and not replay.ended:
                into.stand = replay.stand(run)
        if run is None or not replay.ended:
            return
        begin = bisect_left(past.looks, run.end)
        finished()
        if not repeat:
            return


def looks_left(looks: Sequence[datetime], into: Backtested) -> Sequence[datetime]:
    """From the one on at which the rollout that is under way was counted last, or the last one ended."""
    if into.stand is not None:
        place = into.stand.place
        # The place is in milliseconds, which may lie behind the look.
        since = into.stand.at if place is None else datetime.fromtimestamp(place.read - 0.001, UTC)
    elif into.runs:
        since = into.runs[-1].end
    else:
        return looks
    return looks[bisect_left(looks, since) :]


def counters_of(past: Past, rollout: Rollout, *, elsewhere: frozenset[str] = frozenset()) -> Recounting | None:
    """What counts for the rollout's gates; None where none of them needs it."""
    wanted = needs(rollout)
    return None if wanted is None else Recounting(past, rollout.flag_key, wanted, elsewhere=elsewhere)


class Replay:
    """One rollout over the past; it is to itself what the database is to the reconciler."""

    def __init__(
        self,
        past: Past,
        draft: Rollout,
        counters: Recounting | None,
        *,
        then: Then = NOTHING_ELSE,
        begin: int = 0,
    ) -> None:
        """Started, not looked at.

        Args:
            past: that is looked at.
            draft: of which flag, between which variants, by which plan.
            counters: what counts for its gates.
            then: what holds it beside its evidence.
            begin: number of the look that starts it.
        """
        self._past = past
        self._counters = counters
        self._then = then
        self._look = begin
        self._rollout = apply(draft, Event.START, now=past.looks[begin])
        self._place: Place | None = None
        self._counted_at: datetime | None = None
        self._state: State | None = None
        self._folded_since: datetime | None = None
        self._kept_since: datetime | None = None
        self._kept: dict[str, deque[Measurement]] = {
            gate.name: deque(maxlen=_remembered(gate, draft.plan)) for gate in draft.plan.gates
        }
        #: Or waits for a person.
        self.ended = False

    def looks(self, moves: Mapping[datetime, Event] = MappingProxyType({})) -> Iterator[Look]:
        """Its looks until it has ended, or waits for a person.

        Args:
            moves: what people did, at times between two looks.
        """
        people = deque(sorted(moves.items()))
        for number in range(self._look + 1, len(self._past.looks)):
            now = self._past.looks[number]
            while people and people[0][0] <= now:
                at, event = people.popleft()
                self._rollout = apply(self._rollout, event, now=at)
            if self._rollout.state not in WATCHED:
                break
            look = self._at(number, now=now)
            self._look, self._rollout = number, look.after
            state = look.after.state
            self.ended = state not in WATCHED or (state is not RolloutState.RUNNING and not people)
            yield look
            if self.ended:
                break

    def stand(self, run: Run) -> Stand:
        """How it stands, so that it can go on another day."""
        return Stand(
            at=self._past.looks[self._look],
            rollout=self._rollout,
            run=run,
            place=self._place,
            counted_at=self._counted_at,
            state=self._state,
            folded_since=self._folded_since,
            kept_since=self._kept_since,
            kept={gate: tuple(kept) for gate, kept in self._kept.items()},
        )

    def resume(self, stand: Stand) -> None:
        """Go on behind the last look that it has had."""
        self._look = bisect_left(self._past.looks, stand.at)
        self._rollout = stand.rollout
        self._place, self._counted_at = stand.place, stand.counted_at
        self._state, self._folded_since = stand.state, stand.folded_since
        self._kept_since = stand.kept_since
        for gate, measurements in stand.kept.items():
            self._kept[gate].extend(measurements)
        if self._counters is not None:
            for number in range(1, self._look + 1):
                # Looks since the last that could be counted: what they gave is not counted yet.
                self._counters.read(self._place, number, at=self._past.looks[number])

    def _at(self, number: int, *, now: datetime) -> Look:
        """Measure, judge, decide, as `service.reconcile` and `service.conclude` do."""
        rollout = self._rollout
        counted, place = self._count(number, now=now)
        measured = measure(
            rollout,
            counted,
            lambda promql: self._past.query(promql, at=now),
            self._past.alert_rule,
            now=now,
        ).measurements
        # The past has said all it has to say: from here on nothing keeps the look from being whole.
        self._place = place
        if isinstance(counted, Counted):
            self._counted_at = now
        state = self._fold(measured)
        verdicts = judge_all(rollout, self._evidence(measured), state, now=now)
        decision = decide(rollout, verdicts, now=now, circumstances=self._then.at(rollout, now))
        after = apply(rollout, decision.event, now=now, pause_reason=decision.pause_reason)
        return Look(at=now, before=rollout, after=after, decision=decision, measurements=measured)

    def _count(self, number: int, *, now: datetime) -> tuple[Counted | Broken | None, Place | None]:
        if self._counters is None:
            return None, None
        cursor = None if self._counted_at is None else Cursor(read_at=self._counted_at, last={})
        begins = still_valid(cursor, self._rollout, now=now) is None
        return self._counters.read(None if begins else self._place, number, at=now)

    def _fold(self, measured: Sequence[Measurement]) -> State | None:
        plan, since = self._rollout.plan, self._rollout.evidence_since
        policy = plan.policy
        if policy is None:
            return None
        if self._state is None or self._folded_since != since:
            self._state, self._folded_since = start(policy), since
        self._state = fold(policy, entries(plan, measured), after=self._state)
        return self._state

    def _evidence(self, measured: Sequence[Measurement]) -> Mapping[str, Sequence[Measurement]]:
        """As `service.conclude.evidence_of` gives it: since the wave began."""
        if self._kept_since != self._rollout.wave_since:
            self._kept_since = self._rollout.wave_since
            for kept in self._kept.values():
                kept.clear()
        for each in measured:
            self._kept[each.gate].append(each)
        compared = {gate.name for gate in self._rollout.plan.compared}
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
