"""What an alert that names a flag does to it: at most what the settings allow, and never twice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from wavegate_controller.domain.access import EVERYWHERE
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.rollout import PauseReason, Rollout
from wavegate_controller.domain.transitions import TRANSITIONS, Event, apply_automatic

#: Label by which an alert says what it wants.
ACTION_LABEL: Final = "wavegate_action"
#: Label by which it says where.
ENVIRONMENT_LABEL: Final = "wavegate_environment"


class AlertAction(StrEnum):
    """What an alert may do to the flag that it names, mildest first."""

    #: Nothing; it is written down.
    RECORD = "record"
    #: The rollout stays where it is until a person acts.
    PAUSE = "pause"
    #: Everybody is back on the stable variant.
    ROLL_BACK = "roll_back"
    #: The flag is stopped: everybody gets the default variant, rollout or not.
    DISABLE = "disable"


class AlertOutcome(StrEnum):
    """What came of an alert."""

    #: The rollout was paused.
    PAUSED = "paused"
    #: The rollout was rolled back.
    ROLLED_BACK = "rolled_back"
    #: The flag was stopped.
    DISABLED = "disabled"
    #: A human has pinned the rollout: it was flagged, and stays.
    PINNED = "pinned"
    #: The rollout, or its environment, is in dry run: written down, and nothing moves.
    DRY_RUN = "dry_run"
    #: Written down, as the settings say.
    RECORDED = "recorded"
    #: It was so already, or there is no rollout to move.
    NOTHING_TO_DO = "nothing_to_do"
    #: No label names a flag.
    NO_FLAG = "no_flag"
    #: There is no such flag.
    UNKNOWN_FLAG = "unknown_flag"
    #: There is no such environment.
    UNKNOWN_ENVIRONMENT = "unknown_environment"
    #: Whoever reports it may not do so for this environment.
    NOT_ALLOWED = "not_allowed"
    #: It is over, which moves nothing.
    RESOLVED = "resolved"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One alert as Alertmanager reports it.

    Attributes:
        fingerprint: of its labels; with the time of its begin it names one firing.
        is_firing: False once it is over.
        summary: what a person reads.
    """

    fingerprint: str
    starts_at: datetime
    is_firing: bool
    labels: Mapping[str, str]
    summary: str = ""

    @property
    def name(self) -> str:
        """Of its rule."""
        return self.labels.get("alertname", "an alert without a name")

    @property
    def sentence(self) -> str:
        """What is told of it."""
        return f"alert {self.name} fires" + (f": {self.summary}" if self.summary else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertPolicy:
    """What alerts may do. Valid, or not constructed.

    Attributes:
        flag_labels: labels that may name a flag; the first that an alert has counts.
        default: environment, or `*`, to what an alert does that does not say what it wants.
        allowed: what an alert may ask for by its label.
        without_rollout: what is done to a flag that has no rollout to pause or to take back.
    """

    flag_labels: tuple[str, ...] = ("wavegate_flag", "flag")
    default: Mapping[str, AlertAction] = field(default_factory=lambda: {EVERYWHERE: AlertAction.ROLL_BACK})
    allowed: frozenset[AlertAction] = frozenset({AlertAction.RECORD, AlertAction.PAUSE, AlertAction.ROLL_BACK})
    without_rollout: AlertAction = AlertAction.RECORD

    def __post_init__(self) -> None:
        if not self.flag_labels:
            raise Invalid("alert_flag_labels", "is empty", "labels that may name a flag, such as wavegate_flag")
        if self.without_rollout not in (AlertAction.RECORD, AlertAction.DISABLE):
            raise Invalid("alert_without_rollout", f"{self.without_rollout} moves a rollout", "record or disable")

    def flag_of(self, alert: Alert) -> str | None:
        """The key of the flag that it names."""
        return next((alert.labels[label] for label in self.flag_labels if alert.labels.get(label)), None)

    def action_for(self, alert: Alert, environment: str) -> AlertAction:
        """What it does: what it asks for, if that is allowed, else what is usual there."""
        asked = alert.labels.get(ACTION_LABEL)
        if asked in self.allowed:
            return AlertAction(asked)
        return self.default.get(environment, self.default.get(EVERYWHERE, AlertAction.ROLL_BACK))


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertRecord:
    """An alert that was reported, as it is kept.

    Attributes:
        environment: where its flag is; empty when it names no place that there is.
        detail: what a person reads about the outcome.
        id: rising number; 0 until stored.
    """

    alert: Alert
    received_at: datetime
    environment: str
    flag: str
    action: AlertAction | None
    outcome: AlertOutcome
    detail: str
    id: int = 0


_EVENTS: Final = {AlertAction.PAUSE: Event.PAUSE, AlertAction.ROLL_BACK: Event.ROLL_BACK}


def wanted_by_alert(rollout: Rollout | None, action: AlertAction) -> Event | None:
    """What the action asks for; None where the rollout does not take it.

    Whoever stops the flag takes the candidate from everybody, as a roll back does.
    """
    event = Event.ROLL_BACK if action is AlertAction.DISABLE else _EVENTS.get(action)
    if rollout is None or rollout.pin is not None or event not in TRANSITIONS[rollout.state]:
        return None
    return event


def moved_by_alert(rollout: Rollout | None, action: AlertAction, *, now: datetime) -> tuple[Event, Rollout] | None:
    """The rollout after the alert; None when there is none that the action could move.

    Both a pause and a roll back only lower what users get, in every state. What a human has pinned is flagged, loudly,
    and stays where it is.
    """
    event = _EVENTS.get(action)
    if rollout is not None and rollout.pin is not None:
        event = Event.ALERT
    if rollout is None or event is None or event not in TRANSITIONS[rollout.state]:
        return None
    return event, apply_automatic(rollout, event, now=now, pause_reason=PauseReason.ALERT)
