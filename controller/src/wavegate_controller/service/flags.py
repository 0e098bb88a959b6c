"""What a person may do with flags."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from wavegate_controller.documents import FlagChange, FlagDocument, flag_to_document
from wavegate_controller.domain.access import Kind, Permission, Principal
from wavegate_controller.domain.audit import canonical
from wavegate_controller.domain.circumstances import Circumstances
from wavegate_controller.domain.decision import Decision, DecisionReason
from wavegate_controller.domain.drill import check_not_reserved
from wavegate_controller.domain.errors import Conflict, Invalid, StaleVersion
from wavegate_controller.domain.flag import Flag, Stop
from wavegate_controller.domain.freeze import Frozen
from wavegate_controller.domain.notification import about_switch
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.rollout import ENDED, WATCHED, Rollout
from wavegate_controller.domain.transitions import Event, apply
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.circumstances import Surroundings
from wavegate_controller.service.notifications import tell
from wavegate_controller.service.publish import next_revision
from wavegate_controller.service.rollouts import check_not_archived, commit
from wavegate_controller.service.services import Services
from wavegate_controller.service.stages import check_within_pilot, override_new

#: What a change of a flag may not touch while a rollout is under way: who is in which arm, and what is compared.
_FIXED_WHILE_ROLLING: Final = ("variants", "default_variant", "salt", "bucket_by", "generation")


def create_flag(services: Services, document: FlagDocument, *, by: Principal, exempt: str | None = None) -> Flag:
    """A new flag, enabled, serving its default variant to everybody but those it names.

    Args:
        services: the world.
        document: the flag.
        by: who asks, and signs.
        exempt: why it may scale without going through the stages; an admin's.

    Raises:
        Invalid: a field is wrong.
        Conflict: the key is taken, or it serves more than a pilot may have.
    """
    by.require(Permission.EDIT, services.environment)
    now = services.clock.now()
    flag = document.to_domain(environment=services.environment, now=now)
    if by.kind is not Kind.SYSTEM:
        check_not_reserved(flag.key)
    with services.store.transaction() as work:
        work.flags.add(flag)
        note(
            work,
            by=by,
            action="flag.create",
            subject=flag.key,
            environment=flag.environment,
            now=now,
            after=flag_to_document(flag),
        )
        if exempt is not None:
            override_new(work, flag, by=by, reason=exempt, now=now)
        check_within_pilot(work, services, flag, before=None, what="to create it so")
        ruleset = _revision(work, flag, now=now)
    services.sink.publish(ruleset)
    return flag


def change_flag(
    services: Services,
    key: str,
    change: FlagChange,
    *,
    by: Principal,
    comment: str = "",
    expected_version: int | None = None,
    override_freeze: bool = False,
) -> Flag:
    """Change what a flag is and whom it names; what the change leaves out stays.

    Args:
        services: the world.
        key: of the flag.
        change: the fields that change, each as a whole.
        by: who asks, and signs.
        comment: the person's reason.
        expected_version: the version that was read; None to change whatever there is.
        override_freeze: do it although a freeze window holds; signed with a reason.

    Raises:
        NotFound: there is no such flag.
        StaleVersion: it is at another version than the expected one.
        Invalid: a field is wrong, or does not fit the other flags and segments.
        Conflict: it is archived, a rollout holds what is to be changed, or a freeze window holds.
    """
    by.require(Permission.EDIT, services.environment)
    now = services.clock.now()
    with services.store.transaction() as work:
        before = work.flags.get(services.environment, key)
        if expected_version is not None and before.version != expected_version:
            raise StaleVersion("flag", key, current=before.version)
        check_not_archived(before)
        after = change.applied(before, now=now)
        shown = flag_to_document(before), flag_to_document(after)
        # As JSON: in Python true is 1, to an app it is not.
        changed = [name for name in change.model_fields_set if canonical(shown[0][name]) != canonical(shown[1][name])]
        if not changed:
            return before
        _check_rolling(work, before, changed)
        if _may_raise(before, after, changed):
            check_within_pilot(work, services, after, before=before, what=f"to change {changed[0]} so")
            check_frozen(
                work, before.environment, f"change {changed[0]}", comment, by=by, now=now, override=override_freeze
            )
        work.flags.save(after)
        note(
            work,
            by=by,
            action="flag.change",
            subject=key,
            environment=before.environment,
            now=now,
            before={name: shown[0][name] for name in changed},
            after={name: shown[1][name] for name in changed} | {"version": after.version},
            reason=comment.strip(),
        )
        ruleset = None if changed == ["description"] else _revision(work, after, now=now)
    if ruleset:
        services.sink.publish(ruleset)
    return after


def set_enabled(
    services: Services,
    key: str,
    *,
    enabled: bool,
    by: Principal,
    comment: str = "",
    override_freeze: bool = False,
) -> Flag:
    """Enable a flag, or stop it: a disabled flag serves its default variant to everybody at once, whatever its rollout.

    Idempotent. While it is stopped its rollout stays where it is; when it is enabled the rollout's wave bakes anew.

    Raises:
        NotFound: there is no such flag.
        Conflict: it is archived, or enabling it would raise exposure in a freeze window.
    """
    by.require(Permission.EDIT, services.environment)
    now = services.clock.now()
    with services.store.transaction() as work:
        flag = work.flags.get(services.environment, key)
        check_not_archived(flag)
        if flag.enabled is enabled:
            return flag
        rollout = work.rollouts.serving(flag.environment).get(key)
        frozen = None
        if enabled and rollout is not None and rollout.exposure:
            frozen = check_frozen(work, flag.environment, "enable", comment, by=by, now=now, override=override_freeze)
        flag, ruleset = switch(work, flag, enabled=enabled, by=by, comment=comment.strip(), now=now)
        if enabled and rollout is not None and rollout.state in WATCHED:
            _rearm(work, rollout, frozen, by=by, comment=comment.strip(), now=now)
    services.sink.publish(ruleset)
    return flag


def archive_flag(services: Services, key: str, *, by: Principal, comment: str = "") -> Flag:
    """Take a flag out of the ruleset: apps get their own defaults. It and its history stay, and it can be restored.

    Idempotent.

    Raises:
        NotFound: there is no such flag.
        Conflict: it has a rollout that has not ended, or another flag needs it.
    """
    by.require(Permission.EDIT, services.environment)
    now = services.clock.now()
    with services.store.transaction() as work:
        before = work.flags.get(services.environment, key)
        if before.archived_at is not None:
            return before
        for rollout in work.rollouts.list(before.environment, flag_key=key):
            if rollout.state not in ENDED:
                raise Conflict(f"flag {key!r} has a rollout that has not ended, {rollout.id!r} ({rollout.state})")
        needing = [other for other, needed in work.flags.dependent(before.environment).items() if key in needed]
        if needing:
            raise Conflict(f"flag {key!r} is a prerequisite of {', '.join(map(repr, needing))}; change that first")
        after = replace(before, archived_at=now, updated_at=now, version=before.version + 1)
        ruleset = _file(work, before, after, "flag.archive", by=by, comment=comment, now=now)
    services.sink.publish(ruleset)
    return after


def restore_flag(
    services: Services, key: str, *, by: Principal, comment: str = "", override_freeze: bool = False
) -> Flag:
    """Bring an archived flag back as it was. Idempotent.

    Raises:
        NotFound: there is no such flag.
        Invalid: it names segments or flags that are no longer there.
        Conflict: a freeze window holds.
    """
    by.require(Permission.EDIT, services.environment)
    now = services.clock.now()
    with services.store.transaction() as work:
        before = work.flags.get(services.environment, key)
        if before.archived_at is None:
            return before
        check_frozen(work, before.environment, "restore", comment, by=by, now=now, override=override_freeze)
        check_within_pilot(work, services, before, before=None, what="to restore it")
        after = replace(before, archived_at=None, updated_at=now, version=before.version + 1)
        ruleset = _file(work, before, after, "flag.restore", by=by, comment=comment, now=now)
    services.sink.publish(ruleset)
    return after


def switch(
    work: UnitOfWork, flag: Flag, *, enabled: bool, by: Principal, comment: str, now: datetime
) -> tuple[Flag, PublishedRuleset]:
    """Enable or stop a flag in the caller's transaction; the flag after it, and the ruleset to publish."""
    stopped = None if enabled else Stop(by=by.name, at=now, reason=comment)
    flag = replace(flag, enabled=enabled, stopped=stopped, updated_at=now, version=flag.version + 1)
    work.flags.save(flag)
    note(
        work,
        by=by,
        action="flag.enable" if enabled else "flag.disable",
        subject=flag.key,
        environment=flag.environment,
        now=now,
        before={"enabled": not enabled, "version": flag.version - 1},
        after={"enabled": enabled, "version": flag.version},
        reason=comment,
    )
    tell(work, about_switch(flag, actor=by.name, comment=comment, now=now))
    return flag, next_revision(work, flag.environment, now=now)


