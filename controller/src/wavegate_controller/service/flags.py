"""What a person may do with flags."""

from collections.abc import Sequence
from dataclasses import replace

from wavegate_controller.documents import FlagDocument, flag_to_document
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.notification import about_switch
from wavegate_controller.service.auditing import note
from wavegate_controller.service.notifications import tell
from wavegate_controller.service.publish import next_revision
from wavegate_controller.service.services import Services


def create_flag(services: Services, document: FlagDocument, *, by: Principal) -> Flag:
    """A new flag, enabled, serving its default variant to everybody.

    Raises:
        Invalid: a field is wrong.
        Conflict: the key is taken.
        Forbidden: they may not.
    """
    by.require(Permission.EDIT, services.environment)
    now = services.clock.now()
    flag = document.to_domain(environment=services.environment, now=now)
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
        ruleset = next_revision(work, services.environment, now=now)
    services.sink.publish(ruleset)
    return flag


def set_enabled(services: Services, key: str, *, enabled: bool, by: Principal, comment: str = "") -> Flag:
    """Enable a flag, or stop it: a disabled flag serves its default variant to everybody at once, whatever its rollout.

    Idempotent.

    Raises:
        NotFound: there is no such flag.
        Forbidden: they may not.
    """
    by.require(Permission.EDIT, services.environment)
    now = services.clock.now()
    with services.store.transaction() as work:
        flag = work.flags.get(services.environment, key)
        if flag.enabled is enabled:
            return flag
        flag = replace(flag, enabled=enabled, updated_at=now, version=flag.version + 1)
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
            reason=comment.strip(),
        )
        tell(work, about_switch(flag, actor=by.name, comment=comment.strip(), now=now))
        ruleset = next_revision(work, services.environment, now=now)
    services.sink.publish(ruleset)
    return flag


def list_flags(services: Services, *, by: Principal) -> Sequence[Flag]:
    """All flags, by key."""
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
