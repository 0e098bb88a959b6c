"""Writing down what was done: every use-case that changes anything notes it, in the transaction of the change."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from wavegate_controller.domain.access import Principal
from wavegate_controller.domain.audit import Note, moment, plain
from wavegate_controller.ports import UnitOfWork


def note(  # noqa: PLR0913 - an entry has as many parts, and each is named where it is given
    work: UnitOfWork,
    *,
    by: Principal,
    action: str,
    subject: str,
    environment: str,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
    evidence: Mapping[str, Any] | Sequence[Any] | None = None,
) -> None:
    """Append to the audit when the transaction commits; when it does not, nothing happened and nothing is noted.

    Args:
        work: the transaction of the change.
        by: who did it.
        action: dotted words, the thing first: `flag.create`, `rollout.promote`, `token.revoke`.
        subject: its key, id or name.
        environment: where; empty for what belongs to none.
        now: aware UTC time of the change.
        before: as it was: what changed, or all of it; never a secret.
        after: as it became; never a secret.
        reason: the person's words.
        evidence: what the decision was made on.
    """
    work.audit.add(
        Note(
            at=moment(now),
            actor=by.name,
            actor_kind=by.kind.value,
            action=action,
            subject=subject,
            environment=environment,
            reason=reason,
            before=plain(before),
            after=plain(after),
            evidence=plain(evidence),
        )
    )
