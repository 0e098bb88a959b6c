"""What a person may ask of a rollout. The reconciler's own moves are in `reconcile`."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from wavegate_controller.documents import RolloutDocument, plan_to_document
from wavegate_controller.domain.access import Kind, Permission, Principal
from wavegate_controller.domain.decision import Decision, DecisionReason
from wavegate_controller.domain.errors import Conflict, Invalid
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.gates import AlertGate, ManualGate, ThresholdGate, WebhookGate
from wavegate_controller.domain.measurement import BrokenReason, Judgement, Measurement
from wavegate_controller.domain.notification import about_rollout
from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.record import record
from wavegate_controller.domain.rollout import ENDED, WATCHED, Rollout, State, check_variants
from wavegate_controller.domain.transitions import REQUESTS, Event, apply
from wavegate_controller.domain.verdict import VerdictKind
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.measure import threshold_query
from wavegate_controller.service.notifications import tell
from wavegate_controller.service.publish import next_revision
from wavegate_controller.service.services import Services

#: Requests that raise exposure or end the watch: the audit needs a why.
_NEEDS_A_COMMENT = frozenset({Event.PROMOTE, Event.APPROVE, Event.REJECT, Event.RESTART})
#: Requests that stand in for what the gates say, or for the signature that the plan asks for.
_SIGNED_FOR = frozenset({Event.PROMOTE, Event.APPROVE, Event.REJECT})


def create_rollout(services: Services, document: RolloutDocument, *, by: Principal) -> Rollout:
    """A draft: written down and checked, serving nobody.

    Raises:
        Invalid: a field is wrong, broken PromQL included where the metrics server can be asked.
        NotFound: there is no such flag.
        Conflict: the flag has a rollout that has not ended.
        Forbidden: they may not.
    """
    by.require(Permission.EDIT, services.environment)
    plan = document.plan_to_domain()
    now = services.clock.now()
    with services.store.transaction() as work:
        flag = work.flags.get(services.environment, document.flag)
        serving = work.rollouts.serving(services.environment).get(flag.key)
    stable = _stable_variant(document, flag, serving)
    check_variants(flag, stable=stable, candidate=document.candidate)
    rollout = Rollout(
        id=f"{flag.key}:new",
        flag_key=flag.key,
        environment=flag.environment,
        stable=stable,
        candidate=document.candidate,
        plan=plan,
        created_by=by.name,
        created_at=now,
        updated_at=now,
    )
    _check_queries(services, rollout)
    return _add(services, rollout, by=by)


def act(services: Services, rollout_id: str, event: Event, *, by: Principal, comment: str = "") -> Rollout:
    """Do what a person asks, or refuse and change nothing.

    Args:
        services: the world.
        rollout_id: whose.
        event: one of `transitions.REQUESTS`.
        by: who asks, and signs.
        comment: the person's reason; required where exposure rises outside the plan.

    Raises:
        NotFound: there is no such rollout.
        EventRefused: the state does not take this event.
        Invalid: a required reason is missing.
        Conflict: another rollout of the flag is under way.
        Forbidden: they may not.
    """
    if event not in REQUESTS:
        raise Invalid("event", f"{event} is the reconciler's own", "one of " + ", ".join(sorted(REQUESTS)))
    if event in _NEEDS_A_COMMENT and not comment.strip():
        raise Invalid("comment", f"is empty, but {event} is signed with a reason", "why, in a few words")
    now = services.clock.now()
    with services.store.transaction() as work:
        before = work.rollouts.get(rollout_id)
        by.require(permission_for(event), before.environment)
        after = apply(before, event, now=now)
        _check_its_turn(work, before, event)
        sentence = f"{event.value.replace('_', ' ')} by {by.name}" + (f": {comment.strip()}" if comment.strip() else "")
        decision = Decision(event=event, reason=DecisionReason.REQUESTED, sentence=sentence)
        ruleset = commit(work, decision, before=before, after=after, now=now, by=by, comment=comment.strip())
    if ruleset:
        services.sink.publish(ruleset)
    services.recorder.decided(after, decision)
    return after


def judge_wave(
    services: Services,
    rollout_id: str,
    gate: str,
    says: VerdictKind,
    *,
    by: Principal,
    comment: str = "",
    wave: int | None = None,
) -> Rollout:
    """Write down what a person says about the wave that the rollout is in; the next look acts on it.

    The newest word about a wave counts. It is kept as evidence, so each decision shows whose it was.

    Args:
        services: the world.
        rollout_id: whose.
        gate: name of a manual gate of its plan.
        says: pass or breach.
        by: who asks, and signs.
        comment: why; required.
        wave: number of the wave that was looked at, from 1 on; refused when the rollout has moved on meanwhile.

    Raises:
        NotFound: there is no such rollout.
        Invalid: no such gate, no such word, or no reason.
        Conflict: the rollout is in no wave, or in another one.
        Forbidden: they may not.
    """
    if says not in (VerdictKind.PASS, VerdictKind.BREACH):
        raise Invalid("verdict", f"{says} is not for a person to say", "pass or breach")
    if not comment.strip():
        raise Invalid("comment", "is empty, but a judgement is signed with a reason", "why, in a few words")
    now = services.clock.now()
    with services.store.transaction() as work:
        rollout = work.rollouts.get(rollout_id)
        by.require(Permission.APPROVE, rollout.environment)
        manual = [each.name for each in rollout.plan.gates if isinstance(each, ManualGate)]
        if gate not in manual:
            known = ", ".join(manual) or "nothing: the plan has no manual gate"
            raise Invalid("gate", f"{gate!r} is not a manual gate of rollout {rollout.id!r}", known)
        if rollout.state not in WATCHED or rollout.wave is None:
            raise Conflict(f"rollout {rollout.id!r} is {rollout.state}: there is no wave to judge")
        if wave is not None and wave != rollout.wave + 1:
            raise Conflict(f"rollout {rollout.id!r} is in wave {rollout.wave + 1} now, not in wave {wave}; look again")
        word = Judgement(says=says, by=by.name, detail=comment.strip())
        work.evidence.add(rollout.id, [Measurement(gate=gate, at=now, query="", answer=word)])
        note(
            work,
            by=by,
            action="rollout.judge",
            subject=rollout.id,
            environment=rollout.environment,
            now=now,
            after={"gate": gate, "verdict": says, "wave": rollout.wave + 1},
            reason=comment.strip(),
        )
    return rollout


def commit(
    work: UnitOfWork,
    decision: Decision,
    *,
    before: Rollout,
    after: Rollout,
    now: datetime,
    by: Principal,
    comment: str = "",
) -> PublishedRuleset | None:
    """Save the rollout, the ruleset revision if exposure changed, and the record: all in the caller's transaction.

    What moved the rollout is in the audit too. A hold changes nothing and is kept as a decision only: a thousand
    rollouts make thousands of them a minute.
    """
    if after.version != before.version:
        work.rollouts.save(after)
    started = before.state is State.DRAFT
    serves_others = (before.weight, before.hold_out) != (after.weight, after.hold_out)
    ruleset = next_revision(work, after.environment, now=now) if started or serves_others else None
    latest = ruleset or work.rulesets.latest(after.environment)
    kept = work.decisions.add(
        record(
            decision,
            before=before,
            after=after,
            now=now,
            actor=by.name,
            comment=comment,
            revision=latest.revision if latest else 0,
        )
    )
    if decision.event is not Event.TICK:
        note(
            work,
            by=by,
            action=f"rollout.{decision.event}",
            subject=after.id,
            environment=after.environment,
            now=now,
            before=_standing(before),
            after=_standing(after),
            reason=comment,
            evidence={
                "decision": kept.id,
                "reason": kept.reason,
                "sentence": kept.sentence,
                "revision": kept.revision,
                "verdicts": kept.verdicts,
            },
        )
        automatic = by.kind is Kind.SYSTEM
        tell(work, about_rollout(decision, before=before, after=after, actor=by.name, automatic=automatic, now=now))
    return ruleset


def permission_for(event: Event) -> Permission:
    """What it takes to ask for this."""
    return Permission.APPROVE if event in _SIGNED_FOR else Permission.EDIT


def _standing(rollout: Rollout) -> dict[str, Any]:
    """Where a rollout stands, as the audit keeps it: all that a decision may change."""
    return {
        "state": rollout.state,
        "pause_reason": rollout.pause_reason,
        "wave": None if rollout.wave is None else rollout.wave + 1,
        "percent": percent(rollout.weight),
        "hold_out": percent(rollout.hold_out),
        "version": rollout.version,
    }


def _stable_variant(document: RolloutDocument, flag: Flag, serving: Rollout | None) -> str:
    """What is served now is what the candidate is compared with and what a rollback returns to."""
    if serving is not None and serving.state not in ENDED:
        raise Conflict(f"flag {flag.key!r} has a rollout under way, {serving.id!r} ({serving.state}); end it first")
    served = _served(flag, serving)
    if document.stable is not None and document.stable != served:
        raise Invalid("stable", f"{document.stable!r} is not what flag {flag.key!r} serves now", repr(served))
    return served


def _served(flag: Flag, serving: Rollout | None) -> str:
    """The variant that everybody outside of a rollout gets."""
    if serving is None:
        return flag.default_variant
    return serving.candidate if serving.state is State.COMPLETED else serving.stable


def _check_queries(services: Services, rollout: Rollout) -> None:
    for index, gate in enumerate(rollout.plan.gates):
        if isinstance(gate, ThresholdGate):
            refusal = services.provider.check(threshold_query(gate, rollout))
            if refusal is not None:
                raise Invalid(f"plan.gates[{index}].query", refusal.detail, "PromQL that Prometheus accepts")
        if isinstance(gate, AlertGate) and gate.require_rule:
            problem = services.provider.alert_rule(gate.alert)
            if problem is not None and problem.reason is BrokenReason.NO_SUCH_ALERT:
                raise Invalid(f"plan.gates[{index}].alert", problem.detail, "an alert of the metrics server's rules")
        if isinstance(gate, WebhookGate) and (problem_with := services.webhooks.refusal(gate.url)):
            raise Invalid(f"plan.gates[{index}].url", problem_with, "an address beneath one of the webhook_urls")


def _add(services: Services, rollout: Rollout, *, by: Principal) -> Rollout:
    with services.store.transaction() as work:
        earlier = work.rollouts.list(rollout.environment, flag_key=rollout.flag_key)
        for each in earlier:
            if each.state not in ENDED:
                raise Conflict(
                    f"flag {rollout.flag_key!r} has a rollout that has not ended, {each.id!r} ({each.state})"
                )
        numbered = replace(rollout, id=f"{rollout.flag_key}:{work.rollouts.next_number(rollout.flag_key)}")
        work.rollouts.add(numbered)
        note(
            work,
            by=by,
            action="rollout.create",
            subject=numbered.id,
            environment=numbered.environment,
            now=numbered.created_at,
            after={
                "flag": numbered.flag_key,
                "stable": numbered.stable,
                "candidate": numbered.candidate,
                "plan": plan_to_document(numbered.plan),
                "version": numbered.version,
            },
        )
    return numbered


def _check_its_turn(work: UnitOfWork, rollout: Rollout, event: Event) -> None:
    """Refuse to move a rollout that others have overtaken: it would compare with, or return to, what nobody has."""
    serving = work.rollouts.serving(rollout.environment).get(rollout.flag_key)
    match event:
        case Event.START:
            served = _served(work.flags.get(rollout.environment, rollout.flag_key), serving)
            if rollout.stable != served:
                raise Conflict(
                    f"rollout {rollout.id!r} would replace {rollout.stable!r}, but flag {rollout.flag_key!r} serves "
                    f"{served!r} now; cancel it and create a new one"
                )
        case Event.RESTART | Event.ROLL_BACK if serving is not None and serving.id != rollout.id:
            raise Conflict(f"rollout {serving.id!r} of flag {rollout.flag_key!r} is newer and decides what is served")
        case Event.RESTART:
            for each in work.rollouts.list(rollout.environment, flag_key=rollout.flag_key):
                if each.state not in ENDED:
                    raise Conflict(f"rollout {each.id!r} ({each.state}) of flag {rollout.flag_key!r} is newer")
        case _:
            pass
