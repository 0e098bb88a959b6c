"""Environments: each with flags, rollouts, revisions and keys of its own."""

from collections.abc import Sequence
from dataclasses import replace

from wavegate_controller.domain.access import EVERYWHERE, Permission, Principal
from wavegate_controller.domain.environment import Environment
from wavegate_controller.service.auditing import note
from wavegate_controller.service.publish import next_revision
from wavegate_controller.service.services import Services


def create_environment(services: Services, name: str, *, description: str = "", by: Principal) -> Environment:
    """A new one, with an empty ruleset that apps may fetch at once.

    Raises:
        Invalid: the name is none.
        Conflict: it is taken.
        Forbidden: they may not.
    """
    by.require(Permission.ADMINISTER, EVERYWHERE)
    now = services.clock.now()
    environment = Environment(name=name, description=description, created_at=now)
    with services.store.transaction() as work:
        work.environments.add(environment)
        note(
            work,
            by=by,
            action="environment.create",
            subject=name,
            environment=name,
            now=now,
            after={"description": description},
        )
        ruleset = work.rulesets.latest(name) or next_revision(work, name, now=now)
    services.sink.publish(ruleset)
    return environment


def describe_environment(
    services: Services, name: str, *, description: str, by: Principal, comment: str = ""
) -> Environment:
    """Say anew what it is for.

    Raises:
        NotFound: there is no such environment.
        Forbidden: they may not.
    """
    by.require(Permission.ADMINISTER, EVERYWHERE)
    now = services.clock.now()
    with services.store.transaction() as work:
        before = work.environments.get(name)
        after = replace(before, description=description)
        work.environments.save(after)
        note(
            work,
            by=by,
            action="environment.change",
            subject=name,
            environment=name,
            now=now,
            before={"description": before.description},
            after={"description": description},
            reason=comment,
        )
    return after


def list_environments(services: Services, *, by: Principal) -> Sequence[Environment]:
    """Those that they may see, by name."""
    with services.store.transaction() as work:
        return [each for each in work.environments.list() if by.may(Permission.READ, each.name)]
