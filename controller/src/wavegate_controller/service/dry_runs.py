"""Dry runs of rollouts: begun and ended, and what they would have done beside what people did."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.errors import Conflict, Invalid
from wavegate_controller.domain.foresight.dry_run import Compared, compare
from wavegate_controller.domain.rollout import ENDED, Rollout
from wavegate_controller.service.auditing import note
from wavegate_controller.service.services import Services

#: Moves of one rollout that are looked at; with more of them nobody reads the report.
_MOST: Final = 1000


def compare_rollout(services: Services, rollout_id: str, *, by: Principal) -> Sequence[Compared]:
    """What came of all that was noted and done, in the order of time.

    Raises:
        NotFound: there is no such rollout.
        Forbidden: they may not see it.
    """
    with services.store.transaction() as work:
        rollout = work.rollouts.get(rollout_id)
        by.require(Permission.READ, rollout.environment)
        moves = work.decisions.list(rollout.id, limit=_MOST, moves_only=True)
    return compare(list(reversed(moves)))


def set_dry_run(services: Services, rollout_id: str, *, dry_run: bool, by: Principal, comment: str = "") -> Rollout:
    """Let a rollout only be judged from now on, or act again; under way, too, as no rule of judging changes by it.

    Args:
        services: the world.
        rollout_id: whose.
        dry_run: whether only people move it.
        by: who asks, and signs.
        comment: why; required, as it decides who moves users.

    Raises:
        NotFound: there is no such rollout.
        Invalid: no reason is given.
        Conflict: it has ended.
        Forbidden: they may not.
    """
    comment, now = comment.strip(), services.clock.now()
    if not comment:
        raise Invalid("comment", "is empty, but a dry run is begun and ended with a reason", "why, in a few words")
    with services.store.transaction() as work:
        before = work.rollouts.get(rollout_id)
        by.require(Permission.EDIT, before.environment)
        if before.state in ENDED:
            raise Conflict(f"rollout {rollout_id!r} is {before.state}: nothing moves it any more")
        if before.plan.dry_run is dry_run:
            return before
        after = replace(before, plan=replace(before.plan, dry_run=dry_run), version=before.version + 1, updated_at=now)
        work.rollouts.save(after)
        note(
            work,
            by=by,
            action="rollout.set_dry_run",
            subject=after.id,
            environment=after.environment,
            now=now,
            before={"dry_run": before.plan.dry_run, "version": before.version},
            after={"dry_run": dry_run, "version": after.version},
            reason=comment,
        )
    return after
