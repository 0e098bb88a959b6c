"""A decision made again from what is stored: the same numbers, or the record is not what it says."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.analysis import judge_all
from wavegate_controller.domain.decision import Decision, decide
from wavegate_controller.domain.guarding import entries
from wavegate_controller.domain.guardrail import Assessment, explain, fold
from wavegate_controller.domain.measurement import Measurement
from wavegate_controller.domain.record import RECONCILER, DecisionRecord, as_it_was, verdict_to_document
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.service.queries import FlagStory, FlagView, RolloutView
from wavegate_controller.service.services import Services

#: How far back the evidence of one decision is told at most: in time, and in looks of a plan that looks seldom.
_TOLD: Final = timedelta(hours=1)
_LOOKS_TOLD: Final = 240


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """A decision, and what comes out when it is made again.

    Attributes:
        record: as it was kept.
        again: from the log of evidence; None where a person decided, or before records could be recomputed.
        assessment: of the gates that compare, with intervals and forecasts; None where none does.
    """

    record: DecisionRecord
    again: Decision | None
    assessment: Assessment | None

    @property
    def agrees(self) -> bool | None:
        """Whether both are the same, bit by bit; None where there is nothing to compare."""
        if self.again is None:
            return None
        recorded = (self.record.event, self.record.reason, self.record.sentence)
        again = [verdict_to_document(each) for each in self.again.verdicts]
        return (
            recorded == (self.again.event, self.again.reason, self.again.sentence)
            and len(again) == len(self.record.verdicts)
            and all(_same(kept, made) for kept, made in zip(self.record.verdicts, again, strict=True))
        )


def explain_decision(services: Services, decision_id: int, *, by: Principal) -> Explanation:
    """Make a decision again, on the evidence and in the wave that it was made in.

    Raises:
        NotFound: there is no such decision.
        Forbidden: they may not see it.
    """
    with services.store.transaction() as work:
        record = work.decisions.get(decision_id)
        rollout = as_it_was(work.rollouts.get(record.rollout_id), record)
        by.require(Permission.READ, rollout.environment)
        if record.actor != RECONCILER or rollout.wave_since is None or rollout.evidence_since is None:
            return Explanation(record=record, again=None, assessment=None)
        counts = work.evidence.counts(rollout.id, rollout.evidence_since, until=record.at)
        measurements = work.evidence.since(rollout.id, rollout.wave_since, until=record.at)
    by_gate: defaultdict[str, list[Measurement]] = defaultdict(list)
    for each in measurements:
        by_gate[each.gate].append(each)
    policy = rollout.plan.policy
    state = None if policy is None else fold(policy, entries(rollout.plan, counts))
    verdicts = judge_all(rollout, by_gate, state, now=record.at)
    return Explanation(
        record=record,
        again=decide(rollout, verdicts, now=record.at, circumstances=record.circumstances),
        assessment=None if policy is None or state is None else explain(policy, state, now=record.at),
    )


def story_of(services: Services, explanation: Explanation, *, by: Principal) -> tuple[Rollout, FlagStory]:
    """The rollout as it was when it was decided, and what its gates had measured by then: in its wave, or lately.

    Raises:
        Forbidden: they may not see it.
    """
    record = explanation.record
    with services.store.transaction() as work:
        stored = work.rollouts.get(record.rollout_id)
        by.require(Permission.READ, stored.environment)
        rollout = as_it_was(stored, record)
        flag = work.flags.get(stored.environment, stored.flag_key)
        decisions = work.decisions.list(stored.id, limit=_LOOKS_TOLD, before=record.id + 1)
        lately = record.at - max(_TOLD, _LOOKS_TOLD * stored.plan.interval)
        since = lately if rollout.wave_since is None else max(lately, rollout.wave_since)
        measured = work.evidence.since(stored.id, since, until=record.at)
    view = RolloutView(
        rollout=rollout, latest=record, moved=None, flag_enabled=flag.enabled, guardrail=explanation.assessment
    )
    story = FlagStory(
        view=FlagView(flag=flag, rollout=view),
        now=record.at,
        since=since,
        until=record.at,
        decisions=decisions,
        measurements=measured,
    )
    return rollout, story


def _same(kept: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    """But for the query, which the log of evidence does not repeat, and figures that an older version did not keep."""
    figures = {name: value for name, value in made["figures"].items() if name in kept["figures"]}
    return dict(kept) == {**made, "query": kept["query"], "figures": figures}
