"""What a person may do with flags."""

from collections.abc import Sequence
from dataclasses import replace

from wavegate_controller.documents import FlagDocument
from wavegate_controller.domain.flag import Flag
from wavegate_controller.service.publish import next_revision
from wavegate_controller.service.services import Services


def create_flag(services: Services, document: FlagDocument) -> Flag:
    """A new flag, enabled, serving its default variant to everybody.

    Raises:
        Invalid: a field is wrong.
        Conflict: the key is taken.
    """
    now = services.clock.now()
    flag = document.to_domain(environment=services.environment, now=now)
    with services.store.transaction() as work:
        work.flags.add(flag)
        ruleset = next_revision(work, services.environment, now=now)
    services.sink.publish(ruleset)
    return flag


def set_enabled(services: Services, key: str, *, enabled: bool) -> Flag:
    """Enable a flag, or stop it: a disabled flag serves its default variant to everybody at once, whatever its rollout.

    Idempotent.

    Raises:
        NotFound: there is no such flag.
    """
    now = services.clock.now()
    with services.store.transaction() as work:
        flag = work.flags.get(services.environment, key)
        if flag.enabled is enabled:
            return flag
        flag = replace(flag, enabled=enabled, updated_at=now, version=flag.version + 1)
        work.flags.save(flag)
        ruleset = next_revision(work, services.environment, now=now)
    services.sink.publish(ruleset)
    return flag


def list_flags(services: Services) -> Sequence[Flag]:
    """All flags, by key."""
    with services.store.transaction() as work:
        return work.flags.list(services.environment)


def get_flag(services: Services, key: str) -> Flag:
    """One flag.

    Raises:
        NotFound: there is no such flag.
    """
    with services.store.transaction() as work:
        return work.flags.get(services.environment, key)
