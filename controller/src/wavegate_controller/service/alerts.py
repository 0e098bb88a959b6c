"""Alerts that Alertmanager reports: each firing acts once, whatever is reported again, and its end moves nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.alerting import (
    ENVIRONMENT_LABEL,
    Alert,
    AlertAction,
    AlertOutcome,
    AlertRecord,
    moved_by_alert,
    wanted_by_alert,
)
from wavegate_controller.domain.decision import Decision, DecisionReason
from wavegate_controller.domain.errors import NotFound, StaleVersion
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.rollout import ENDED, Rollout
from wavegate_controller.domain.transitions import TRANSITIONS, Event, apply
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.circumstances import Surroundings
from wavegate_controller.service.flags import switch
from wavegate_controller.service.rollouts import commit
from wavegate_controller.service.services import Services

#: How often an alert that meets somebody else's change is taken up anew.
_ATTEMPTS: Final = 5

_OUTCOMES: Final = {
    Event.PAUSE: AlertOutcome.PAUSED,
    Event.ROLL_BACK: AlertOutcome.ROLLED_BACK,
    Event.ALERT: AlertOutcome.PINNED,
}


@dataclass(kw_only=True, slots=True)
class _Done:
    """What is to be told once it is committed."""

    rulesets: list[PublishedRuleset] = field(default_factory=list)
    decisions: list[tuple[Rollout, Decision]] = field(default_factory=list)


def report_alerts(services: Services, alerts: Sequence[Alert], *, by: Principal) -> Sequence[tuple[AlertRecord, bool]]:
    """Act on each as the settings say, and say what came of it, and whether it was news.

    Each is taken in a transaction of its own, which also writes down that it was: whatever is reported again after a
    crash has either been done with its record, or not at all.

    Raises:
        Forbidden: they may not report alerts here.
    """
    by.require(Permission.REPORT_ALERTS, services.environment)
    return [_take(services, alert, by=by) for alert in alerts]


def list_alerts(services: Services, *, limit: int, by: Principal, before: int | None = None) -> Sequence[AlertRecord]:
    """Those of this environment, newest first.

    Raises:
        Forbidden: they may not.
    """
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return work.alerts.list(services.environment, limit=limit, before=before)


def _take(services: Services, alert: Alert, *, by: Principal) -> tuple[AlertRecord, bool]:
    for attempt in range(1, _ATTEMPTS + 1):
        done = _Done()
        try:
            with services.store.transaction() as work:
                if known := work.alerts.find(alert):
                    return known, False
                record = _act(services, work, alert, done, by=by)
                work.alerts.add(record)
        except StaleVersion:
            # Somebody moved the rollout, or reported the same alert, in the same moment.
            if attempt == _ATTEMPTS:
                raise
            continue
        for ruleset in done.rulesets:
            services.sink.publish(ruleset)
        for rollout, decision in done.decisions:
            services.recorder.decided(rollout, decision)
        services.recorder.alerted(record)
        return record, True
    raise AssertionError("the last attempt returns or raises")


def _act(services: Services, work: UnitOfWork, alert: Alert, done: _Done, *, by: Principal) -> AlertRecord:
    now = services.clock.now()
    environment = alert.labels.get(ENVIRONMENT_LABEL) or services.environment
    flag_key = services.alerts.flag_of(alert)
    record = AlertRecord(
        alert=alert,
        received_at=now,
        environment=environment,
        flag=flag_key or "",
        action=None,
        outcome=AlertOutcome.NO_FLAG,
        detail=f"none of its labels names a flag; known are {', '.join(services.alerts.flag_labels)}",
    )
    if flag_key is None:
        return record
    record = _judged(services, work, record, done, flag_key=flag_key, by=by)
    note(
        work,
        by=by,
        action="alert.fire" if alert.is_firing else "alert.resolve",
        subject=flag_key,
        environment=environment if record.outcome is not AlertOutcome.UNKNOWN_ENVIRONMENT else "",
        now=now,
        evidence={
            "fingerprint": alert.fingerprint,
            "starts_at": alert.starts_at,
            "labels": alert.labels,
            "summary": alert.summary,
            "action": record.action,
            "outcome": record.outcome,
            "detail": record.detail,
        },
    )
    return record


def _judged(
    services: Services, work: UnitOfWork, record: AlertRecord, done: _Done, *, flag_key: str, by: Principal
) -> AlertRecord:
    """What the alert does to the flag that it names."""
    environment = record.environment
    try:
        if environment != services.environment:
            work.environments.get(environment)
    except NotFound as refusal:
        return replace(record, outcome=AlertOutcome.UNKNOWN_ENVIRONMENT, detail=str(refusal))
    if not by.may(Permission.REPORT_ALERTS, environment):
        detail = f"{by.name!r} may not report alerts in environment {environment!r}"
        return replace(record, outcome=AlertOutcome.NOT_ALLOWED, detail=detail)
    try:
        flag = work.flags.get(environment, flag_key)
    except NotFound as refusal:
        return replace(record, outcome=AlertOutcome.UNKNOWN_FLAG, detail=str(refusal))
    if flag.archived_at is not None:
        return replace(record, outcome=AlertOutcome.NOTHING_TO_DO, detail=f"flag {flag_key!r} is archived")
    if not record.alert.is_firing:
        return replace(record, outcome=AlertOutcome.RESOLVED, detail="an end moves nothing; a person goes on")
    action = services.alerts.action_for(record.alert, environment)
    record = replace(record, action=action)
    if action is AlertAction.RECORD:
        return replace(record, outcome=AlertOutcome.RECORDED, detail="written down, as the settings or its label say")
    return _acted(services, work, record, flag, done, by=by)


def _acted(
    services: Services, work: UnitOfWork, record: AlertRecord, flag: Flag, done: _Done, *, by: Principal
) -> AlertRecord:
    """What its action does to a flag that there is, and to its rollout."""
    environment, flag_key, action = record.environment, flag.key, record.action or AlertAction.RECORD
    serving = work.rollouts.serving(environment).get(flag_key)
    is_dry = serving is not None and serving.state not in ENDED and serving.plan.dry_run
    if is_dry or Surroundings(work, record.received_at).in_dry_run(environment):
        _note_wish(work, record, serving, done, by=by)
        return replace(record, outcome=AlertOutcome.DRY_RUN, detail=f"dry run, so nothing moves; asks for {action}")
    if action is AlertAction.DISABLE:
        return _stop(work, record, flag, done, by=by)
    moved = moved_by_alert(serving, action, now=record.received_at)
    if serving is not None and moved is not None:
        return _move(work, record, serving, moved, done, by=by)
    stands = f"rollout {serving.id!r} is {serving.state}" if serving else f"flag {flag_key!r} has no rollout"
    has_ended = serving is None or serving.state in ENDED
    if has_ended and services.alerts.without_rollout is AlertAction.DISABLE:
        return _stop(work, record, flag, done, by=by)
    return replace(record, outcome=AlertOutcome.NOTHING_TO_DO, detail=f"{stands}: {action} does not change it")


def _note_wish(work: UnitOfWork, record: AlertRecord, serving: Rollout | None, done: _Done, *, by: Principal) -> None:
    """Among the decisions of the rollout that it would have moved, so that it is compared with what people do."""
    action = record.action or AlertAction.RECORD
    would = wanted_by_alert(serving, action)
    if serving is None or would is None or Event.DRY_RUN not in TRANSITIONS[serving.state]:
        return
    sentence = f"dry run, so nothing moves; would {action.replace('_', ' ')}: {record.alert.sentence}"
    decision = Decision(event=Event.DRY_RUN, reason=DecisionReason.ALERT, sentence=sentence, would=would)
    after = apply(serving, Event.DRY_RUN, now=record.received_at)
    commit(work, decision, before=serving, after=after, now=record.received_at, by=by)
    done.decisions.append((after, decision))


def _move(
    work: UnitOfWork,
    record: AlertRecord,
    before: Rollout,
    moved: tuple[Event, Rollout],
    done: _Done,
    *,
    by: Principal,
) -> AlertRecord:
    event, after = moved
    sentence = record.alert.sentence
    if before.pin is not None:
        sentence = f"pinned by {before.pin.by}, so nothing moves: {sentence}"
    decision = Decision(event=event, reason=DecisionReason.ALERT, sentence=sentence)
    ruleset = commit(work, decision, before=before, after=after, now=record.received_at, by=by)
    done.rulesets += [ruleset] if ruleset else []
    done.decisions.append((after, decision))
    detail = sentence if event is Event.ALERT else f"rollout {after.id!r} is {after.state} now"
    return replace(record, outcome=_OUTCOMES[event], detail=detail)


def _stop(work: UnitOfWork, record: AlertRecord, flag: Flag, done: _Done, *, by: Principal) -> AlertRecord:
    if not flag.enabled:
        return replace(record, outcome=AlertOutcome.NOTHING_TO_DO, detail=f"flag {flag.key!r} is stopped already")
    _, ruleset = switch(work, flag, enabled=False, by=by, comment=record.alert.sentence, now=record.received_at)
    done.rulesets.append(ruleset)
    return replace(record, outcome=AlertOutcome.DISABLED, detail=f"flag {flag.key!r} is stopped: all get the default")
