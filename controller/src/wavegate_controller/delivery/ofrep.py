"""`/ofrep/v1`: evaluation for apps that have no Wavegate SDK, as the OpenFeature Remote Evaluation Protocol 0.3 has it.

Beyond the document stands what its published clients need: `variant` with every value, `key` and `errorDetails` with
every refusal, JSON even where there is nothing. docs/ofrep.md has the whole of it.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

from wavegate.evaluation import ErrorCode, ruleset_from_json
from wavegate_controller.delivery.answers import Evaluator, Refused, bulk_failure, failure, read_context
from wavegate_controller.delivery.asgi import (
    JSON,
    Header,
    Receive,
    Scope,
    Send,
    TooSlow,
    answer,
    authorization,
    holds,
    read_body,
)
from wavegate_controller.delivery.cors import Cors
from wavegate_controller.delivery.counts import Served
from wavegate_controller.delivery.exposures import Exposures
from wavegate_controller.delivery.hub import Hub
from wavegate_controller.delivery.keys import Grant, Keys
from wavegate_controller.delivery.limits import RateLimits

_log: Final = logging.getLogger("wavegate")
_BULK: Final = "/ofrep/v1/evaluate/flags"
_ONE: Final = _BULK + "/"
_EVENTS: Final = "/ofrep/v1/events"
#: An evaluation context is a few attributes of one person.
_LARGEST_CONTEXT: Final = 64 * 1024
#: How often, and after how many seconds, to look for a revision that is on its way.
_LOOKS, _BETWEEN_LOOKS = 20, 0.05
_LONGEST_REVISION: Final = 18
_NO_CACHE: Final = (b"cache-control", b"no-cache")
#: Seconds after which a page that nobody looks at should let go of its stream.
_INACTIVITY: Final = 120


class Ofrep:
    """The ASGI application beneath `/ofrep/`.

    Args:
        hub: what is served.
        keys: who may ask.
        limits: how often.
        cors: which web pages may.
        count: makes what the answers of an environment are counted in.
    """

    def __init__(
        self,
        hub: Hub,
        keys: Keys,
        *,
        limits: RateLimits,
        cors: Cors,
        count: Callable[[], Exposures] = Exposures,
    ) -> None:
        self._hub = hub
        self._keys = keys
        self._limits = limits
        self._cors = cors
        self._count = count
        self._evaluators: dict[str, tuple[str, Evaluator]] = {}
        self._exposures: dict[str, Exposures] = {}

    def served(self) -> Mapping[str, Served]:
        """What was answered so far by environment, as posted counts are."""
        return {environment: exposures.totals() for environment, exposures in list(self._exposures.items())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._route(scope, receive, send)
        except _Answered as refused:
            await self._refuse(scope, send, refused)
        except Exception:  # noqa: BLE001 # a mistake of ours becomes an answer that clients of the protocol know
            _log.exception("action=ofrep_failed")
            failed = _Answered(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed to evaluate; its log says why")
            await self._refuse(scope, send, failed)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if scope["method"] == "OPTIONS":
            await answer(send, HTTPStatus.NO_CONTENT, self._cors.preflight(scope))
        elif path.startswith(_ONE) and len(path) > len(_ONE):
            await self._one(scope, receive, send, path[len(_ONE) :])
        elif path == _BULK:
            await self._all(scope, receive, send)
        elif path == _EVENTS:
            await self._events(scope, receive, send)
        else:
            raise _Answered(HTTPStatus.NOT_FOUND, f"there is no {path}; there are {_BULK} and {_ONE}<key>")

    async def _one(self, scope: Scope, receive: Receive, send: Send, flag_key: str) -> None:
        grant = self._admit(scope, "POST")
        context = await _context(receive)
        found = self._evaluator(grant).one(flag_key, context)
        if found is None:
            raise _Answered(
                HTTPStatus.NOT_FOUND, f"the ruleset has no flag {flag_key!r}", code=ErrorCode.FLAG_NOT_FOUND
            )
        await self._answer(scope, send, found.status, found.body)

    async def _all(self, scope: Scope, receive: Receive, send: Send) -> None:
        grant = self._admit(scope, "POST")
        context = await _context(receive)
        await self._wait_for(grant, scope["query_string"])
        evaluator = self._evaluator(grant)
        etag = evaluator.etag(context)
        headers = [(b"etag", etag), _NO_CACHE]
        if holds(scope, etag):
            await answer(send, HTTPStatus.NOT_MODIFIED, headers + self._cors.headers(scope))
            return
        answers = evaluator.all(context)
        body = b'{"flags":[%b],"eventStreams":%b,"metadata":%b}' % (answers, self._streams(scope), evaluator.metadata)
        await self._answer(scope, send, HTTPStatus.OK, body, headers)

    async def _events(self, scope: Scope, receive: Receive, send: Send) -> None:
        ticket = parse_qs(scope["query_string"].decode("latin-1")).get("ticket", [""])[0]
        if scope["method"] != "GET":
            raise _Answered(HTTPStatus.METHOD_NOT_ALLOWED, "use GET", headers=[(b"allow", b"GET")])
        grant = self._keys.admit(ticket) if ticket else self._keys.grant(authorization(scope))
        if grant is None:
            raise _unauthorised()
        await self._hub.notices(scope, receive, send, grant, headers=self._cors.headers(scope))

    def _admit(self, scope: Scope, method: str) -> Grant:
        """Who asks. That comes before all that depends on what is asked, or an answer would tell a stranger of it."""
        if scope["method"] != method:
            raise _Answered(HTTPStatus.METHOD_NOT_ALLOWED, f"use {method}", headers=[(b"allow", method.encode())])
        grant = self._keys.grant(authorization(scope))
        if grant is None:
            raise _unauthorised()
        if seconds := self._limits.wait(grant.key_id):
            raise _Answered(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"this key asks too often; ask again in {seconds} s",
                headers=[(b"retry-after", b"%d" % seconds)],
            )
        return grant

    async def _wait_for(self, grant: Grant, query: bytes) -> None:
        """Let the revision come that a client was told of by another replica: this one may be milliseconds behind."""
        if b"flagConfigEtag" not in query:
            return
        told = parse_qs(query.decode("latin-1")).get("flagConfigEtag", [""])[0].partition("-")[0]
        if not told.isascii() or not told.isdecimal():
            return
        for _ in range(_LOOKS):
            channel = self._hub.channel(grant.environment)
            if channel is None or channel.current is None or len(told) > _LONGEST_REVISION:
                return
            if channel.current.revision >= int(told):
                return
            await asyncio.sleep(_BETWEEN_LOOKS)

    def _evaluator(self, grant: Grant) -> Evaluator:
        """Of the newest revision, made when it is first asked."""
        environment = grant.environment
        channel = self._hub.channel(environment)
        current = None if channel is None else channel.current
        if current is None:
            raise _Answered(HTTPStatus.SERVICE_UNAVAILABLE, "no ruleset yet", headers=[(b"retry-after", b"1")])
        known, evaluator = self._evaluators.get(environment, ("", None))
        if evaluator is None or known != current.id:
            exposures = self._exposures.get(environment)
            if exposures is None:
                exposures = self._exposures[environment] = self._count()
            evaluator = Evaluator(ruleset_from_json(current.body), current.id, exposures, evaluator)
            self._evaluators[environment] = current.id, evaluator
        return evaluator

    def _streams(self, scope: Scope) -> bytes:
        """Where to hear of changes; what admits a browser's event source stands in the address."""
        return _streams(scope.get("root_path", ""), self._keys.ticket(authorization(scope)))

    async def _answer(
        self, scope: Scope, send: Send, status: int, body: bytes, headers: list[Header] | None = None
    ) -> None:
        length = (b"content-length", b"%d" % len(body))
        await answer(send, status, [JSON, length, *(headers or ()), *self._cors.headers(scope)], body)

    async def _refuse(self, scope: Scope, send: Send, refused: "_Answered") -> None:
        path: str = scope["path"]
        is_one = path.startswith(_ONE)
        body = (
            failure(path[len(_ONE) :], refused.code, str(refused))
            if is_one
            else bulk_failure(refused.code, str(refused))
        )
        await self._answer(scope, send, refused.status, body, refused.headers)


