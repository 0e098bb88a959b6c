"""What the demo's story came to: the controller's own log and the users' memory, against what had to happen."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from wavegate_controller.demo.features import HARMFUL, HARMLESS
from wavegate_controller.demo.users import Served
from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.record import RECONCILER
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event

Document = Mapping[str, Any]

#: Answers that each app must have given without the candidate before it counts as off.
PROOF: Final = 100
#: Holds that an outage must show for each feature: it lasts several looks.
_LEAST_HOLDS: Final = 3


@dataclass(kw_only=True, slots=True)
class Story:
    """What was done, and when.

    Attributes:
        rollouts: feature to the id of its rollout.
        outage: between these times no Prometheus was there.
        breach_at: just before the first app was told to fail.
        failures: sentences; whatever did not go as it should.
    """

    began: datetime
    rollouts: dict[str, str] = field(default_factory=dict)
    outage: tuple[datetime, datetime] | None = None
    breach_at: datetime | None = None
    failures: list[str] = field(default_factory=list)


def summarise(
    story: Story,
    histories: Mapping[str, Sequence[Document]],
    served: Mapping[str, Mapping[str, Served]],
    *,
    now: datetime,
) -> dict[str, Any]:
    """The document that `wavegate demo --headless --json` prints; docs/demo.md describes it.

    Args:
        story: what was done.
        histories: feature to all decisions about its rollout, oldest first.
        served: feature to app to what the users got.
        now: the end.
    """
    features = {
        key: _feature(story, decisions, served[key], harmful=key == HARMFUL.key) for key, decisions in histories.items()
    }
    outage = _outage(story, histories)
    failures = [*story.failures, *_failures(features, outage, served)]
    return {
        "ok": not failures,
        "failures": failures,
        "began_at": story.began.isoformat(),
        "seconds": _seconds(story.began, now),
        "features": features,
        "outage": outage,
        "breach": story.breach_at and {"feature": HARMFUL.key, "at": story.breach_at.isoformat()},
    }


def _feature(
    story: Story, decisions: Sequence[Document], served: Mapping[str, Served], *, harmful: bool
) -> dict[str, Any]:
    moves = [each for each in decisions if each["event"] != Event.TICK]
    last = moves[-1]
    rolled_back_at = next((_at(each) for each in moves if each["event"] == Event.ROLL_BACK), None)
    lasts = [each.last_candidate_at for each in served.values() if each.last_candidate_at is not None]
    return {
        "rollout": last["rollout"],
        "state": last["state"],
        "percent": last["percent"],
        "reason": last["reason"],
        "sentence": last["sentence"],
        "seconds_from_breach_to_decision": _seconds(story.breach_at, rolled_back_at) if harmful else None,
        "seconds_from_breach_to_last_app_off": (
            _seconds(story.breach_at, max(lasts)) if harmful and rolled_back_at and lasts else None
        ),
        "moves": [
            {
                "at": each["at"],
                "seconds": _seconds(story.began, _at(each)),
                "event": each["event"],
                "state": each["state"],
                "wave": each["wave"],
                "percent": each["percent"],
                "reason": each["reason"],
                "actor": each["actor"],
            }
            for each in moves
        ],
        "holds": _reasons(decisions),
        "apps": {
            app: {
                "answers": dict(each.by_variant),
                "errors": {variant: count for variant, count in each.failed.items() if count},
                "without_answer": each.lost,
                "last_candidate_at": each.last_candidate_at and each.last_candidate_at.isoformat(),
                "answers_since_candidate": each.since_candidate,
            }
            for app, each in served.items()
        },
    }


def _outage(story: Story, histories: Mapping[str, Sequence[Document]]) -> dict[str, Any] | None:
    if story.outage is None:
        return None
    since, until = story.outage
    features = {}
    for key, decisions in histories.items():
        # A look carries the time of its beginning: one of this window had no Prometheus to ask.
        within = [each for each in decisions if since < _at(each) < until]
        features[key] = {
            "state": sorted({each["state"] for each in within}),
            "percent": sorted({each["percent"] for each in within}),
            "holds": _reasons(within),
            "moved": any(each["event"] != Event.TICK for each in within),
        }
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "seconds": _seconds(since, until),
        "moved": any(each["moved"] for each in features.values()),
        "features": features,
    }


def _failures(
    features: Mapping[str, Document], outage: Document | None, served: Mapping[str, Mapping[str, Served]]
) -> Iterable[str]:
    if (good := features.get(HARMLESS.key)) is None or (bad := features.get(HARMFUL.key)) is None:
        yield "the rollouts were not started"
        return
    if (good["state"], good["percent"]) != (State.COMPLETED, 100):
        yield f"{HARMLESS.key} should have completed at 100 %, but is {_where(good)}"
    if bad["state"] != State.ROLLED_BACK:
        yield f"{HARMFUL.key} should have been rolled back, but is {_where(bad)}"
    else:
        yield from _failures_of_rollback(bad, served[HARMFUL.key])
    if outage is None:
        yield "Prometheus was never stopped"
        return
    for key, seen in outage["features"].items():
        if seen["moved"]:
            yield f"{key} moved during the outage"
        if set(seen["holds"]) - {DecisionReason.CANNOT_MEASURE}:
            yield f"{key} held during the outage for another reason: {seen['holds']}"
        if seen["holds"].get(DecisionReason.CANNOT_MEASURE, 0) < _LEAST_HOLDS:
            yield f"{key} was hardly looked at during the outage: {seen['holds']}"


def _failures_of_rollback(bad: Document, served: Mapping[str, Served]) -> Iterable[str]:
    last = bad["moves"][-1]
    if (last["reason"], last["actor"]) != (DecisionReason.BREACH, RECONCILER):
        yield f"{HARMFUL.key} was rolled back by {last['actor']} for {last['reason']}, not by a breach"
    seconds = bad["seconds_from_breach_to_decision"]
    if seconds is None or seconds < 0:
        yield f"{HARMFUL.key} was rolled back before anything was wrong with it: {bad['sentence']}"
    for app, each in served.items():
        if each.last_candidate_at is None:
            yield f"{app} never served the candidate of {HARMFUL.key}"
        elif each.since_candidate < PROOF:
            yield f"{app} still served the candidate of {HARMFUL.key} after its rollback"


def _where(feature: Document) -> str:
    return f"{feature['state']} at {feature['percent']:g} % ({feature['reason']}: {feature['sentence']})"


def _reasons(decisions: Iterable[Document]) -> dict[str, int]:
    return dict(Counter(each["reason"] for each in decisions if each["event"] == Event.TICK))


def _at(decision: Document) -> datetime:
    return datetime.fromisoformat(decision["at"])


def _seconds(since: datetime | None, until: datetime | None) -> float | None:
    return None if since is None or until is None else round((until - since).total_seconds(), 2)