def list_flags(services: Services, *, by: Principal) -> Sequence[Flag]:
    """All flags that are not archived, by key."""
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return work.flags.list(services.environment)


def get_flag(services: Services, key: str, *, by: Principal) -> Flag:
    """One flag.

    Raises:
        NotFound: there is no such flag.
        Forbidden: they may not.
    """
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return work.flags.get(services.environment, key)


def check_frozen(
    work: UnitOfWork, environment: str, what: str, comment: str, *, by: Principal, now: datetime, override: bool
) -> Frozen | None:
    """Refuse in a freeze window of the environment what may raise exposure; the window if it is overridden.

    Raises:
        Conflict: a window holds.
        Forbidden: it is overridden by somebody who is no admin.
        Invalid: it is overridden without a reason.
    """
    held = Surroundings(work, now).frozen(environment)
    if held is None:
        return None
    if not override:
        raise Conflict(f"to {what} may raise exposure in {held.sentence}; an admin may override it with a reason")
    by.require(Permission.ADMINISTER, environment)
    if not comment.strip():
        raise Invalid("comment", "is empty, but a freeze window is overridden with a reason", "why, in a few words")
    return held


def _may_raise(before: Flag, after: Flag, changed: Sequence[str]) -> bool:
    """Whether a change may give somebody something: all but words, and names that are added to those denied."""
    denies_more = set(after.deny) >= set(before.deny)
    return any(name != "description" and not (name == "deny" and denies_more) for name in changed)


