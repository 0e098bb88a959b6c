"""Reading the audit, and following its chain."""

from collections.abc import Iterator, Sequence
from typing import Final

from wavegate_controller.domain.access import EVERYWHERE, Permission, Principal
from wavegate_controller.domain.audit import AuditFilter, Entry, Head, Page, Verified, verify
from wavegate_controller.ports import Store
from wavegate_controller.service.services import Services

_PAGE: Final = 1000
#: Below every number that a row could have been given.
_BEFORE_ALL: Final = -(2**62)


def find(
    services: Services, wanted: AuditFilter, *, limit: int, before: int | None = None, by: Principal
) -> Sequence[Entry]:
    """Newest first; with `before`, those with a smaller number.

    Raises:
        Forbidden: they may not read what is wanted; who may in one environment only must ask for that one.
    """
    by.require(Permission.AUDIT, wanted.environment or EVERYWHERE)
    with services.store.transaction() as work:
        return work.audit.list(wanted, limit=limit, before=before)


def show(services: Services, sequence: int, *, by: Principal) -> Entry:
    """One entry.

    Raises:
        NotFound: there is no such entry.
        Forbidden: they may not read it.
    """
    with services.store.transaction() as work:
        entry = work.audit.get(sequence)
    by.require(Permission.AUDIT, entry.note.environment or EVERYWHERE)
    return entry


def follow(services: Services, *, after: int | None = None, limit: int = _PAGE, by: Principal) -> Page:
    """As `stretch`, for somebody who asks.

    Raises:
        Forbidden: the chain runs through all environments, and they may not read it in all.
    """
    by.require(Permission.AUDIT, EVERYWHERE)
    return stretch(services.store, after=after, limit=limit)


def stretch(store: Store, *, after: int | None = None, limit: int = _PAGE) -> Page:
    """The entries behind that one, oldest first, and where the chain ends in the same moment."""
    behind = _BEFORE_ALL if after is None else after
    with store.transaction() as work:
        return Page(entries=work.audit.after(behind, limit=limit), head=work.audit.head())


def verify_store(store: Store, *, expect: Head | None = None) -> Verified:
    """Follow the whole chain as the database has it; others may go on writing meanwhile."""
    return verify(_pages(store), expect=expect)


def _pages(store: Store) -> Iterator[Page]:
    after = None
    while True:
        page = stretch(store, after=after)
        yield page
        if len(page.entries) < _PAGE:
            return
        after = page.entries[-1].sequence


def length(services: Services) -> int:
    """How many entries the audit has."""
    with services.store.transaction() as work:
        head = work.audit.head()
    return head.sequence if head else 0
