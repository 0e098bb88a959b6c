"""`/sdk/v1/feedback`: what one person said, brought by an app's server or by the person's own browser.

Answered once it is written down; what is sent again counts once, whatever is lost on the way.
"""

import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final, Protocol

from wavegate.evaluation import COHORTS
from wavegate_controller.delivery.asgi import (
    JSON,
    Header,
    Receive,
    Scope,
    Send,
    TooSlow,
    answer,
    authorization,
    problem,
    read_body,
)
from wavegate_controller.delivery.cors import Cors
from wavegate_controller.delivery.counts import PostedCounts
from wavegate_controller.delivery.hub import Hub
from wavegate_controller.delivery.keys import Grant, Keys
from wavegate_controller.delivery.limits import RateLimits
from wavegate_controller.documents.counts import CountsDocument
from wavegate_controller.documents.feedback import FeedbackDocument, read_feedback, read_token
from wavegate_controller.domain.answers import FeedbackAnswer, Source, Taken, tidy
from wavegate_controller.domain.errors import Invalid

#: A comment and a token.
_LARGEST: Final = 16 * 1024
#: Answers a second of one person, who may add a comment to a thumb.
RATE_OF_A_PERSON: Final = 1.0
#: Seconds after which somebody who cannot be heard should come again.
_LATER: Final = 1
_STATUS: Final = {
    Taken.NEW: HTTPStatus.CREATED,
    Taken.AMENDED: HTTPStatus.CREATED,
    Taken.KNOWN: HTTPStatus.OK,
}


class Inbox(Protocol):
    """Where answers are written down."""

    def put(self, answers: Sequence[FeedbackAnswer]) -> "Future[Sequence[Taken]]":
        """What becomes of each, once it is written down; raises OSError there when it cannot be."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackLimits:
    """How often what one key stands for may bring answers, and how often one person may, by token."""

    key: RateLimits
    person: RateLimits


class _Refused(Exception):
    """An answer that says why not."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Sequence[Header] = (), *, outcome: str = "refused"
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class _Heard:
    answer: FeedbackAnswer
    place: int


