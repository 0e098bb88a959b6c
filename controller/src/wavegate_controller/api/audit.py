"""The audit over HTTP."""

import re
from typing import Any, Final

from flask.typing import ResponseReturnValue
from pydantic import AwareDatetime, Field

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.paging import Page, PageQuery, page
from wavegate_controller.api.reading import Act, Query
from wavegate_controller.documents.audit import entry_to_document, head_to_document
from wavegate_controller.documents.shown import AuditEntryShown, AuditStretchShown
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.audit import AuditFilter
from wavegate_controller.domain.errors import Conflict, Invalid, NotFound, StaleVersion
from wavegate_controller.service import audits, restoring
from wavegate_controller.service.services import Services

_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_LARGEST: Final = 2**63 - 1

audit: Final = Operations("audit", "Who did what, why and on what evidence; nothing in it can be changed unnoticed.")


class AuditQuery(PageQuery):
    """Which entries."""

    actor: str | None = Field(default=None, description="Who did it.")
    action: str | None = Field(
        default=None, description="What: `rollout.promote`, or `rollout` for all that was done to rollouts."
    )
    subject: str | None = Field(default=None, description="To what: a flag's key, a rollout's id.")
    in_environment: str | None = Field(default=None, description="Where.")
    since: AwareDatetime | None = Field(default=None, description="Not before this time.")
    until: AwareDatetime | None = Field(default=None, description="Before this time.")


class StretchQuery(Query):
    """Which stretch of the chain."""

    after: int = Field(default=0, ge=0, le=_LARGEST, description="Number of the last entry that is known already.")
    limit: int = Field(default=500, ge=1, le=1000, description="How many at most.")


@audit.get("/audit", "List what was done, newest first", answer=Page[AuditEntryShown], permission=Permission.AUDIT)
def list_audit(services: Services, by: Principal, query: AuditQuery) -> ResponseReturnValue:
    """What a rollout's gates said while it held is with its decisions; here is what changed something."""
    wanted = AuditFilter(
        actor=query.actor,
        action=query.action,
        subject=query.subject,
        environment=query.in_environment,
        since=query.since,
        until=query.until,
    )
    seen = query.after(int)
    found = audits.find(services, wanted, limit=query.limit + 1, before=seen[0] if seen else None, by=by)
    return page([entry_to_document(each) for each in found], query, [(each.sequence,) for each in found])


@audit.get(
    "/audit/chain", "Follow the audit's chain, oldest first", answer=AuditStretchShown, permission=Permission.AUDIT
)
def follow_audit(services: Services, by: Principal, query: StretchQuery) -> ResponseReturnValue:
    """Every entry with its hash, and where the chain ended in the same moment: to export it and to verify it."""
    stretch = audits.follow(services, after=query.after or None, limit=query.limit, by=by)
    items: list[dict[str, Any]] = [entry_to_document(each) for each in stretch.entries]
    return {"items": items, "head": stretch.head and head_to_document(stretch.head)}


@audit.get("/audit/{entry}", "Show an entry of the audit", answer=AuditEntryShown, permission=Permission.AUDIT)
def show_audit(services: Services, by: Principal, entry: str) -> ResponseReturnValue:
    """With what was before and after, and the evidence."""
    return entry_to_document(audits.show(services, _sequence(entry), by=by))


@audit.post(
    "/audit/{entry}/restore",
    "Set back what an entry tells of, to what it was before",
    answer=AuditEntryShown,
    problems=[Conflict, Invalid, StaleVersion],
    permission=Permission.AUDIT,
)
def restore_audit(services: Services, by: Principal, entry: str, body: Act) -> ResponseReturnValue:
    """As one more change, with an entry of its own, by whoever may make that change; the answer is the old entry.

    What cannot be set back, such as what a rollout gave to users, is refused with what to do instead.
    """
    return entry_to_document(restoring.restore(services, _sequence(entry), by=by, comment=body.comment))


def _sequence(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise NotFound("audit entry", text)
    return int(text)
