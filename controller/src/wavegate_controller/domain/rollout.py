"""A rollout: one flag moving from its stable to its candidate variant, wave by wave."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.plan import Plan, Wave


class State(StrEnum):
    """Where a rollout stands."""

    #: Written down, serving nobody yet; waits for `start`.
    DRAFT = "draft"
    #: In a wave: the candidate is served at the wave's weight and the gates are watched.
    RUNNING = "running"
    #: The gates passed; a human opens the next wave. The weight stays, the gates are still watched.
    AWAITING_APPROVAL = "awaiting_approval"
    #: Stays at its weight until a human acts. The gates are still watched.
    PAUSED = "paused"
    #: The last wave passed its bake; the candidate is served at its weight. Final.
    COMPLETED = "completed"
    #: Everybody is back on the stable variant. Only `restart` leads on, and `undo` after a human's roll back.
    ROLLED_BACK = "rolled_back"
    #: Given up; everybody is on the stable variant. Final.
    CANCELLED = "cancelled"


class PauseReason(StrEnum):
    """Why a rollout is paused."""

    #: A human paused it.
    OPERATOR = "operator"
    #: A gate was breached and the plan says to pause or to step back.
    BREACH = "breach"
    #: An alert that names the flag fires.
    ALERT = "alert"
    #: A human took back a roll back.
    UNDONE = "undone"
    #: An approver said no.
    REJECTED = "rejected"
    #: A human took it one wave back.
    STEPPED_BACK = "stepped_back"
    #: A gate had nothing to judge for so long that the plan says to pause.
    NOT_ENOUGH_DATA = "not_enough_data"
    #: A gate could not be measured for so long that the plan says to pause.
    CANNOT_MEASURE = "cannot_measure"
    #: It stayed in a wave for longer than the wave's time limit, and the plan says to pause.
    TIME_LIMIT = "time_limit"


#: States in which users may have the candidate, so the gates are looked at.
WATCHED = frozenset({State.RUNNING, State.AWAITING_APPROVAL, State.PAUSED})
#: States in which the flag is free for another rollout.
ENDED = frozenset({State.COMPLETED, State.ROLLED_BACK, State.CANCELLED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """One approver's yes to the next wave."""

    by: str
    at: datetime
    comment: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """A human holds the rollout where it is: nothing automatic moves it, up or down, until a human unpins it.

    Attributes:
        breached_at: when the gates were first seen breached under this pin; it is flagged, and nothing moves.
    """

    by: str
    at: datetime
    reason: str
    breached_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """One rollout at one moment.

    Attributes:
        id: the flag key and a running number, such as `ai-summaries:2`; no flag key has a colon, so the two are never
            mistaken for each other.
        wave: index into the plan's waves; None before the start.
        started_at: when the first wave began; None before the start.
        wave_since: since when the current wave is baking; begins anew when the rollout resumes.
        evidence_since: since when evidence counts. Runs on over the waves; begins anew with a restart and
            when a human resumes after a breach (decision.md, section 7: that is a new test).
        next_look_at: when the reconciler looks next; None where there is nothing to watch.
        approvals: given for the wave that waits; void as soon as it no longer does.
        pin: a human's hold on it; None when the plan decides.
        final_bake_since: since when it is watched after its last wave; None before.
        unwatched: how long, since the bake began, nobody looked because no controller ran; that is no baking.
        template: name and version of the template that the plan is a copy of, such as `careful@3`.
        version: counts the changes; a writer must name the version it read.
    """

    id: str
    flag_key: str
    environment: str
    stable: str
    candidate: str
    plan: Plan
    created_by: str
    created_at: datetime
    updated_at: datetime
    state: State = State.DRAFT
    pause_reason: PauseReason | None = None
    wave: int | None = None
    started_at: datetime | None = None
    wave_since: datetime | None = None
    evidence_since: datetime | None = None
    next_look_at: datetime | None = None
    approvals: tuple[Signature, ...] = ()
    pin: Pin | None = None
    final_bake_since: datetime | None = None
    unwatched: timedelta = timedelta(0)
    template: str | None = None
    version: int = 1

    @property
    def current_wave(self) -> Wave | None:
        """The wave this rollout is or was last in."""
        return None if self.wave is None else self.plan.waves[self.wave]

    @property
    def is_last_wave(self) -> bool:
        """No further wave would follow the current one."""
        return self.wave == len(self.plan.waves) - 1

    @property
    def weight(self) -> int:
        """Share of the users that get the candidate now, in 1/100,000."""
        wave = self.current_wave
        if wave is None or self.state in (State.ROLLED_BACK, State.CANCELLED):
            return 0
        return wave.weight

    @property
    def hold_out(self) -> int:
        """Share of the users that the candidate is kept from now, in 1/100,000."""
        if self.weight == 0 or (self.state is State.COMPLETED and not self.plan.keep_hold_out):
            return 0
        return self.plan.hold_out

    @property
    def exposure(self) -> int:
        """Share of all users that get the candidate now, those held out taken off, in 1/100,000."""
        return self.weight * (FULL_WEIGHT - self.hold_out) // FULL_WEIGHT

    @property
    def bakes_until(self) -> datetime | None:
        """When the wave, or the bake after the last one, may be left upwards; None before the start."""
        if self.final_bake_since is not None and self.plan.final_bake is not None:
            return self.final_bake_since + self.plan.final_bake + self.unwatched
        wave = self.current_wave
        return None if wave is None or self.wave_since is None else self.wave_since + wave.bake + self.unwatched

    @property
    def overdue_at(self) -> datetime | None:
        """When the wave's time limit ends; None where it has none, and in the bake after the last wave."""
        wave = self.current_wave
        if wave is None or self.wave_since is None or wave.time_limit is None or self.final_bake_since is not None:
            return None
        return self.wave_since + wave.time_limit + self.unwatched

    def missed(self, now: datetime) -> timedelta:
        """How long nobody has looked, if the look that is taken now comes much too late: nobody watched meanwhile.

        However many looks were missed, one follows: what a wave may not do in one look it may not do after a downtime.
        """
        late = timedelta(0) if self.next_look_at is None else now - self.next_look_at
        return late if late > 2 * self.plan.interval else timedelta(0)

    @property
    def is_moving(self) -> bool:
        """Whether the gates may still move it by themselves: it runs, or it waits for a signature only."""
        return self.state in (State.RUNNING, State.AWAITING_APPROVAL)


def check_variants(flag: Flag, *, stable: str, candidate: str) -> None:
    """Refuse a rollout between variants that the flag does not have, or from a variant to itself.

    Raises:
        Invalid: naming the field.
    """
    known = ", ".join(sorted(flag.variants))
    for field, variant in (("stable", stable), ("candidate", candidate)):
        if variant not in flag.variants:
            raise Invalid(field, f"{variant!r} is not a variant of flag {flag.key!r}", f"one of {known}")
    if stable == candidate:
        raise Invalid("candidate", f"{candidate!r} is the stable variant too", f"another one of {known}")
