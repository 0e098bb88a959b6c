"""Telling people: what is worth telling, to whom, and when it is tried again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from wavegate_controller.domain.access import EVERYWHERE
from wavegate_controller.domain.decision import Decision, DecisionReason
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.flag import Flag, check_name
from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.rollout import Rollout, State
from wavegate_controller.domain.transitions import Event, allowed

#: A rollout begins to hold because it cannot be measured; told to whoever names it, since an outage holds all at once.
HOLD: Final = "rollout.hold"
_ACTION: Final = re.compile(r"[a-z_]+(\.[a-z_]+)?")
_FIRST_WAIT: Final = timedelta(seconds=5)
_LONGEST_WAIT: Final = timedelta(minutes=10)
#: What a message offers to do, where the state takes it.
_OFFERED: Final = (Event.APPROVE, Event.PROMOTE, Event.RESUME, Event.ROLL_BACK)


class Severity(StrEnum):
    """How loud a message is."""

    #: As planned, or what a person did.
    INFO = "info"
    #: Waits for a person, or a person stepped in.
    WARNING = "warning"
    #: Users had something bad.
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Louder is higher."""
        return list(Severity).index(self)


class ChannelKind(StrEnum):
    """How a channel is reached."""

    #: Chat, mail or pager, by one of apprise's services.
    SERVICE = "service"
    #: A signed POST.
    WEBHOOK = "webhook"


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What is told.

    Attributes:
        action: the audit's word for what happened.
        subject: what it happened to.
        title: what happened, in a line.
        text: why, with the numbers.
        offers: what the rollout's state takes now, of what a reader may want.
    """

    at: datetime
    environment: str
    action: str
    subject: str
    flag: str
    severity: Severity
    actor: str
    title: str
    text: str
    offers: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """Messages of one line arrive in their order: all about one flag, its rollouts included."""
        return f"{self.environment}/{self.flag or self.subject}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """Where messages go, and which. Valid, or not constructed.

    Attributes:
        environment: whose messages; `*` for all.
        url: apprise's for a service, else where to post; holds secrets.
        secret: that a webhook is signed with.
        shown: the address without what is secret in it.
        unreadable: why address and secret are not known to this process, and what to do; empty where they are.
        actions: which, each a whole action or its beginning up to the dot; none for all.
        least: how loud at the least.
    """

    name: str
    environment: str
    kind: ChannelKind
    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    shown: str
    actions: tuple[str, ...] = ()
    least: Severity = Severity.INFO
    unreadable: str = ""
    created_by: str
    created_at: datetime

    def __post_init__(self) -> None:
        check_name("name", self.name)
        if self.environment != EVERYWHERE:
            check_name("environment", self.environment)
        for index, action in enumerate(self.actions):
            if not _ACTION.fullmatch(action):
                raise Invalid(
                    f"actions[{index}]", f"{action!r} is not an action", "such as rollout.roll_back, or rollout"
                )

    def wants(self, message: Message) -> bool:
        """Whether the message goes here."""
        if self.environment not in (EVERYWHERE, message.environment) or message.severity.rank < self.least.rank:
            return False
        if message.action == HOLD:
            return HOLD in self.actions
        return not self.actions or any(
            message.action == action or message.action.startswith(f"{action}.") for action in self.actions
        )


class DeliveryState(StrEnum):
    """How far a delivery is."""

    #: Not there yet; tried again until it is.
    PENDING = "pending"
    #: The other side took it.
    DELIVERED = "delivered"
    #: Given up after too many attempts; a person may have it tried again.
    DEAD = "dead"


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One message on its way to one channel.

    Attributes:
        id: rising.
        message_id: the same at each attempt, so that a receiver can tell a repetition.
        attempts: begun so far; with `id` it names a claim, so that who was too slow settles nothing.
        next_attempt_at: when it is due.
        claimed_until: until when somebody is at it.
        error: what went wrong last.
    """

    id: int
    message_id: str
    channel: str
    message: Message
    state: DeliveryState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    claimed_until: datetime | None = None
    delivered_at: datetime | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """An attempt that did not work.

    Attributes:
        detail: what a person reads; no secret in it.
        is_final: whether trying again cannot help.
    """

    detail: str
    is_final: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """How much is waiting.

    Attributes:
        oldest: when the message was written that waits for the longest; None where none does.
    """

    pending: int
    dead: int
    oldest: datetime | None


def wait_after(attempts: int, *, chance: float) -> timedelta:
    """How long to wait after so many attempts: twice as long each time, spread so that not all come back at once.

    Args:
        attempts: from 1 on.
        chance: 0 to 1, drawn anew each time.
    """
    whole = min(_FIRST_WAIT * float(2 ** min(attempts - 1, 20)), _LONGEST_WAIT)
    return whole * (0.5 + chance / 2)