def _check_rolling(work: UnitOfWork, flag: Flag, changed: Sequence[str]) -> None:
    """Refuse to move people between the arms, or to change what they get, while the two are compared."""
    fixed = [name for name in _FIXED_WHILE_ROLLING if name in changed]
    if not fixed:
        return
    for rollout in work.rollouts.list(flag.environment, flag_key=flag.key, states=frozenset(WATCHED)):
        raise Conflict(
            f"{fixed[0]} of flag {flag.key!r} is fixed while rollout {rollout.id!r} is under way ({rollout.state}); "
            "end it first"
        )


def _rearm(
    work: UnitOfWork, rollout: Rollout, frozen: Frozen | None, *, by: Principal, comment: str, now: datetime
) -> None:
    """Nobody had the candidate while the flag was stopped: that was no baking."""
    after = apply(rollout, Event.REARM, now=now)
    sentence = f"flag enabled by {by.name}, the wave bakes anew" + (f": {comment}" if comment else "")
    decision = Decision(event=Event.REARM, reason=DecisionReason.REQUESTED, sentence=sentence)
    commit(
        work,
        decision,
        before=rollout,
        after=after,
        now=now,
        by=by,
        comment=comment,
        circumstances=Circumstances(frozen=frozen),
    )


def _file(
    work: UnitOfWork, before: Flag, after: Flag, action: str, *, by: Principal, comment: str, now: datetime
) -> PublishedRuleset:
    work.flags.save(after)
    note(
        work,
        by=by,
        action=action,
        subject=after.key,
        environment=after.environment,
        now=now,
        before={"archived_at": before.archived_at},
        after={"archived_at": after.archived_at, "version": after.version},
        reason=comment.strip(),
    )
    return _revision(work, after, now=now)


def _revision(work: UnitOfWork, flag: Flag, *, now: datetime) -> PublishedRuleset:
    """The next revision, each refusal by its field if it is this flag's."""
    try:
        return next_revision(work, flag.environment, now=now)
    except Invalid as refusal:
        raise Invalid(refusal.field.removeprefix(f"flags.{flag.key}."), refusal.problem, refusal.expected) from None
