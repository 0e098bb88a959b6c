"""The review of one wave: what whoever decides about the next one has to have seen, and what they sign.

What is signed is named by a digest. It covers the wave, the plan, what each gate says and why, what happened, and what
people said; the figures move with every look, and are no part of it.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

from wavegate_controller.domain.alerting import AlertOutcome, AlertRecord
from wavegate_controller.domain.answers import FeedbackAnswer
from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.errors import Conflict, Invalid
from wavegate_controller.domain.forecast import Forecast
from wavegate_controller.domain.gates import ErrorRateGate, FeedbackGate, Gate, ValueGate, ValueKind
from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.record import RECONCILER, DecisionRecord, Hold
from wavegate_controller.domain.rollout import ENDED, WATCHED, Rollout, State
from wavegate_controller.domain.transitions import Event

#: Comments that a review has; the newest.
MOST_COMMENTS: Final = 100
#: Holds that are incidents while they last.
STRETCHES: Final = (DecisionReason.CANNOT_MEASURE, DecisionReason.FLAG_STOPPED)
#: Looks that may be missing in a stretch before it counts as two.
_LATE: Final = 3
_PARTS: Final = ("wave", "plan", "gates", "incidents", "comments")
#: Digits of the hash of each part.
_DIGITS: Final = 16
_DIGEST: Final = re.compile(rf"([0-9]{{1,18}})((?:\.[0-9a-f]{{{_DIGITS}}}){{{len(_PARTS)}}})")
#: Moves that are no incident where a person asked for them, or that follow from what the gates said.
_INCIDENTS: Final = {
    Event.PAUSE: "pause",
    Event.STEP_BACK: "step_back",
    Event.ROLL_BACK: "roll_back",
}
#: What came of alerts that the decisions tell of already.
_DECIDED: Final = frozenset({AlertOutcome.PAUSED, AlertOutcome.ROLLED_BACK, AlertOutcome.PINNED})
_COUNTED: Final = (ValueKind.COST_USD, ValueKind.TOKENS)


class IncidentKind(StrEnum):
    """What can happen in a wave that whoever decides about the next one has to know."""

    #: A gate was over its limit.
    BREACH = "breach"
    #: An alert named the flag.
    ALERT = "alert"
    #: Somebody, or the plan, paused it.
    PAUSE = "pause"
    #: Somebody took it one wave back.
    STEP_BACK = "step_back"
    #: Somebody took it back altogether.
    ROLL_BACK = "roll_back"
    #: Gates could not be measured.
    CANNOT_MEASURE = "cannot_measure"
    #: The flag was stopped.
    FLAG_STOPPED = "flag_stopped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """One of them.

    Attributes:
        until: None while it lasts, and for what takes no time.
        by: who or what decided it; empty where nobody did.
    """

    kind: IncidentKind
    since: datetime
    sentence: str
    until: datetime | None = None
    by: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stay:
    """One time in one wave; a rollout that stepped back or was restarted has several in the same.

    Attributes:
        wave: its index.
        until: when it was left, for another wave or for good; None while it is not.
        moves: what was decided in it, oldest first: what opened it, and at the end what left it.
    """

    wave: int
    since: datetime
    until: datetime | None
    moves: tuple[DecisionRecord, ...]

    @property
    def left_by(self) -> DecisionRecord | None:
        """What ended it."""
        return None if self.until is None else self.moves[-1]


def stays(moves: Iterable[DecisionRecord]) -> list[Stay]:
    """All of them, from all moves of a rollout, oldest first."""
    found: list[Stay] = []
    for move in moves:
        if move.wave is not None and (not found or _opens(move, found[-1])):
            if found and found[-1].until is None:
                found[-1] = _stay(found[-1].wave, [*found[-1].moves, move], until=move.at)
            found.append(_stay(move.wave, [move], until=None))
        elif found and not (found[-1].until and move.event is Event.CANCEL):
            ends = move.state in ENDED
            found[-1] = _stay(found[-1].wave, [*found[-1].moves, move], until=move.at if ends else None)
    return found


def decided_in(stay: Stay) -> tuple[DecisionRecord, ...]:
    """What people decided about a wave, and what left it, oldest first; those that paused it are its incidents."""
    return tuple(
        each
        for each in stay.moves[1:]
        if each is stay.left_by or (each.actor != RECONCILER and each.event not in (Event.PAUSE, Event.RESUME))
    )


def _opens(move: DecisionRecord, before: Stay) -> bool:
    return move.event is Event.RESTART or move.wave != before.wave


def _stay(wave: int, moves: Sequence[DecisionRecord], *, until: datetime | None) -> Stay:
    return Stay(wave=wave, since=moves[0].at, until=until, moves=tuple(moves))


def incidents(
    stay: Stay, holds: Sequence[Hold], alerts: Sequence[AlertRecord], *, interval: timedelta, now: datetime
) -> tuple[Incident, ...]:
    """What happened in a wave, oldest first.

    Args:
        stay: the time in it.
        holds: looks that found a stretch going on, oldest first.
        alerts: what was reported of the flag, in whatever order.
        interval: between two looks.
        now: aware UTC time; what was seen at the last look goes on.
    """
    end = stay.until or now
    found = [*_moved(stay), *_stretches(holds, interval=interval, end=end), *_alerted(alerts, stay.since, end)]
    return tuple(sorted(found, key=lambda each: (each.since, each.kind)))


def _moved(stay: Stay) -> Iterable[Incident]:
    # What opened the wave is no incident of it.
    for place, move in enumerate(stay.moves[1:], start=1):
        if (kind := _kind(move)) is not None:
            later = stay.moves[place + 1 :]
            over = next((each.at for each in later if each.state is not State.PAUSED), None)
            lasts = move.state is State.PAUSED and move.wave == stay.wave
            yield Incident(
                kind=kind, since=move.at, until=over if lasts else move.at, sentence=move.sentence, by=move.actor
            )


def _kind(move: DecisionRecord) -> IncidentKind | None:
    if move.reason in (DecisionReason.BREACH, DecisionReason.PINNED_BREACH):
        return IncidentKind.BREACH
    if move.reason is DecisionReason.ALERT:
        return IncidentKind.ALERT
    word = _INCIDENTS.get(move.event)
    return None if word is None else IncidentKind(word)


def _stretches(holds: Sequence[Hold], *, interval: timedelta, end: datetime) -> Iterable[Incident]:
    for reason in STRETCHES:
        mine = [each for each in holds if each.reason is reason]
        begins = [0, *(place + 1 for place, (a, b) in enumerate(pairwise(mine)) if b.at - a.at > _LATE * interval)]
        for begin, after in zip(begins, [*begins[1:], len(mine)], strict=True):
            if begin == after:
                continue
            first, last = mine[begin], mine[after - 1]
            lasts = last is mine[-1] and end - last.at <= _LATE * interval
            yield Incident(
                kind=IncidentKind(reason.value),
                since=first.at,
                until=None if lasts else last.at + interval,
                sentence=first.sentence,
            )


def _alerted(alerts: Sequence[AlertRecord], since: datetime, end: datetime) -> Iterable[Incident]:
    over = {(each.alert.fingerprint, each.alert.starts_at): each.received_at for each in alerts if not _fires(each)}
    for each in alerts:
        if _fires(each) and each.outcome not in _DECIDED and since <= each.received_at <= end:
            yield Incident(
                kind=IncidentKind.ALERT,
                since=each.received_at,
                until=over.get((each.alert.fingerprint, each.alert.starts_at)),
                sentence=each.alert.sentence,
            )


def _fires(record: AlertRecord) -> bool:
    return record.alert.is_firing


@dataclass(frozen=True, kw_only=True, slots=True)
class GateReview:
    """What a gate said last, its value beside its limit.

    Attributes:
        rule: as a sentence.
        verdict: as it is kept with the decision; None before the first look.
        candidate: what it counts for each request of the candidate; None where it counts nothing by variant.
        stable: the same of the stable variant.
        unit: what that is.
    """

    name: str
    rule: str
    verdict: Mapping[str, Any] | None
    candidate: float | None = None
    stable: float | None = None
    unit: str = ""


def by_variant(gate: Gate, figures: Mapping[str, float]) -> tuple[float | None, float | None, str]:
    """What is counted for each request of candidate and stable, and what that is."""
    match gate:
        case ErrorRateGate():
            return _share(figures, "candidate", "bad"), _share(figures, "stable", "bad"), "share of bad requests"
        case ValueGate(value=value):
            return _share(figures, "candidate", "sum"), _share(figures, "stable", "sum"), f"{value} a request"
        case FeedbackGate() if figures.get("requests"):
            return figures.get("thumbs_down", 0.0) / figures["requests"], None, "share of requests with a thumbs down"
        case _:
            return None, None, ""


def _share(figures: Mapping[str, float], arm: str, what: str) -> float | None:
    requests = figures.get(f"{arm}_requests")
    return figures.get(f"{arm}_{what}", 0.0) / requests if requests else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What was counted so far in this wave.

    Attributes:
        what: cost_usd or tokens.
        candidate: all that the candidate took.
        more: than stable would have taken for the same requests; None where stable served none.
    """

    gate: str
    what: str
    candidate: float
    more: float | None