def about_rollout(
    decision: Decision, *, before: Rollout, after: Rollout, actor: str, automatic: bool, now: datetime
) -> Message:
    """What is told of a rollout that was moved.

    Args:
        decision: that moved it.
        before: as it was.
        after: as it is.
        actor: who signed.
        automatic: whether the controller decided it.
        now: aware UTC time of the decision.
    """
    return Message(
        at=now,
        environment=after.environment,
        action=f"rollout.{decision.event}",
        subject=after.id,
        flag=after.flag_key,
        severity=_severity(decision, automatic=automatic),
        actor=actor,
        title=f"{after.flag_key} ({after.environment}): {_title(decision, before, after)}",
        text=decision.sentence,
        offers=tuple(event.value for event in _OFFERED if event in allowed(after.state)),
    )


def about_hold(decision: Decision, rollout: Rollout, *, actor: str, now: datetime) -> Message:
    """What is told when a rollout begins to hold because its gates cannot be measured."""
    return Message(
        at=now,
        environment=rollout.environment,
        action=HOLD,
        subject=rollout.id,
        flag=rollout.flag_key,
        severity=Severity.WARNING,
        actor=actor,
        title=f"{rollout.flag_key} ({rollout.environment}): cannot be measured, holds at {percent(rollout.weight):g} %",
        text=decision.sentence,
        offers=tuple(event.value for event in _OFFERED if event in allowed(rollout.state)),
    )


def about_switch(flag: Flag, *, actor: str, comment: str, now: datetime) -> Message:
    """What is told of a flag that was disabled or enabled."""
    said = "is on again" if flag.enabled else f"stopped: everybody gets {flag.default_variant!r}"
    return Message(
        at=now,
        environment=flag.environment,
        action="flag.enable" if flag.enabled else "flag.disable",
        subject=flag.key,
        flag=flag.key,
        severity=Severity.WARNING if flag.enabled else Severity.CRITICAL,
        actor=actor,
        title=f"{flag.key} ({flag.environment}): {said}",
        text=f"by {actor}" + (f": {comment}" if comment else ""),
    )


def _severity(decision: Decision, *, automatic: bool) -> Severity:
    match decision.event:
        case Event.ROLL_BACK | Event.STEP_BACK | Event.PAUSE:
            bad = automatic or decision.reason is not DecisionReason.REQUESTED
            return Severity.CRITICAL if bad else Severity.WARNING
        case Event.ALERT:
            return Severity.CRITICAL
        case Event.AWAIT_APPROVAL | Event.REJECT | Event.CANCEL | Event.PIN:
            return Severity.WARNING
        case _:
            return Severity.INFO


_SAID: Final = {
    Event.RESUME: "goes on",
    Event.SIGN: "signed, but not by all that it takes,",
    Event.BAKE: "the last wave passed; watched on",
    Event.UNDO: "roll back undone; paused",
    Event.RESTORE: "the drill is over; stands again",
    Event.PIN: "pinned",
    Event.UNPIN: "no longer pinned",
    Event.ALERT: "something is wrong, but it is pinned",
    Event.REARM: "serves again, and bakes anew,",
    Event.DRY_RUN: "dry run: would have acted, stays",
}


def _title(decision: Decision, before: Rollout, after: Rollout) -> str:
    share, was = f"{percent(after.weight):g} %", f"{percent(before.weight):g} %"
    match after.state:
        case State.ROLLED_BACK:
            return f"rolled back from {was}; everybody gets {after.stable!r}"
        case _ if (said := _SAID.get(decision.event)) is not None:
            return f"{said} at {share}"
        case State.PAUSED if after.weight < before.weight:
            return f"taken back from {was} to {share}, paused"
        case State.PAUSED:
            return f"paused at {share}"
        case State.AWAITING_APPROVAL:
            return f"the gates passed at {share}; waits for a signature"
        case State.COMPLETED:
            return f"complete: {share} get {after.candidate!r}"
        case State.CANCELLED:
            return f"cancelled; everybody gets {after.stable!r}"
        case _:
            return f"{share} get {after.candidate!r}"


def links(message: Message, *, pages: str) -> Mapping[str, str]:
    """Name to address; each leads to a page that asks who one is, and does nothing by itself.

    Args:
        message: about a flag or one of its rollouts; others have no page.
        pages: what the addresses begin with; empty where nobody knows it, then there are no links.
    """
    if not pages or not message.flag:
        return {}
    page = f"{pages.rstrip('/')}/flags/{quote(message.flag, safe='')}"
    where = f"?environment={quote(message.environment, safe='')}"
    return {"page": page + where} | {offer: f"{page}/confirm/{offer}{where}" for offer in message.offers}
