"""What one person said about a variant: a thumb, and perhaps a few words. Once each, however often it is sent."""

import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

#: As the SDK cuts them.
LONGEST_COMMENT: Final = 500
LONGEST_KEY: Final = 128
_LINE_BREAKS: Final = "\n\t"
#: Marks that turn the direction of what follows: the words of one person could make those beside them read otherwise.
_TURNS: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_UNSEEN: Final = ("Cc", "Cs", "Co", "Cn")


class Source(StrEnum):
    """Who brought an answer."""

    #: An app, with its counts; the thumb is in the app's own counters.
    APP = "app"
    #: An app's server, one answer at a time.
    SERVER = "server"
    #: A person's browser, with a token that the app signed.
    BROWSER = "browser"


class Taken(StrEnum):
    """What became of an answer that was sent."""

    #: It counts.
    NEW = "new"
    #: Its thumb was there; its comment is new.
    AMENDED = "amended"
    #: All of it was there.
    KNOWN = "known"
    #: The same person said something else before, which stays.
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackAnswer:
    """One answer as it is kept. Whose it is stands nowhere.

    Attributes:
        key: by which it is known if it is sent again, unlike all others of its environment.
        rollout_id: the rollout that was under way; None for none.
        wave: index of the wave that was served.
        is_erased: whether its comment was taken away for good.
        id: rising number; 0 until stored.
    """

    key: str
    environment: str
    flag_key: str
    variant: str
    thumbs_up: bool
    comment: str
    source: Source
    at: datetime
    rollout_id: str | None = None
    wave: int | None = None
    is_erased: bool = False
    id: int = 0


def take(before: FeedbackAnswer | None, said: FeedbackAnswer) -> tuple[Taken, FeedbackAnswer]:
    """What becomes of an answer, and what is kept then. A thumb stands; a comment may follow it once."""
    if before is None:
        return Taken.NEW, said
    if (before.flag_key, before.variant, before.thumbs_up) != (said.flag_key, said.variant, said.thumbs_up):
        return Taken.CONTRADICTED, before
    if before.is_erased or said.comment in ("", before.comment):
        return Taken.KNOWN, before
    if before.comment:
        return Taken.CONTRADICTED, before
    return Taken.AMENDED, replace(before, comment=said.comment)


def tidy(comment: str) -> str:
    """A comment as it is kept: text, whatever it looks like, without what no reader could see, cut to its length."""
    seen = "".join(
        each
        for each in comment
        if each in _LINE_BREAKS or (each not in _TURNS and unicodedata.category(each) not in _UNSEEN)
    )
    return seen.strip()[:LONGEST_COMMENT]
