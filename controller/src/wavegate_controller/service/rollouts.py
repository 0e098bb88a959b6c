"""What a person may ask of a rollout. The reconciler's own moves are in `reconcile`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from wavegate_controller.documents import PlanChange, RolloutDocument, plan_to_document
from wavegate_controller.domain.access import Kind, Permission, Principal
from wavegate_controller.domain.circumstances import CLEAR, Circumstances
from wavegate_controller.domain.decision import Decision, DecisionReason
from wavegate_controller.domain.errors import Conflict, Invalid, StaleVersion
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.foresight.findings import Finding, hold_to
from wavegate_controller.domain.freeze import Frozen
from wavegate_controller.domain.gates import AlertGate, ManualGate, ThresholdGate, WebhookGate
from wavegate_controller.domain.measurement import BrokenReason, Judgement, Measurement
from wavegate_controller.domain.notification import about_hold, about_rollout
from wavegate_controller.domain.plan import Approval, percent
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.record import DecisionRecord, record
from wavegate_controller.domain.rollout import ENDED, WATCHED, Rollout, State, check_variants
from wavegate_controller.domain.transitions import REQUESTS, Event, Signed, apply, meaning
from wavegate_controller.domain.verdict import VerdictKind
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.circumstances import Surroundings
from wavegate_controller.service.linted import look_before_start
from wavegate_controller.service.measure import threshold_query
from wavegate_controller.service.notifications import tell
from wavegate_controller.service.publish import next_revision
from wavegate_controller.service.readiness import red_checks
from wavegate_controller.service.reviewing import seen_then
from wavegate_controller.service.services import Services
from wavegate_controller.service.stages import check_may_scale
from wavegate_controller.service.templates import find_template

#: Requests that raise exposure or end the watch: the audit needs a why.
NEEDS_A_COMMENT = frozenset({Event.PROMOTE, Event.APPROVE, Event.REJECT, Event.RESTART, Event.PIN})
#: Requests that stand in for what the gates say, or for the signature that the plan asks for.
_SIGNED_FOR = frozenset({Event.PROMOTE, Event.APPROVE, Event.REJECT})
#: Requests that may raise exposure: they wait for what other flags must do first.
GOES_ON = frozenset({Event.START, Event.PROMOTE, Event.APPROVE, Event.RESTART, Event.UNDO})
#: Requests by which a person decides about the next wave: kept with the review of this one.
REVIEWED: Final = _SIGNED_FOR
#: For how long a roll back can be taken back. Later it is a new beginning, which is a new test.
UNDO_WITHIN = timedelta(minutes=10)


def create_rollout(services: Services, document: RolloutDocument, *, by: Principal) -> Rollout:
    """A draft: written down and checked, serving nobody.

    Raises:
        Invalid: a field is wrong, broken PromQL included where the metrics server can be asked.
        NotFound: there is no such flag, or template.
        Conflict: the flag is archived, or has a rollout that has not ended.
        Forbidden: they may not.
    """
    by.require(Permission.EDIT, services.environment)
    plan, template = document.plan_to_domain(), None
    now = services.clock.now()
    with services.store.transaction() as work:
        if document.template is not None:
            template = find_template(work, services.environment, document.template)
            plan = template.plan
        flag = work.flags.get(services.environment, document.flag)
        check_not_archived(flag)
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
        template=None if template is None else template.reference,
    )
    check_queries(services, rollout)
    return _add(services, rollout, by=by)


def change_plan(
    services: Services,
    rollout_id: str,
    change: PlanChange,
    *,
    by: Principal,
    comment: str = "",
    expected_version: int | None = None,
) -> Rollout:
    """Give a draft another plan. Once it has begun it keeps the one it has: rules that change prove nothing.

    Args:
        services: the world.
        rollout_id: whose.
        change: the plan, or the template that it is a copy of.
        by: who asks, and signs.
        comment: the person's reason.
        expected_version: the version that was read; None to write over whatever there is.

    Raises:
        Invalid: a field is wrong, broken PromQL included where the metrics server can be asked.
        NotFound: there is no such rollout, or template.
        Conflict: it is no draft any more.
        StaleVersion: it is another version than the expected one.
        Forbidden: they may not.
    """
    plan, template = change.plan_to_domain(), None
    now = services.clock.now()
    with services.store.transaction() as work:
        rollout = work.rollouts.get(rollout_id)
        by.require(Permission.EDIT, rollout.environment)
        _check_draft(rollout, expected_version)
        if plan is None:
            template = find_template(work, rollout.environment, change.template or "")
            plan = template.plan
    after = replace(
        rollout,
        plan=plan,
        template=None if template is None else template.reference,
        version=rollout.version + 1,
        updated_at=now,
    )
    # The metrics server is asked between two transactions; whoever was faster meanwhile is found by the version.
    check_queries(services, after)
    with services.store.transaction() as work:
        _check_draft(work.rollouts.get(rollout_id), rollout.version)
        work.rollouts.save(after)
        note(
            work,
            by=by,
            action="rollout.change",
            subject=after.id,
            environment=after.environment,
            now=now,
            before={"plan": plan_to_document(rollout.plan), "template": rollout.template, "version": rollout.version},
            after={"plan": plan_to_document(after.plan), "template": after.template, "version": after.version},
            reason=comment.strip(),
        )
    return after


def _check_draft(rollout: Rollout, expected_version: int | None) -> None:
    if rollout.state is not State.DRAFT:
        raise Conflict(
            f"rollout {rollout.id!r} is {rollout.state}: its plan is fixed since it began; cancel it, and plan another"
        )
    if expected_version is not None and expected_version != rollout.version:
        raise StaleVersion("rollout", rollout.id, current=rollout.version)


def start(
    services: Services,
    rollout_id: str,
    *,
    by: Principal,
    comment: str = "",
    override_freeze: bool = False,
    despite_lint: str = "",
    found: Sequence[Finding] | None = None,
) -> tuple[Rollout, Sequence[Finding]]:
    """Open the first wave, unless lint finds an error in the gates; the rollout, and all that it found.

    Args:
        services: the world.
        rollout_id: whose.
        by: who asks, and signs.
        comment: the person's reason.
        override_freeze: start although a freeze window holds; an admin's, signed with a reason.
        despite_lint: why to start although lint finds errors; kept with the decision.
        found: what lint found, where that was looked for already: nobody is asked within a transaction.

    Raises:
        LintRefused: its gates cannot do what they are there for.
        NotFound, EventRefused, Invalid, Conflict, Forbidden: as `act`.
    """
    seen = None
    _check_stage(services, rollout_id, by=by)
    if found is None:
        found, seen = look_before_start(services, rollout_id, by=by)
    despite_lint = despite_lint.strip()
    hold_to(f"rollout {rollout_id!r} was not started", {rollout_id: found}, despite=despite_lint)
    stopping = [f"{each.rule} of {each.gate}" for each in found if each.stops]
    remark = f" (despite lint, {', '.join(stopping)}: {despite_lint})" if stopping else ""
    started = _act(
        services,
        rollout_id,
        Event.START,
        by=by,
        comment=comment,
        override_freeze=override_freeze,
        remark=remark,
        version=seen,
    )
    return started, found


def _check_stage(services: Services, rollout_id: str, *, by: Principal) -> None:
    """Whoever has skipped a stage is told so, before anything about gates that are not there to be looked at yet."""
    with services.store.transaction() as work:
        rollout = work.rollouts.get(rollout_id)
        by.require(Permission.EDIT, rollout.environment)
        if rollout.state is State.DRAFT:
            check_may_scale(work, services, rollout.environment, rollout.flag_key, f"to start {rollout_id!r}")


def act(
    services: Services,
    rollout_id: str,
    event: Event,
    *,
    by: Principal,
    comment: str = "",
    weight: int | None = None,
    override_freeze: bool = False,
    review: str | None = None,
) -> Rollout:
    """Do what a person asks, or refuse and change nothing.

    Args:
        services: the world.
        rollout_id: whose.
        event: one of `transitions.REQUESTS`.
        by: who asks, and signs.
        comment: the person's reason; required where exposure rises outside the plan, and where the plan is held.
        weight: for a pin, of the wave to hold, in 1/100,000; the present one by default.
        override_freeze: raise exposure although a freeze window holds; an admin's, signed with a reason.
        review: digest of the review of the present wave that they have read; an approval of another one is refused.

    Raises:
        NotFound: there is no such rollout.
        EventRefused: the state does not take this event.
        Invalid: a required reason is missing, or whoever signs may not.
        Conflict: another rollout of the flag is under way, a freeze window holds, another flag comes first, or the
            review is not the one that was read.
        LintRefused: its gates cannot do what they are there for, and it would start.
        Forbidden: they may not.
    """
    if event is Event.START and weight is None and review is None:
        return start(services, rollout_id, by=by, comment=comment, override_freeze=override_freeze)[0]
    return _act(
        services,
        rollout_id,
        event,
        by=by,
        comment=comment,
        weight=weight,
        override_freeze=override_freeze,
        review=review,
    )


def _act(  # noqa: PLR0913 - each is named where it is given
    services: Services,
    rollout_id: str,
    event: Event,
    *,
    by: Principal,
    comment: str,
    weight: int | None = None,
    override_freeze: bool = False,
    remark: str = "",
    version: int | None = None,
    review: str | None = None,
) -> Rollout:
    """The same; with a remark behind its sentence, and of that version only."""
    comment = comment.strip()
    if event not in REQUESTS:
        raise Invalid("event", f"{event} is the reconciler's own", "one of " + ", ".join(sorted(REQUESTS)))
    if (event in NEEDS_A_COMMENT or override_freeze) and not comment:
        what = f"{event} in a freeze window" if override_freeze else event
        raise Invalid("comment", f"is empty, but {what} is signed with a reason", "why, in a few words")
    _check_given(event, weight=weight, review=review)
    now = services.clock.now()
    with services.store.transaction() as work:
        before = work.rollouts.get(rollout_id)
        by.require(permission_for(event), before.environment)
        if version is not None and version != before.version:
            raise StaleVersion("rollout", rollout_id, current=before.version)
        if override_freeze or goes_past_approvers(before, event):
            by.require(Permission.ADMINISTER, before.environment)
        after = apply(before, event, now=now, signed=Signed(by=by.name, comment=comment, weight=weight))
        check_its_turn(work, before, event)
        if event is Event.UNDO and not can_undo(before, _newest_move(work, before), now=now):
            raise Conflict(
                f"only a roll back that a person asked for can be taken back, within "
                f"{UNDO_WITHIN.total_seconds() / 60:g} minutes; restart rollout {before.id!r} instead"
            )
        if after.exposure > before.exposure or event in (Event.START, Event.RESTART):
            check_may_scale(work, services, before.environment, before.flag_key, f"to {_verb(event)} {before.id!r}")
        frozen = _check_circumstances(work, before, after, event, now=now, override_freeze=override_freeze)
        meant = meaning(before, event)
        sentence = _sentence(meant if meant is Event.SIGN else event, before, by.name, comment)
        if frozen is not None:
            sentence = f"{sentence} (in {frozen.sentence}, overridden)"
        red = ""
        if after.exposure > before.exposure:
            # A person may go on all the same, and it is written down that they did.
            red = red_checks(work, services.fleets, before.environment, before.flag_key, now=now)
            sentence = f"{sentence} ({red})" if red else sentence
        sentence += remark
        # An approval that was not the last one is a signature; a promotion that does not end it bakes.
        decision = Decision(
            event=meant if meant in (Event.SIGN, Event.BAKE) else event,
            reason=DecisionReason.REQUESTED,
            sentence=sentence,
        )
        circumstances = Circumstances(frozen=frozen, red_checks=red)
        seen = seen_then(work, before, event, review=review, now=now) if event in REVIEWED else None
        ruleset = commit(
            work,
            decision,
            before=before,
            after=after,
            now=now,
            by=by,
            comment=comment,
            circumstances=circumstances,
            review=seen,
        )
    if ruleset:
        services.sink.publish(ruleset)
    services.recorder.decided(after, decision)
    return after


def _check_given(event: Event, *, weight: int | None, review: str | None) -> None:
    """Refuse what this event has no use for."""
    if weight is not None and event is not Event.PIN:
        raise Invalid("percent", f"is given, but {event} goes by the plan", "no percent, or pin")
    if review is not None and event not in REVIEWED:
        raise Invalid("review", f"is given, but {event} signs none", "no review, or approve, reject or promote")


def can_undo(rollout: Rollout, moved: DecisionRecord | None, *, now: datetime) -> bool:
    """Whether its roll back can still be taken back: what the gates or an alert have decided never can.

    Args:
        rollout: it.
        moved: the newest decision that moved it.
        now: aware UTC time.
    """
    return (
        rollout.state is State.ROLLED_BACK
        and moved is not None
        and moved.event in (Event.ROLL_BACK, Event.STEP_BACK)
        and moved.reason is DecisionReason.REQUESTED
        and now - moved.at <= UNDO_WITHIN
    )


def _newest_move(work: UnitOfWork, rollout: Rollout) -> DecisionRecord | None:
    return work.decisions.newest([rollout.id], moves_only=True).get(rollout.id)


def goes_past_approvers(rollout: Rollout, event: Event) -> bool:
    """A promotion does not ask the approvers that the plan asks for: that takes more than one of them."""
    wave = rollout.current_wave
    needs_them = wave is not None and wave.approval is Approval.MANUAL and rollout.final_bake_since is None
    return event is Event.PROMOTE and needs_them


def _verb(event: Event) -> str:
    return event.value.replace("_", " ")


def _sentence(event: Event, before: Rollout, actor: str, comment: str) -> str:
    said = f": {comment}" if comment else ""
    others = ", ".join(each.by for each in before.approvals) if event is Event.APPROVE else ""
    return f"{_verb(event)} by {actor}{f' after {others}' if others else ''}{said}"


def _check_circumstances(
    work: UnitOfWork, before: Rollout, after: Rollout, event: Event, *, now: datetime, override_freeze: bool
) -> Frozen | None:
    """Refuse to raise exposure in a freeze window, and before what another flag must do; the window overridden."""
    surroundings = Surroundings(work, now)
    if event in GOES_ON and (waits_for := surroundings.waits_for(before.environment, before.flag_key)):
        raise Conflict(f"rollout {before.id!r} cannot go on: {waits_for}")
    if after.exposure <= before.exposure:
        return None
    held = surroundings.frozen(before.environment, before.plan.freeze_windows)
    if held is not None and not override_freeze:
        raise Conflict(f"{event} would raise exposure in {held.sentence}; an admin may override it with a reason")
    return held


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


def commit(  # noqa: PLR0913 - each is named where it is given
    work: UnitOfWork,
    decision: Decision,
    *,
    before: Rollout,
    after: Rollout,
    now: datetime,
    by: Principal,
    comment: str = "",
    circumstances: Circumstances = CLEAR,
    judged: Rollout | None = None,
    review: Mapping[str, Any] | None = None,
) -> PublishedRuleset | None:
    """Save the rollout, the ruleset revision if exposure changed, and the record: all in the caller's transaction.

    What moved the rollout is in the audit too. A hold changes nothing and is kept as a decision only: a thousand
    rollouts make thousands of them a minute.

    Args:
        work: the transaction.
        decision: what happens and why.
        before: the rollout as it is stored.
        after: as it becomes.
        now: aware UTC time of the decision.
        by: who signs.
        comment: the person's reason.
        circumstances: what else it was decided on.
        judged: the rollout that was looked at, if a person has moved it meanwhile.
        review: what the person had before them, as `seen_then` gives it.
    """
    if after.version != before.version:
        work.rollouts.save(after)
    started = before.state is State.DRAFT
    serves_others = (before.weight, before.hold_out) != (after.weight, after.hold_out)
    ruleset = next_revision(work, after.environment, now=now) if started or serves_others else None
    latest = ruleset or work.rulesets.latest(after.environment)
    if decision.event is Event.TICK and decision.reason is DecisionReason.CANNOT_MEASURE:
        _tell_of_hold(work, decision, after, by=by, now=now)
    made = record(
        decision,
        before=judged or before,
        after=after,
        now=now,
        actor=by.name,
        comment=comment,
        circumstances=circumstances,
        revision=latest.revision if latest else 0,
    )
    kept = work.decisions.add(replace(made, review=review))
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
                **({} if kept.would is None else {"would": kept.would}),
                **({} if review is None else {"review": {name: review[name] for name in ("digest", "read")}}),
                "revision": kept.revision,
                "verdicts": kept.verdicts,
            },
        )
        automatic = by.kind is Kind.SYSTEM
        tell(work, about_rollout(decision, before=before, after=after, actor=by.name, automatic=automatic, now=now))
    return ruleset


def _tell_of_hold(work: UnitOfWork, decision: Decision, rollout: Rollout, *, by: Principal, now: datetime) -> None:
    """At the first look that finds it so; the looks that find nothing new are no news."""
    latest = next(iter(work.decisions.list(rollout.id, limit=1)), None)
    if latest is None or latest.reason is not DecisionReason.CANNOT_MEASURE:
        tell(work, about_hold(decision, rollout, actor=by.name, now=now))


def permission_for(event: Event) -> Permission:
    """What it takes to ask for this."""
    return Permission.APPROVE if event in _SIGNED_FOR else Permission.EDIT


def check_not_archived(flag: Flag) -> None:
    """What is out of the ruleset is not worked on.

    Raises:
        Conflict: it is archived.
    """
    if flag.archived_at is not None:
        raise Conflict(f"flag {flag.key!r} is archived; restore it first")


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


def check_queries(services: Services, rollout: Rollout) -> None:
    """Refuse what its gates could never ask.

    Raises:
        Invalid: naming the gate's field.
    """
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
        # The newest rollout decides what is served, and is the newest even if the clock was set back meanwhile.
        created_at = max([rollout.created_at, *(each.created_at for each in earlier)])
        number = work.rollouts.next_number(rollout.flag_key)
        numbered = replace(rollout, id=f"{rollout.flag_key}:{number}", created_at=created_at)
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


def check_its_turn(work: UnitOfWork, rollout: Rollout, event: Event) -> None:
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
        case Event.RESTART | Event.UNDO | Event.ROLL_BACK if serving is not None and serving.id != rollout.id:
            raise Conflict(f"rollout {serving.id!r} of flag {rollout.flag_key!r} is newer and decides what is served")
        case Event.RESTART | Event.UNDO:
            for each in work.rollouts.list(rollout.environment, flag_key=rollout.flag_key):
                if each.state not in ENDED:
                    raise Conflict(f"rollout {each.id!r} ({each.state}) of flag {rollout.flag_key!r} is newer")
        case _:
            pass