def costs(gates: Sequence[Gate], figures: Mapping[str, Mapping[str, float]]) -> tuple[Cost, ...]:
    """Of the gates that count money or tokens."""
    found = []
    for gate in gates:
        mine = figures.get(gate.name)
        if not isinstance(gate, ValueGate) or gate.value not in _COUNTED or not mine:
            continue
        _, stable, _ = by_variant(gate, mine)
        spent = mine.get("candidate_sum", 0.0)
        more = None if stable is None else spent - stable * mine.get("candidate_requests", 0.0)
        found.append(Cost(gate=gate.name, what=gate.value.value, candidate=spent, more=more))
    return tuple(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """How many said what about a variant in this wave, of those that are kept one by one."""

    variant: str
    up: int
    down: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Thumbs:
    """What people said about a variant among so many requests, as it is counted."""

    variant: str
    up: float
    down: float
    requests: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """A wave as whoever decides sees it.

    Attributes:
        rollout: as it is now.
        plan: as a document.
        judged_at: when the gates said so; None before the first look.
        judged_by: id of the decision that it was for.
        thumbs: of both variants, as the metrics server has them; empty where it was not asked, or does not say.
        answers: of both variants.
        comments: the newest, the newest first.
        further: how many comments there are beside those.
        next: what the next wave costs; None where none follows or nothing was counted.
        at: when it was read.
    """

    rollout: Rollout
    stay: Stay
    plan: Mapping[str, Any]
    gates: tuple[GateReview, ...]
    judged_at: datetime | None
    judged_by: int | None
    incidents: tuple[Incident, ...]
    answers: tuple[Answers, ...]
    comments: tuple[FeedbackAnswer, ...]
    further: int
    costs: tuple[Cost, ...]
    next: Forecast | None
    at: datetime
    thumbs: tuple[Thumbs, ...] = ()

    @property
    def number(self) -> int:
        """Of the wave, from 1 on."""
        return self.stay.wave + 1

    @property
    def percent(self) -> float:
        """Of the users that get the candidate in it."""
        return percent(self.rollout.plan.waves[self.stay.wave].weight)

    @property
    def is_open(self) -> bool:
        """Whether the rollout is in that wave, and somebody may decide about it."""
        return self.stay.until is None and self.rollout.state in WATCHED

    @property
    def digest(self) -> str:
        """By which it is signed: up to which answer it goes, and a hash of each part."""
        hashes = (hashlib.sha256(_canonical(part)).hexdigest()[:_DIGITS] for part in self._parts())
        through = max((each.id for each in self.comments), default=0)
        return ".".join((str(through), *hashes))

    def _parts(self) -> tuple[Any, ...]:
        return (
            [self.rollout.id, self.stay.wave, self.stay.since.isoformat()],
            self.plan,
            [[each.name, *_said(each)] for each in self.gates],
            [[each.kind, each.since.isoformat(), each.sentence, each.by] for each in self.incidents],
            [[each.id, each.variant, each.thumbs_up, each.comment] for each in self.comments],
        )


def _said(gate: GateReview) -> tuple[str, str]:
    return ("", "") if gate.verdict is None else (gate.verdict["kind"], gate.verdict["reason"])


def _canonical(part: Any) -> bytes:
    return json.dumps(part, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def read_up_to(digest: str) -> int:
    """Id of the newest comment that whoever has this digest has read; later ones are not what they sign.

    Raises:
        Invalid: it is no digest.
    """
    found = _DIGEST.fullmatch(digest)
    if found is None:
        raise Invalid("review", "is no digest of a review", "the `digest` that the review has")
    return int(found[1])


def check_read(digest: str, review: Review) -> None:
    """Refuse to sign what is not what was read.

    Raises:
        Conflict: saying what has changed.
    """
    pairs = zip(_PARTS, digest.split(".")[1:], review.digest.split(".")[1:], strict=True)
    changed = [_change(part, review) for part, read, now in pairs if read != now]
    if changed:
        raise Conflict(
            f"the review of wave {review.number} is not the one that was read: {'; '.join(changed)}; read it again"
        )


def _change(part: str, review: Review) -> str:
    match part:
        case "wave":
            return f"rollout {review.rollout.id!r} is in wave {review.number} since {review.stay.since:%H:%M:%S} UTC"
        case "plan":
            return "the plan was changed"
        case "gates":
            says = ((each.name, *_said(each)) for each in review.gates)
            told = ", ".join(f"{name} {kind or 'nothing'} ({reason})" for name, kind, reason in says)
            return f"the gates say now: {told}"
        case "incidents" if review.incidents:
            latest = review.incidents[-1]
            return f"incidents: {len(review.incidents)} by now, the latest {latest.kind}: {latest.sentence}"
        case "incidents":
            return "there are no incidents now"
        case _:
            return "comments were taken away or changed"
