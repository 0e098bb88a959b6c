"""Environments: each with flags, rollouts, revisions and keys of its own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from wavegate_controller.domain.access import EVERYWHERE, Permission, Principal
from wavegate_controller.domain.environment import Environment
from wavegate_controller.service.auditing import note
from wavegate_controller.service.publish import next_revision
from wavegate_controller.service.services import Services


def create_environment(
    services: Services, name: str, *, description: str = "", dry_run: bool = False, by: Principal
) -> Environment:
    """A new one, with an empty ruleset that apps may fetch at once.

    Raises:
        Invalid: the name is none.
        Conflict: it is taken.
        Forbidden: they may not.
    """
    by.require(Permission.ADMINISTER, EVERYWHERE)
    now = services.clock.now()
    environment = Environment(name=name, description=description, dry_run=dry_run, created_at=now)
    with services.store.transaction() as work:
        work.environments.add(environment)
        note(
            work,
            by=by,
            action="environment.create",
            subject=name,
            environment=name,
            now=now,
            after=_said(environment),
        )
        ruleset = work.rulesets.latest(name) or next_revision(work, name, now=now)
    services.sink.publish(ruleset)
    return environment


def change_environment(
    services: Services,
    name: str,
    *,
    description: str | None = None,
    dry_run: bool | None = None,
    by: Principal,
    comment: str = "",
) -> Environment:
    """Say anew what it is for, or begin or end its dry run; what is None stays.

    Raises:
        NotFound: there is no such environment.
        Forbidden: they may not.
    """
    by.require(Permission.ADMINISTER, EVERYWHERE)
    now = services.clock.now()
    with services.store.transaction() as work:
        before = work.environments.get(name)
        after = replace(
            before,
            description=before.description if description is None else description,
            dry_run=before.dry_run if dry_run is None else dry_run,
        )
        work.environments.save(after)
        note(
            work,
            by=by,
            action="environment.change",
            subject=name,
            environment=name,
            now=now,
            before=_said(before),
            after=_said(after),
            reason=comment,
        )
    return after


def _said(environment: Environment) -> dict[str, Any]:
    return {"description": environment.description, "dry_run": environment.dry_run}


def list_environments(services: Services, *, by: Principal) -> Sequence[Environment]:
    """Those that they may see, by name."""
    with services.store.transaction() as work:
        return [each for each in work.environments.list() if by.may(Permission.READ, each.name)]
