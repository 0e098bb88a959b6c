"""Applying what people keep in Git: all of it in one transaction, or nothing; planning is the same, not kept."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from wavegate_controller.documents.configuration import API_VERSION, AnyObject, EnvironmentObject, RolloutObject
from wavegate_controller.domain.access import EVERYWHERE, Permission, Principal
from wavegate_controller.domain.configuration import Action, Applied, Change, Name
from wavegate_controller.domain.errors import Conflict, ControllerError, Invalid
from wavegate_controller.domain.foresight.findings import Finding, hold_to
from wavegate_controller.domain.rollout import Rollout, State
from wavegate_controller.service.joined import Joined, joined
from wavegate_controller.service.kinds import ENVIRONMENT, KINDS, ROLLOUT, Act, Kind
from wavegate_controller.service.linted import look
from wavegate_controller.service.rollouts import check_queries
from wavegate_controller.service.services import Services

#: What makes or starts a rollout.
_MAKING: Final = frozenset({Action.CREATE, Action.UPDATE, Action.START})
_NOTHING: Final[Mapping[Name, Sequence[Finding]]] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What is wanted.

    Attributes:
        objects: as they were read.
        collection: whose files they are from; only what came from there is pruned.
        prune: whether what was applied from there and is not among the objects is archived.
    """

    objects: Sequence[AnyObject]
    collection: str = "default"
    prune: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What would be done, or was.

    Attributes:
        fingerprint: of all changes; the same as long as nothing else is changed by anybody.
        is_applied: whether it was.
    """

    changes: Sequence[Change]
    is_applied: bool = False

    @property
    def fingerprint(self) -> str:
        """Of what is to be done."""
        told = [
            [str(each.object), each.action, each.blocked, [[one.field, one.live, one.wanted] for one in each.fields]]
            for each in self.changes
        ]
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]

    @property
    def blocked(self) -> Sequence[Change]:
        """What is not possible now."""
        return [each for each in self.changes if each.blocked is not None]

    @property
    def has_changes(self) -> bool:
        """Whether anything would be done."""
        return any(each.action is not Action.NONE for each in self.changes)


def plan(services: Services, wish: Wish, *, by: Principal) -> Outcome:
    """What applying would do: it is done, and undone.

    Raises:
        Invalid: two objects have the same name.
        NotFound: there is no such environment.
        Forbidden: they may not even look.
    """
    _require(services, wish, by, Permission.READ)
    _check_queries(services, wish)
    planned, made = _plan(services, wish, by=by)
    may_ask = all(by.may(Permission.EDIT, name.environment) for name in made)
    return _with_findings(planned, _look(services if may_ask else replace(services, history=None), made))


def apply(
    services: Services,
    wish: Wish,
    *,
    by: Principal,
    comment: str = "",
    fingerprint: str | None = None,
    despite_lint: str = "",
) -> Outcome:
    """Do all of it, or nothing.

    Args:
        services: the world.
        wish: what is wanted.
        by: who asks; the use-cases of each kind ask whether they may.
        comment: why.
        fingerprint: of the plan that was agreed to; refused when it is another one by now.
        despite_lint: why to start rollouts although lint finds errors in their gates.

    Raises:
        Invalid: two objects have the same name.
        NotFound: there is no such environment.
        Conflict: something is not possible now, or the plan is another one.
        LintRefused: a rollout would start whose gates cannot do what they are there for.
        Forbidden: they may not.
    """
    _require(services, wish, by, Permission.EDIT)
    _check_queries(services, wish)
    found: Mapping[Name, Sequence[Finding]] = {}
    if any(isinstance(each, RolloutObject) for each in wish.objects):
        planned, made = _plan(services, wish, by=by)
        fingerprint = fingerprint or planned.fingerprint
        found = {} if planned.blocked else _look(services, made)
        starting = {str(name): found[name] for name, rollout in made.items() if rollout.state is not State.DRAFT}
        hold_to("nothing was applied", starting if found else {}, despite=despite_lint.strip())
    with joined(services) as together:
        changes = _carry_out(together, wish, by=by, comment=comment, found=found, despite_lint=despite_lint)
        outcome = _with_findings(Outcome(changes=changes, is_applied=True), found)
        if outcome.blocked:
            raise Conflict(
                "nothing was applied: " + "; ".join(f"{each.object}: {each.blocked}" for each in outcome.blocked)
            )
        if fingerprint is not None and fingerprint != outcome.fingerprint:
            raise Conflict("something was changed since this was planned: plan again, and look at what is new")
        together.is_kept = True
    return outcome


def export(services: Services, *, by: Principal) -> Sequence[Mapping[str, Any]]:
    """All of an environment, in the order in which it can be applied.

    Raises:
        Forbidden: they may not see it.
    """
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return [
            {"apiVersion": API_VERSION, "kind": name}
            | ({} if name == ENVIRONMENT else {"environment": services.environment})
            | {"spec": spec}
            for name, kind in KINDS.items()
            for spec in kind.export(work, services.environment)
        ]


def _plan(services: Services, wish: Wish, *, by: Principal) -> tuple[Outcome, Mapping[Name, Rollout]]:
    """What would be done, and the rollouts that would be made or started, as they would be then."""
    with joined(services) as together:
        under_way = {
            each.id
            for name, _, _ in _named(services, wish)
            for each in _newest(together, name)
            if each.state is not State.DRAFT
        }
        outcome = Outcome(changes=_carry_out(together, wish, by=by, comment=""))
        made = {
            each.object: rollout
            for each in outcome.changes
            if each.blocked is None and each.action in _MAKING
            for rollout in _newest(together, each.object)
            if rollout.id not in under_way
        }
        return outcome, made


def _newest(together: Joined, name: Name) -> Sequence[Rollout]:
    """The rollout that an object is, where it is one and there is one."""
    if name.kind != ROLLOUT:
        return ()
    return together.work.rollouts.list(name.environment, flag_key=name.name, limit=1)


def _look(services: Services, rollouts: Mapping[Name, Rollout]) -> Mapping[Name, Sequence[Finding]]:
    """Outside of any transaction, as the metrics server is asked."""
    found = look(services, list(rollouts.values()))
    return {name: found[rollout.id] for name, rollout in rollouts.items()}


def _with_findings(outcome: Outcome, found: Mapping[Name, Sequence[Finding]]) -> Outcome:
    changes = [replace(each, findings=found.get(each.object, ())) for each in outcome.changes]
    return replace(outcome, changes=changes)


def _require(services: Services, wish: Wish, by: Principal, permission: Permission) -> None:
    made = {each.spec.name for each in wish.objects if isinstance(each, EnvironmentObject)}
    for environment in {services.environment} | {each.environment for each in wish.objects if each.environment}:
        by.require(permission, environment)
        if environment not in made:
            services.within(environment)


def _check_queries(services: Services, wish: Wish) -> None:
    """Before the transaction, in which nobody waits for a metrics server."""
    now = services.clock.now()
    for index, wanted in enumerate(wish.objects):
        if not isinstance(wanted, RolloutObject):
            continue
        spec = wanted.spec
        try:
            draft = Rollout(
                id=f"{spec.flag}:new",
                flag_key=spec.flag,
                environment=wanted.environment or services.environment,
                stable=spec.stable or "",
                candidate=spec.candidate,
                plan=spec.plan_to_domain(),
                created_by="",
                created_at=now,
                updated_at=now,
            )
            check_queries(services, draft)
        except Invalid as refusal:
            raise refusal.under(f"documents[{index}].spec") from None


def _carry_out(
    together: Joined,
    wish: Wish,
    *,
    by: Principal,
    comment: str,
    found: Mapping[Name, Sequence[Finding]] = _NOTHING,
    despite_lint: str = "",
) -> list[Change]:
    """One change after the other, each by itself: what one refuses does not keep the others from being looked at.

    What names another object of the same kind may come before it, so those that are refused are tried again for as
    long as that helps.
    """
    now = together.services.clock.now()
    waiting = list(_named(together.services, wish))
    changes: dict[Name, Change] = {}
    while waiting:
        refused: list[tuple[Name, Kind, AnyObject]] = []
        for name, kind, wanted in waiting:
            asked = Act(
                services=together.services,
                by=by,
                comment=comment,
                found=found.get(name, ()),
                despite_lint=despite_lint,
            )
            change = _attempt(together, wish, name, kind, wanted, asked, now=now)
            changes[name] = change
            if change.blocked is not None:
                refused.append((name, kind, wanted))
        if len(refused) == len(waiting):
            break
        waiting = refused
    ordered = [changes[name] for name, _, _ in _named(together.services, wish)]
    if wish.prune:
        ordered += _prune(together, wish, frozenset(changes), by=by, comment=comment)
    return ordered


def _attempt(
    together: Joined,
    wish: Wish,
    name: Name,
    kind: Kind,
    wanted: AnyObject,
    asked: Act,
    *,
    now: datetime,
) -> Change:
    work, by = together.work, asked.by
    applied = work.applied.get(name)
    change = Change(object=name, action=Action.UPDATE)
    try:
        act = replace(asked, services=_place(together.services, name))
        change = kind.change(work, name, wanted, applied)
        if change.blocked is not None:
            return change
        with work.attempt():
            kind.carry_out(act, change, wanted)
            mine = Applied(
                collection=wish.collection,
                object=name,
                document=kind.fields(wanted),
                applied_at=now,
                applied_by=by.name,
            )
            if applied is None or (applied.collection, applied.document) != (mine.collection, mine.document):
                by.require(Permission.EDIT, name.environment)
                work.applied.save(mine)
    except ControllerError as refusal:
        return replace(change, blocked=str(refusal))
    return change


def _prune(together: Joined, wish: Wish, wanted: frozenset[Name], *, by: Principal, comment: str) -> Iterator[Change]:
    """What came from this collection and is wanted no more, the last made first."""
    work = together.work
    order = list(KINDS)
    gone = [each for each in work.applied.list(wish.collection) if each.object not in wanted]
    for applied in sorted(gone, key=lambda each: (-order.index(each.object.kind), str(each.object))):
        name = applied.object
        change = Change(object=name, action=Action.ARCHIVE)
        try:
            with work.attempt():
                act = Act(services=_place(together.services, name), by=by, comment=comment)
                by.require(Permission.EDIT, name.environment)
                remark = KINDS[name.kind].archive(act, name)
                work.applied.remove(name)
            yield replace(change, remark=remark)
        except ControllerError as refusal:
            yield replace(change, blocked=str(refusal))


def _place(services: Services, name: Name) -> Services:
    """The services of where an object is; what is in no environment may be the one that is not there yet."""
    return services if name.kind == ENVIRONMENT else services.within(name.environment)


def _named(services: Services, wish: Wish) -> Iterator[tuple[Name, Kind, AnyObject]]:
    """The objects in the order in which they are applied.

    Raises:
        Invalid: two have the same name.
    """
    seen: dict[Name, int] = {}
    found = []
    for index, wanted in enumerate(wish.objects):
        kind = KINDS[wanted.kind]
        place = EVERYWHERE if wanted.kind == ENVIRONMENT else wanted.environment or services.environment
        name = Name(kind=wanted.kind, environment=place, name=kind.name(wanted))
        if name in seen:
            raise Invalid(f"documents[{index}]", f"is {name}, as documents[{seen[name]}] is", "each object once")
        seen[name] = index
        found.append((name, kind, wanted))
    order = list(KINDS)
    yield from sorted(found, key=lambda each: order.index(each[0].kind))
