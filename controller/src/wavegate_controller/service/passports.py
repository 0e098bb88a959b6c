"""What people do with the passport of a feature: write down what a stage asks for, and decide how it is left."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_hex
from typing import Final

from wavegate.evaluation import Pilot
from wavegate_controller.documents.passport_texts import stage_to_markdown
from wavegate_controller.documents.passports import PARTS, PartDocument, part_to_document
from wavegate_controller.domain import passport as domain
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.errors import Conflict, Invalid, NotFound, StaleVersion
from wavegate_controller.domain.flag import Flag, PilotCohort
from wavegate_controller.domain.passport import (
    FEWEST_PEOPLE,
    MOST_PEOPLE,
    Check,
    Finding,
    Missing,
    Outcome,
    Passport,
    Readiness,
    ReadinessItem,
    Stage,
    StageDecision,
)
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.rollout import ENDED, Rollout, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.flags import check_frozen
from wavegate_controller.service.pilots import Usage, usage_of
from wavegate_controller.service.publish import next_revision
from wavegate_controller.service.readiness import all_at_hand, findings
from wavegate_controller.service.services import Services
from wavegate_controller.service.stages import fresh, is_held

#: What cannot be said without a metrics server is not said to be missing.
_UNSEEN: Final = {ReadinessItem.MONITORING: Finding(check=Check.GREEN, detail="not looked at")}
#: Of the key that hashes who uses a pilot.
_KEY_BYTES: Final = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class PassportView:
    """A passport, and what is seen of it now.

    Attributes:
        is_held: whether stages count for its flag.
        is_begun: whether it is written down; else it is the one that every flag would begin with.
        missing: what its stage asks for before a go.
        findings: item of the checklist to what Wavegate sees of it; empty but in production readiness and behind it.
    """

    passport: Passport
    is_held: bool
    is_begun: bool
    missing: Sequence[Missing]
    findings: Mapping[ReadinessItem, Finding]


@dataclass(frozen=True, kw_only=True, slots=True)
class Portfolio:
    """All features of an environment by stage.

    Attributes:
        views: those whose stages count, the one that waits longest first within its stage.
        outside: keys of flags that stages do not count for.
        reached: stage to how many features have entered it.
        ended: stage to how many ended in it.
        held: key of a feature in scale to what its rollout waits for; empty where it goes on or is done.
    """

    views: Sequence[PassportView]
    outside: Sequence[str]
    reached: Mapping[Stage, int]
    ended: Mapping[Stage, int]
    held: Mapping[str, str]
    now: datetime

    def blocks(self, view: PassportView) -> Sequence[str]:
        """What is in the way of a feature, the first thing first; nothing where it has ended."""
        passport = view.passport
        if passport.has_ended:
            return ()
        red = [f"{item}: {found.detail}" for item, found in view.findings.items() if found.check is Check.RED]
        told = [str(each) for each in view.missing] or (red if passport.stands_on_checks else [])
        held = self.held.get(passport.flag_key)
        return [held, *told] if held else told

    def conversion(self, stage: Stage) -> float | None:
        """Of those that entered a stage, the share that entered the next; None for the last, and for nobody."""
        later = [each for each in Stage if each.place == stage.place + 1]
        if not later or not self.reached[stage]:
            return None
        return self.reached[later[0]] / self.reached[stage]

    def age(self, view: PassportView) -> timedelta:
        """For how long it has been in its stage."""
        return self.now - view.passport.since


def get_passport(services: Services, key: str, *, by: Principal) -> PassportView:
    """Where a feature stands, and what it lacks.

    Raises:
        NotFound: there is no such flag.
        Forbidden: they may not see it.
    """
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        flag = work.flags.get(services.environment, key)
        passport = work.passports.find(services.environment, key)
    return _view(services, flag, passport)


def portfolio(services: Services, *, by: Principal) -> Portfolio:
    """All features by stage, and where features end.

    Raises:
        Forbidden: they may not see them.
    """
    by.require(Permission.READ, services.environment)
    now = services.clock.now()
    with services.store.transaction() as work:
        flags = work.flags.list(services.environment)
        passports = {each.flag_key: each for each in work.passports.list(services.environment)}
        checked = [each for each in passports.values() if each.stage.place >= Stage.PRODUCTION_READY.place]
        seen = all_at_hand(work, services.fleets, services.environment, checked, now=now)
        serving = work.rollouts.serving(services.environment)
        latest = work.decisions.newest([each.id for each in serving.values()])
    held = [each for each in flags if is_held(services, passports.get(each.key))]
    views = [_view(services, each, passports.get(each.key), seen=seen.get(each.key, {})) for each in held]
    views.sort(key=lambda each: (-each.passport.stage.place, each.passport.since, each.passport.flag_key))
    of_all = [each.passport for each in views]
    scaling = {each.flag_key: serving.get(each.flag_key) for each in of_all if each.may_scale}
    return Portfolio(
        views=views,
        outside=[each.key for each in flags if each not in held],
        reached={stage: sum(_has_reached(each, stage) for each in of_all) for stage in Stage},
        ended={stage: sum(each.has_ended and each.stage is stage for each in of_all) for stage in Stage},
        held={key: _held(each, latest.get(each.id) if each else None) for key, each in scaling.items()},
        now=now,
    )


def _held(rollout: Rollout | None, latest: DecisionRecord | None) -> str:
    """What the rollout of a feature in scale waits for, as a sentence; empty while it goes on or is done."""
    if rollout is None:
        return "no rollout has started"
    match rollout.state:
        case State.RUNNING if latest is not None and latest.event is Event.TICK:
            return f"{latest.reason}: {latest.sentence}"
        case State.AWAITING_APPROVAL:
            return f"{DecisionReason.AWAITING_APPROVAL}: wave {(rollout.wave or 0) + 1} waits for an approval"
        case State.PAUSED | State.ROLLED_BACK | State.CANCELLED:
            return f"{rollout.state.replace('_', ' ')}: {latest.sentence if latest else 'waits for somebody'}"
        case _:
            return ""


def stage_document(services: Services, key: str, stage: Stage | None, *, by: Principal) -> str:
    """What a stage has to show, as Markdown; by default the present one.

    Raises:
        NotFound: there is no such flag.
        Forbidden: they may not see it.
    """
    view = get_passport(services, key, by=by)
    wanted = stage or view.passport.stage
    usage = usage_of(services, view.passport) if wanted is Stage.PILOT else Usage(sentences=())
    return stage_to_markdown(
        view.passport,
        wanted,
        now=services.clock.now(),
        findings=view.findings,
        missing=view.missing,
        usage=usage.sentences,
        comments=usage.comments,
    )


def pilot_usage(services: Services, passport: Passport, *, by: Principal) -> Usage:
    """How the pilot of a feature goes, as far as it is seen.

    Raises:
        Forbidden: they may not see it.
    """
    by.require(Permission.READ, services.environment)
    return usage_of(services, passport)


def write_part(
    services: Services,
    key: str,
    stage: Stage,
    document: PartDocument,
    *,
    by: Principal,
    comment: str = "",
    expected_version: int | None = None,
) -> PassportView:
    """Write down what a stage asks for, in the place of what stood there; in the pilot's stage that serves its people.

    Args:
        services: the world.
        key: of the flag.
        stage: whose part it is.
        document: the part.
        by: who writes, and signs.
        comment: why.
        expected_version: of the passport that was read, 0 for none; None to write over whatever there is.

    Raises:
        NotFound: there is no such flag.
        Invalid: a field is wrong, or its stage is another one.
        StaleVersion: somebody else changed it meanwhile.
        Conflict: the stage was left, the feature has ended, or a freeze window holds.
        Forbidden: they may not.
    """
    by.require(Permission.EDIT, services.environment)
    if PARTS.get(stage) is not type(document):
        raise Invalid("stage", f"{stage} has no such part", f"one of {', '.join(PARTS)}")
    now, part = services.clock.now(), document.to_domain()

    def change(before: Passport) -> Passport:
        kept = part
        if isinstance(kept, Readiness):
            kept = _acknowledged_as_before(kept, before.production_ready)
        return domain.write(before, kept, now=now)

    return _change(
        services,
        key,
        change,
        action="stage.write",
        by=by,
        reason=comment,
        expected_version=expected_version,
        part=stage,
    )


def decide(
    services: Services,
    key: str,
    outcome: Outcome,
    *,
    by: Principal,
    reason: str,
    to: Stage | None = None,
    expected_version: int | None = None,
) -> PassportView:
    """Leave a stage. A go takes an approver, an override an admin; whoever may change flags may end or go back.

    Args:
        services: the world.
        key: of the flag.
        outcome: how.
        by: who signs.
        reason: why; required.
        to: for a way back or an override, where to.
        expected_version: of the passport that was read, 0 for none; None to decide on whatever there is.

    Raises:
        NotFound: there is no such flag.
        Invalid: there is no reason, or the stage is not one to go to.
        Unmet: the stage asks for more; all of it is listed.
        StaleVersion: somebody else changed or decided it meanwhile.
        Conflict: there is no such way from here, or a rollout that has not ended stands in the way.
        Forbidden: they may not.
    """
    by.require(_PERMISSIONS[outcome], services.environment)
    now = services.clock.now()
    seen = get_passport(services, key, by=by)
    if expected_version is None:
        # What is missing was looked at outside of the transaction: the decision is about that passport, or about none.
        expected_version = seen.passport.version if seen.is_begun else 0
    evidence = _evidence(services, seen)

    def change(before: Passport) -> Passport:
        return domain.decide(
            before, outcome, by=by.name, reason=reason, now=now, to=to, lacking=seen.missing, evidence=evidence
        )

    return _change(
        services,
        key,
        change,
        action=f"stage.{outcome}",
        by=by,
        reason=reason.strip(),
        expected_version=expected_version,
    )


def acknowledge(services: Services, key: str, item: ReadinessItem, *, by: Principal) -> PassportView:
    """Say, as the owner of an item of the checklist, that one owns it.

    Raises:
        NotFound: there is no such flag.
        Conflict: somebody else owns it, or the stage was left.
        Forbidden: they may not see it.
    """
    by.require(Permission.READ, services.environment)
    now = services.clock.now()

    def change(before: Passport) -> Passport:
        line = before.production_ready.item(item)
        if line.owner != by.name:
            raise Conflict(f"{item} is owned by {line.owner or 'nobody'!r}, and you sign as {by.name!r}")
        items = {**before.production_ready.items, item: replace(line, acknowledged_by=by.name, acknowledged_at=now)}
        return domain.write(before, replace(before.production_ready, items=items), now=now)

    return _change(services, key, change, action="stage.acknowledge", by=by, part=Stage.PRODUCTION_READY)


def leave_pilot(services: Services, key: str, person: str, *, by: Principal, comment: str = "") -> Flag:
    """Take somebody who does not want to take part out of the pilot, at once. Idempotent.

    Raises:
        NotFound: there is no such flag, or they are not in its pilot.
        Forbidden: they may not.
    """
    by.require(Permission.EDIT, services.environment)
    now = services.clock.now()
    with services.store.transaction() as work:
        flag = work.flags.get(services.environment, key)
        if flag.pilot is None or person not in (*flag.pilot.people.keys, *flag.pilot.control):
            raise NotFound("person in the pilot", person)
        people = flag.pilot.people
        if person in people.opted_out:
            return flag
        people = replace(people, opted_out=(*people.opted_out, person))
        flag, ruleset = _serve(work, flag, replace(flag.pilot, people=people), by=by, now=now, reason=comment.strip())
    services.sink.publish(ruleset)
    return flag


_PERMISSIONS = {
    Outcome.GO: Permission.APPROVE,
    Outcome.NO_GO: Permission.EDIT,
    Outcome.BACK: Permission.EDIT,
    Outcome.OVERRIDE: Permission.ADMINISTER,
}


def _change(
    services: Services,
    key: str,
    change: Callable[[Passport], Passport],
    *,
    action: str,
    by: Principal,
    reason: str = "",
    expected_version: int | None = None,
    part: Stage | None = None,
) -> PassportView:
    """The passport, changed and noted, with the pilot that follows from it: all in one transaction."""
    now = services.clock.now()
    with services.store.transaction() as work:
        flag = work.flags.get(services.environment, key)
        stored = work.passports.find(services.environment, key)
        current = stored.version if stored else 0
        if expected_version is not None and expected_version != current:
            raise StaleVersion("passport", key, current=current)
        before = stored or fresh(flag)
        after = change(before)
        _check_no_rollout(work, before, after)
        if stored is None:
            after = replace(after, version=1)
            work.passports.add(after)
        else:
            work.passports.save(after)
        _note(work, before, after, action=action, by=by, reason=reason, now=now, part=part)
        ruleset = _follow(work, flag, after, by=by, now=now)
    if ruleset is not None:
        services.sink.publish(ruleset)
    return get_passport(services, key, by=by)


def _evidence(services: Services, seen: PassportView) -> Sequence[str]:
    """What a decision on the present stage can be seen to stand on."""
    match seen.passport.stage:
        case Stage.PILOT if not seen.passport.has_ended:
            return usage_of(services, seen.passport).sentences
        case Stage.PRODUCTION_READY:
            return [f"{item} {found.check}: {found.detail}" for item, found in seen.findings.items()]
        case _:
            return ()


def _follow(work: UnitOfWork, flag: Flag, after: Passport, *, by: Principal, now: datetime) -> PublishedRuleset | None:
    """Serve the pilot that the passport speaks of, and take it back when the feature leaves it without a go."""
    if after.has_ended or after.stage.place < Stage.PILOT.place:
        if flag.pilot is None:
            return None
        return _serve(work, flag, None, by=by, now=now, reason=f"the feature is in {after.stage}")[1]
    stage = after.pilot
    is_whole = len(stage.people) in range(FEWEST_PEOPLE, MOST_PEOPLE + 1) and stage.department and stage.region
    if after.stage is not Stage.PILOT or not is_whole:
        return None
    opted_out = () if flag.pilot is None else flag.pilot.people.opted_out
    keys, control = _halves(flag.key, stage.people) if stage.half else (stage.people, ())
    people = Pilot(keys=keys, condition=stage.condition, limit=MOST_PEOPLE, opted_out=opted_out)
    variant = _variant(flag, after)
    if flag.pilot is not None and (flag.pilot.people, flag.pilot.variant, flag.pilot.control) == (
        people,
        variant,
        control,
    ):
        return None
    check_frozen(work, flag.environment, "begin the pilot", "", by=by, now=now, override=False)
    usage_key = flag.pilot.usage_key if flag.pilot else ""
    usage_key = usage_key or token_hex(_KEY_BYTES)
    pilot = PilotCohort(variant=variant, people=people, since=now, usage_key=usage_key, control=control)
    return _serve(work, flag, pilot, by=by, now=now, reason="the pilot of its stage")[1]


def _halves(flag_key: str, people: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who gets it and who does not, by a hash rather than by whoever wrote the list."""
    drawn = sorted(people, key=lambda each: sha256(f"{flag_key} {each}".encode(errors="surrogatepass")).digest())
    served = set(drawn[: (len(drawn) + 1) // 2])
    return tuple(each for each in people if each in served), tuple(each for each in people if each not in served)


def _serve(
    work: UnitOfWork, flag: Flag, pilot: PilotCohort | None, *, by: Principal, now: datetime, reason: str
) -> tuple[Flag, PublishedRuleset]:
    after = replace(flag, pilot=pilot, updated_at=now, version=flag.version + 1)
    work.flags.save(after)
    note(
        work,
        by=by,
        action="flag.pilot",
        subject=flag.key,
        environment=flag.environment,
        now=now,
        before=_cohort(flag),
        after=_cohort(after) | {"version": after.version},
        reason=reason,
    )
    return after, next_revision(work, flag.environment, now=now)


def _cohort(flag: Flag) -> dict[str, object]:
    if flag.pilot is None:
        return {"pilot": None}
    people = flag.pilot.people
    told: dict[str, object] = {
        "variant": flag.pilot.variant,
        "people": list(people.keys),
        "opted_out": list(people.opted_out),
    }
    return told | ({"control": list(flag.pilot.control)} if flag.pilot.control else {})


def _variant(flag: Flag, passport: Passport) -> str:
    others = sorted(set(flag.variants) - {flag.default_variant})
    wanted = passport.pilot.variant
    if wanted is None and len(others) == 1:
        return others[0]
    if wanted not in others:
        raise Invalid("variant", f"{wanted!r} is not one that the pilot could get", f"one of {', '.join(others)}")
    return wanted


def _check_no_rollout(work: UnitOfWork, before: Passport, after: Passport) -> None:
    """What leaves scale must not be served by waves any more."""
    if not before.may_scale or after.may_scale:
        return
    for rollout in work.rollouts.list(before.environment, flag_key=before.flag_key):
        if rollout.state is not State.DRAFT and (rollout.state not in ENDED or rollout.exposure):
            raise Conflict(
                f"rollout {rollout.id!r} is {rollout.state} and serves {rollout.weight / 1000:g} % of the users; "
                "roll it back first"
            )


def _note(
    work: UnitOfWork,
    before: Passport,
    after: Passport,
    *,
    action: str,
    by: Principal,
    reason: str,
    now: datetime,
    part: Stage | None = None,
) -> None:
    def shown(passport: Passport) -> dict[str, object]:
        told: dict[str, object] = {
            "stage": passport.stage,
            "has_ended": passport.has_ended,
            "version": passport.version,
        }
        return told if part is None else told | {part.value: part_to_document(passport, part)}

    decision = after.decisions[-1] if len(after.decisions) > len(before.decisions) else None
    note(
        work,
        by=by,
        action=action,
        subject=after.flag_key,
        environment=after.environment,
        now=now,
        before=shown(before),
        after=shown(after),
        reason=reason,
        evidence=_seen(decision),
    )


def _seen(decision: StageDecision | None) -> dict[str, object] | None:
    """What the audit keeps of a decision beside its reason."""
    if decision is None:
        return None
    parts: dict[str, object] = {"missing": list(decision.missing), "seen": list(decision.evidence)}
    return {name: part for name, part in parts.items() if part} or None


def _view(
    services: Services, flag: Flag, passport: Passport | None, *, seen: Mapping[ReadinessItem, Finding] | None = None
) -> PassportView:
    """As it is seen now; with `seen`, by what was looked at already, without what a metrics server is asked."""
    known = passport or fresh(flag)
    found = seen
    if found is None:
        found = findings(services, known) if known.stage.place >= Stage.PRODUCTION_READY.place else {}
    asked_for = {**_UNSEEN, **found} if seen else found
    lacking: Sequence[Missing] = () if known.has_ended else domain.missing(known, asked_for)
    return PassportView(
        passport=known,
        is_held=is_held(services, passport),
        is_begun=passport is not None,
        missing=lacking,
        findings=found,
    )


def _has_reached(passport: Passport, stage: Stage) -> bool:
    """Whether it was ever in the stage; an override skips those between."""
    return stage is Stage.DISCOVERY or any(each.to is stage for each in passport.decisions)


def _acknowledged_as_before(written: Readiness, before: Readiness) -> Readiness:
    """Nobody writes somebody else's word: it stays as long as the owner does."""
    items = {}
    for name, item in written.items.items():
        known = before.item(name)
        stays = known.owner == item.owner
        items[name] = replace(
            item,
            acknowledged_by=known.acknowledged_by if stays else "",
            acknowledged_at=known.acknowledged_at if stays else None,
        )
    return replace(written, items=items)
