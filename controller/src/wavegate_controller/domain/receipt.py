"""The receipt of a request that must not be carried out twice: who sent what under which key, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

#: How long a receipt is kept; a repetition after that is a new request.
KEPT: Final = timedelta(hours=24)
#: How long whoever carries a request out may take. After that it is taken for dead, and a repetition takes over.
PATIENCE: Final = timedelta(minutes=1)


class Progress(StrEnum):
    """How far the request is."""

    #: Somebody carries it out; nothing has been done yet.
    CLAIMED = "claimed"
    #: It was carried out, in the same transaction as this word was written; nobody knows its answer yet.
    ACTED = "acted"
    #: It was answered.
    ANSWERED = "answered"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What was answered."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """One request under its key.

    Attributes:
        sender: whose key it is; two senders may choose the same one.
        fingerprint: of all that was asked for.
        holder: random mark of whoever carries it out; another one has taken over when it differs.
        claimed_at: since when they do.
        reply: None until answered, and for answers that are not to be kept.
    """

    sender: str
    key: str
    fingerprint: str
    holder: str
    claimed_at: datetime
    progress: Progress = Progress.CLAIMED
    reply: Reply | None = None

    @property
    def expires_at(self) -> datetime:
        """From then on it says nothing any more."""
        return self.claimed_at + KEPT

    def is_abandoned(self, *, now: datetime) -> bool:
        """Whether whoever carried it out is taken for dead."""
        return self.progress is not Progress.ANSWERED and now - self.claimed_at > PATIENCE
