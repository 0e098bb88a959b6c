"""What holds rollouts beside their evidence, read once for all rollouts of a transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from wavegate_controller.domain import prerequisites
from wavegate_controller.domain.circumstances import Circumstances
from wavegate_controller.domain.drill import Drill, DrillState
from wavegate_controller.domain.freeze import FreezeWindow, Frozen, frozen
from wavegate_controller.domain.plan import OnRedCheck
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.transitions import Event
from wavegate_controller.ports import Fleets, UnitOfWork
from wavegate_controller.service.readiness import red_checks


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The calendars, switches, prerequisites and readiness of the environments that are asked about."""

    work: UnitOfWork
    now: datetime
    fleets: Fleets | None = None
    _windows: dict[str, Sequence[FreezeWindow]] = field(default_factory=dict)
    _stopped: dict[str, frozenset[str]] = field(default_factory=dict)
    _dependent: dict[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    _dry: dict[str, bool] = field(default_factory=dict)
    _drills: list[Mapping[str, Drill]] = field(default_factory=list)

    def of(self, rollout: Rollout) -> Circumstances:
        """Those of one rollout."""
        environment = rollout.environment
        if environment not in self._stopped:
            self._stopped[environment] = self.work.flags.stopped(environment)
        in_dry_run = rollout.plan.dry_run or self.in_dry_run(environment)
        notes = in_dry_run or any(gate.dry_run for gate in rollout.plan.gates)
        return Circumstances(
            frozen=self.frozen(environment, rollout.plan.freeze_windows),
            waits_for=self.waits_for(environment, rollout.flag_key),
            red_checks=self.red_checks(rollout) if rollout.plan.on_red_check is OnRedCheck.HOLD else "",
            drill=drill.sentence if (drill := self.drill(rollout)) else "",
            stopped=rollout.flag_key in self._stopped[environment],
            dry_run=in_dry_run,
            noted=self._noted(rollout) if notes else None,
        )

    def red_checks(self, rollout: Rollout) -> str:
        """What of its readiness has turned red, as a sentence; not looked at before the wave may be left."""
        until = rollout.bakes_until
        if self.fleets is None or (until is not None and self.now < until):
            return ""
        return red_checks(self.work, self.fleets, rollout.environment, rollout.flag_key, now=self.now)

    def drill(self, rollout: Rollout) -> Drill | None:
        """The drill that takes this very rollout back, and waits for that to be decided."""
        if not self._drills:
            drills = [each for each in self.work.drills.under_way() if each.is_real]
            self._drills.append({each.rollout_id: each for each in drills if each.state is DrillState.INJECTED})
        return self._drills[0].get(rollout.id)

    def in_dry_run(self, environment: str) -> bool:
        """Whether all rollouts of an environment are only judged."""
        if environment not in self._dry:
            self._dry[environment] = any(
                each.dry_run for each in self.work.environments.list() if each.name == environment
            )
        return self._dry[environment]

    def _noted(self, rollout: Rollout) -> Event | None:
        """What a dry run has noted last, since anybody moved the rollout."""
        newest = next(iter(self.work.decisions.list(rollout.id, limit=1, moves_only=True)), None)
        return newest.would if newest is not None and newest.event is Event.DRY_RUN else None

    def frozen(self, environment: str, further: Sequence[FreezeWindow] = ()) -> Frozen | None:
        """The freeze window that holds in an environment, or one of further windows."""
        if environment not in self._windows:
            self._windows[environment] = self.work.calendars.get(environment).windows
        windows = (*further, *self._windows[environment])
        return frozen(windows, self.now) if windows else None

    def waits_for(self, environment: str, flag_key: str) -> str:
        """What another flag must do before a rollout of this one may go on, as a sentence; empty when nothing."""
        if environment not in self._dependent:
            self._dependent[environment] = self.work.flags.dependent(environment)
        needed = self._dependent[environment].get(flag_key)
        if not needed:
            return ""
        flags = self.work.flags
        return prerequisites.unmet(
            flags.get(environment, flag_key),
            {key: flags.get(environment, key) for key in needed},
            self.work.rollouts.serving(environment),
        )
