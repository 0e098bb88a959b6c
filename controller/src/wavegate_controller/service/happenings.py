"""What happened, for those who follow it: the audit, without what was before and after."""

from collections.abc import Sequence
from typing import Any

from wavegate_controller.domain.audit import Entry
from wavegate_controller.ports import Store


def happenings(store: Store, *, after: int, limit: int) -> Sequence[Entry]:
    """The entries behind that one, oldest first."""
    with store.transaction() as work:
        return work.audit.after(after, limit=limit)


def newest(store: Store) -> int:
    """The number of the last entry; 0 before the first."""
    with store.transaction() as work:
        head = work.audit.head()
    return head.sequence if head else 0


def happening_to_document(entry: Entry) -> dict[str, Any]:
    """What everybody may know who may read in the environment."""
    note = entry.note
    return {
        "id": entry.sequence,
        "at": note.at,
        "actor": note.actor,
        "action": note.action,
        "subject": note.subject,
        "environment": note.environment,
        "reason": note.reason,
    }
