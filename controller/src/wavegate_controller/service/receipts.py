"""Carrying a request out once, however often it is sent.

The request is claimed before it is carried out. The transaction that changes something also writes that it did, and
only while the claim holds, so whatever dies at whatever moment: either nothing was done and a repetition does it, or it
was done and a repetition says so. The answer is kept afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from wavegate_controller.domain.errors import Conflict, InProgress, Invalid, StaleVersion
from wavegate_controller.domain.receipt import Progress, Receipt, Reply
from wavegate_controller.ports import Notices, Store, UnitOfWork
from wavegate_controller.service.services import Services

_FIELD: Final = "Idempotency-Key"


class Once:
    """Fulfils `ports.Store`: its transactions that change something say so in a receipt."""

    def __init__(self, store: Store, receipt: Receipt) -> None:
        self._store = store
        self._receipt = receipt
        self.has_acted = False

    @property
    def notices(self) -> Notices:
        """Those of the store."""
        return self._store.notices

    @contextmanager
    def transaction(self) -> Iterator[UnitOfWork]:
        """As those of the store; raises StaleVersion where another request has taken over."""
        with self._store.transaction() as work:
            yield work
            acts = work.audit.has_notes
            if acts:
                work.receipts.progress(self._receipt, Progress.ACTED)
        self.has_acted = self.has_acted or acts


def claim(services: Services, *, sender: str, key: str, fingerprint: str, holder: str) -> Receipt:
    """The right to carry a request out, or what came of it.

    Returns:
        A receipt in progress `claimed`, held by the caller, who now carries the request out; or one that was answered.

    Raises:
        Invalid: the key was used for another request.
        InProgress: the request is being carried out.
        Conflict: it was carried out, but its answer was lost or is not to be told twice.
    """
    now = services.clock.now()
    mine = Receipt(sender=sender, key=key, fingerprint=fingerprint, holder=holder, claimed_at=now)
    with services.store.transaction() as work:
        work.receipts.prune(now=now)
        found = work.receipts.get(sender, key)
        if found is None:
            try:
                work.receipts.add(mine)
            except StaleVersion:
                raise InProgress(key) from None
            return mine
        if found.fingerprint != fingerprint:
            raise Invalid(_FIELD, f"{key!r} was sent with another request", "a new key for each request")
        if found.progress is Progress.ANSWERED and found.reply is not None:
            return found
        if found.progress is Progress.CLAIMED and found.is_abandoned(now=now):
            work.receipts.take_over(found, mine)
            return mine
        if found.progress is Progress.ANSWERED or found.is_abandoned(now=now):
            raise Conflict(
                f"the request of {_FIELD} {key!r} was carried out, but its answer is not known any more; "
                "read what it was about"
            )
        raise InProgress(key)


def answered(services: Services, receipt: Receipt, reply: Reply, *, has_acted: bool, keep: bool) -> None:
    """Keep what was answered; a request that was refused and did nothing gives its key back.

    Args:
        services: the world.
        receipt: as it was claimed.
        reply: the answer.
        has_acted: whether anything was done.
        keep: False for an answer that is shown once and never stored, such as a new token.
    """
    done = has_acted or reply.status < 400  # noqa: PLR2004 - a refusal by HTTP's words
    with services.store.transaction() as work:
        if not done:
            work.receipts.remove(receipt)
        elif reply.status < 500:  # noqa: PLR2004 - a failure by HTTP's words; what it did is known, its answer is not
            work.receipts.progress(replace(receipt, reply=reply if keep else None), Progress.ANSWERED)
