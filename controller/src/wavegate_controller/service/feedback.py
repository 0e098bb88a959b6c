"""What people said, kept and shown: each answer with the wave that was served, and without whose it is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.answers import FeedbackAnswer, Taken, take
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.domain.rollout import WATCHED
from wavegate_controller.ports import FeedbackFilter, UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.services import Services

#: Rows for each transaction: on SQLite everybody else waits while it is open.
_TOGETHER: Final = 500


def keep(services: Services, answers: Sequence[FeedbackAnswer]) -> Sequence[Taken]:
    """Write down what was said, all in one transaction; what became of each. What comes again changes nothing."""
    with services.store.transaction() as work:
        waves = {each: _wave(work, *each) for each in {(said.environment, said.flag_key) for said in answers}}
        return [_keep(work, said, waves[said.environment, said.flag_key]) for said in answers]


def list_feedback(
    services: Services,
    key: str,
    wanted: FeedbackFilter,
    *,
    by: Principal,
    limit: int,
    before: int | None = None,
) -> Sequence[FeedbackAnswer]:
    """What was said about a flag, newest first; with `before`, what has a smaller id.

    Raises:
        NotFound: there is no such flag.
        Forbidden: they may not see it.
    """
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        work.flags.get(services.environment, key)
        return work.feedback.list(services.environment, key, wanted, limit=limit, before=before)


def erase_comment(services: Services, key: str, number: int, *, by: Principal, comment: str = "") -> FeedbackAnswer:
    """Forget the words of an answer, which may say more of a person than it should. The thumb stays. Idempotent.

    Raises:
        NotFound: there is no such flag, or answer.
        Forbidden: they may not.
    """
    by.require(Permission.EDIT, services.environment)
    with services.store.transaction() as work:
        said = work.feedback.get(services.environment, number)
        if said is None or said.flag_key != key:
            raise NotFound("feedback", str(number))
        if said.is_erased:
            return said
        erased = replace(said, comment="", is_erased=True)
        work.feedback.save(erased)
        # What was said stands nowhere any more, in the audit neither.
        note(
            work,
            by=by,
            action="feedback.erase",
            subject=key,
            environment=services.environment,
            now=services.clock.now(),
            after={"feedback": number},
            reason=comment.strip(),
        )
    return erased


def prune_feedback(services: Services, *, keep: timedelta) -> int:
    """Remove what is older than `keep`; how many answers."""
    before = services.clock.now() - keep
    removed = 0
    while True:
        with services.store.transaction() as work:
            rows = work.feedback.prune(before=before, limit=_TOGETHER)
        removed += rows
        if rows < _TOGETHER:
            return removed


def _wave(work: UnitOfWork, environment: str, flag_key: str) -> tuple[str | None, int | None]:
    under_way = work.rollouts.list(environment, flag_key=flag_key, states=WATCHED, limit=1)
    return (under_way[0].id, under_way[0].wave) if under_way else (None, None)


def _keep(work: UnitOfWork, said: FeedbackAnswer, wave: tuple[str | None, int | None]) -> Taken:
    before = work.feedback.find(said.environment, said.key)
    taken, after = take(before, replace(said, rollout_id=wave[0], wave=wave[1]))
    match taken:
        case Taken.NEW if not work.feedback.add(after):
            # Another process was faster with the same one.
            return Taken.KNOWN
        case Taken.AMENDED:
            work.feedback.save(after)
        case _:
            pass
    return taken