class _Answered(Exception):
    """A request that ends here, and how."""

    def __init__(
        self,
        status: HTTPStatus,
        details: str,
        *,
        code: ErrorCode = ErrorCode.GENERAL,
        headers: list[Header] | None = None,
    ) -> None:
        super().__init__(details)
        self.status = status
        self.code = code
        self.headers = headers or []


@lru_cache(maxsize=1024)
def _streams(root: str, ticket: str) -> bytes:
    """One for each key, and there are few keys."""
    address = f"{root}{_EVENTS}" + (f"?ticket={ticket}" if ticket else "")
    stream = {"type": "sse", "endpoint": {"requestUri": address}, "inactivityDelaySec": _INACTIVITY}
    return json.dumps([stream]).encode()


def _unauthorised() -> _Answered:
    return _Answered(
        HTTPStatus.UNAUTHORIZED,
        "send an SDK key of this environment as `Authorization: Bearer <key>` or `X-API-Key: <key>`",
        headers=[(b"www-authenticate", b"Bearer")],
    )


async def _context(receive: Receive) -> dict[str, Any]:
    try:
        body = await read_body(receive, largest=_LARGEST_CONTEXT)
    except TooSlow as slow:
        raise _Answered(HTTPStatus.REQUEST_TIMEOUT, str(slow), headers=[(b"connection", b"close")]) from None
    if body is None:
        raise _Answered(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body is larger than {_LARGEST_CONTEXT} bytes; send fewer attributes",
            code=ErrorCode.INVALID_CONTEXT,
        )
    try:
        return read_context(body)
    except Refused as refused:
        raise _Answered(HTTPStatus.BAD_REQUEST, str(refused), code=refused.code) from None