class FeedbackRoute:
    """Answers at one path.

    Args:
        hub: what is served.
        keys: who may bring answers.
        counts: where thumbs are counted.
        inbox: where answers are written down.
        limits: how often.
        cors: which web pages may.
        now: aware UTC time.
        tell: takes what became of each, for a metric.
    """

    def __init__(
        self,
        hub: Hub,
        keys: Keys,
        counts: PostedCounts,
        inbox: Inbox,
        *,
        limits: FeedbackLimits,
        cors: Cors,
        now: Callable[[], datetime],
        tell: Callable[[str], None],
    ) -> None:
        self._hub = hub
        self._keys = keys
        self._counts = counts
        self._inbox = inbox
        self._limits = limits
        self._cors = cors
        self._now = now
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        cors = self._cors.headers(scope)
        if scope["method"] == "OPTIONS":
            await answer(send, HTTPStatus.NO_CONTENT, self._cors.preflight(scope))
            return
        try:
            taken = await self._take(scope, await _read(scope, receive))
        except _Refused as refused:
            self._tell(refused.outcome)
            status = refused.status
            await problem(send, status, status.phrase, str(refused), [*refused.headers, *cors])
        else:
            body = b'{"taken":"%s"}' % taken.value.encode()
            await answer(send, _STATUS[taken], [JSON, (b"content-length", b"%d" % len(body)), *cors], body)

    async def comments(self, document: CountsDocument, grant: Grant) -> None:
        """Write down what stands among counts, under numbers that are the same when they are posted again.

        Raises:
            OSError: it cannot be written down now.
        """
        variants = self._hub.variants(grant.environment)
        answers = [
            FeedbackAnswer(
                key=f"{document.instance}:{document.sequence}:{number}",
                environment=grant.environment,
                flag_key=said.flag,
                variant=said.variant,
                thumbs_up=said.thumbs_up,
                comment=text,
                source=Source.APP,
                at=self._now(),
            )
            for number, said in enumerate(document.comments)
            if said.variant in variants.get(said.flag, ()) and (text := tidy(said.comment))
        ]
        if answers:
            for taken in await asyncio.wrap_future(self._inbox.put(answers)):
                self._tell(taken)

    async def _take(self, scope: Scope, document: FeedbackDocument) -> Taken:
        heard = self._from_browser(document) if document.token is not None else self._from_server(scope, document)
        said = heard.answer
        known = self._hub.variants(said.environment).get(said.flag_key)
        if known is None:
            raise _unprocessable(Invalid("flag", f"{said.flag_key!r} is not in the ruleset", "a flag's key"))
        if said.variant not in known:
            problem = f"{said.variant!r} is not a variant of flag {said.flag_key!r}"
            raise _unprocessable(Invalid("variant", problem, f"one of {', '.join(sorted(known))}"))
        try:
            (taken,) = await asyncio.wrap_future(self._inbox.put([said]))
        except OSError as error:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, str(error), _retry_after(_LATER)) from None
        if taken is Taken.CONTRADICTED:
            raise _Refused(HTTPStatus.CONFLICT, "it was answered before, and otherwise; that stays", outcome=taken)
        if taken is Taken.NEW:
            self._counts.thumb(said.environment, said.flag_key, said.variant, heard.place, up=said.thumbs_up)
        self._tell(taken)
        return taken

    def _from_server(self, scope: Scope, document: FeedbackDocument) -> _Heard:
        grant = self._keys.grant(authorization(scope))
        if grant is None:
            raise _Refused(
                HTTPStatus.UNAUTHORIZED,
                "send an SDK key of this environment as `Authorization: Bearer <key>`, or a token in the document",
                [(b"www-authenticate", b"Bearer")],
            )
        self._limit(self._limits.key, grant.key_id)
        assert document.flag is not None  # noqa: S101 - the document has seen to it
        assert document.variant is not None  # noqa: S101
        said = FeedbackAnswer(
            key=f"id:{document.id}",
            environment=grant.environment,
            flag_key=document.flag,
            variant=document.variant,
            thumbs_up=document.thumbs_up,
            comment=tidy(document.comment),
            source=Source.SERVER,
            at=self._now(),
        )
        return _Heard(said, _any_place() if document.cohort is None else document.cohort)

    def _from_browser(self, document: FeedbackDocument) -> _Heard:
        now = self._now()

        def secret_of(mark: str) -> bytes | None:
            signer = self._keys.signer(mark)
            return None if signer is None else signer.secret

        assert document.token is not None  # noqa: S101 - whoever calls has seen to it
        try:
            said = read_token(document.token, secret_of, now=now)
        except Invalid as refused:
            raise _Refused(HTTPStatus.UNAUTHORIZED, str(refused)) from None
        signer = self._keys.signer(document.token.split(".")[1])
        if signer is None:
            raise _Refused(HTTPStatus.UNAUTHORIZED, "the key that signed the token was revoked")
        self._limit(self._limits.person, f"{signer.grant.key_id}:{said.user}")
        self._limit(self._limits.key, signer.grant.key_id)
        # A token is for one answer: whoever shows it again is heard as saying the same again.
        key = hashlib.sha256(f"{said.flag}\0{said.user}\0{said.expires}\0{said.nonce}".encode()).hexdigest()
        answered = FeedbackAnswer(
            key=f"token:{key}",
            environment=signer.grant.environment,
            flag_key=said.flag,
            variant=said.variant,
            thumbs_up=document.thumbs_up,
            comment=tidy(document.comment),
            source=Source.BROWSER,
            at=now,
        )
        match said.cohort:
            case "targeted":
                return _Heard(answered, COHORTS)
            case None:
                return _Heard(answered, _any_place())
            case cohort:
                return _Heard(answered, cohort)

    def _limit(self, limits: RateLimits, name: str) -> None:
        if wait := limits.wait(name):
            detail = f"too many answers at once; come again in {wait} s"
            raise _Refused(HTTPStatus.TOO_MANY_REQUESTS, detail, _retry_after(wait), outcome="limited")


async def _read(scope: Scope, receive: Receive) -> FeedbackDocument:
    if scope["method"] != "POST":
        raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "use POST", [(b"allow", b"POST, OPTIONS")])
    try:
        body = await read_body(receive, largest=_LARGEST)
        if body is None:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"post at most {_LARGEST} bytes")
        return read_feedback(body)
    except TooSlow as slow:
        raise _Refused(HTTPStatus.REQUEST_TIMEOUT, str(slow), [(b"connection", b"close")]) from None
    except Invalid as refused:
        raise _unprocessable(refused) from None


def _unprocessable(refused: Invalid) -> _Refused:
    return _Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(refused))


def _retry_after(seconds: int) -> Sequence[Header]:
    return [(b"retry-after", str(seconds).encode())]


def _any_place() -> int:
    """As in the SDK: who has no cohort is spread by chance, as strangers are."""
    return random.randrange(COHORTS)  # noqa: S311 - nothing is to be kept from anybody
