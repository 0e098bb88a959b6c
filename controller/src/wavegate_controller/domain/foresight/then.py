"""What held a rollout beside its evidence at any time of the past."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from wavegate_controller.domain import prerequisites
from wavegate_controller.domain.circumstances import CLEAR, Circumstances
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.freeze import FreezeWindow, frozen
from wavegate_controller.domain.rollout import Rollout


@dataclass(frozen=True, kw_only=True, slots=True)
class Then:
    """The calendar and the prerequisites of one flag, for a replay.

    Attributes:
        windows: of the environment; the plan brings its own.
        flag: whose rollout is replayed; None where nobody knows what it needs.
        needed: the flags that it names, by key.
        rollouts: flag key to how the rollouts of the flag stood, each from when on, oldest first.
    """

    windows: Sequence[FreezeWindow] = ()
    flag: Flag | None = None
    needed: Mapping[str, Flag] = field(default_factory=dict)
    rollouts: Mapping[str, Sequence[tuple[datetime, Rollout]]] = field(default_factory=dict)

    def at(self, rollout: Rollout, now: datetime) -> Circumstances:
        """Those of the reconciler at that time, as far as the past says."""
        windows = (*rollout.plan.freeze_windows, *self.windows)
        if not windows and self.flag is None:
            return CLEAR
        return Circumstances(frozen=frozen(windows, now) if windows else None, waits_for=self._waits_for(now))

    def _waits_for(self, now: datetime) -> str:
        if self.flag is None:
            return ""
        serving = {}
        for key, stood in self.rollouts.items():
            before = [rollout for at, rollout in stood if at < now]
            if before:
                serving[key] = before[-1]
        return prerequisites.unmet(self.flag, self.needed, serving)


#: Nothing but the plan's own windows.
NOTHING_ELSE: Final = Then()
