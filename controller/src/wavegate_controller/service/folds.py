"""What the logs of evidence have come to, remembered between looks; a restart folds them anew, to the same bits."""

from collections.abc import Sequence
from datetime import datetime

from wavegate_controller.domain.guarding import entries
from wavegate_controller.domain.guardrail import State, fold, start
from wavegate_controller.domain.measurement import Measurement
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.ports import UnitOfWork


class Folds:
    """The folded evidence of the rollouts that are watched here: a cache, the log stays the truth."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[datetime, State]] = {}

    def state(self, work: UnitOfWork, rollout: Rollout, latest: Sequence[Measurement] = ()) -> State | None:
        """The rollout's comparison after all that is stored and the latest; None for a plan that compares nothing.

        Only what is stored is remembered: what joins it now may yet be dropped with its transaction.
        """
        policy = rollout.plan.policy
        if policy is None:
            return None
        since = rollout.evidence_since or rollout.created_at
        known_since, state = self._known.get(rollout.id, (since, start(policy)))
        if known_since != since:
            state = start(policy)
        counts = work.evidence.counts(rollout.id, state.read_at or since)
        state = fold(policy, entries(rollout.plan, counts), after=state)
        self._known[rollout.id] = since, state
        newer = [each for each in latest if state.read_at is None or each.at > state.read_at]
        return fold(policy, entries(rollout.plan, newer), after=state)

    def read_at(self, work: UnitOfWork, rollout: Rollout) -> datetime | None:
        """When the newest of what is stored was counted; None where nothing was."""
        known_since, state = self._known.get(rollout.id, (None, None))
        if state is None or known_since != (rollout.evidence_since or rollout.created_at):
            state = self.state(work, rollout)
        return None if state is None else state.read_at

    def forget(self, rollout_id: str) -> None:
        """It is watched no longer."""
        self._known.pop(rollout_id, None)
