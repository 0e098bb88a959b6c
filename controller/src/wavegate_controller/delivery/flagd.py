"""`/flagd/v1/flags.json`: the ruleset as flagd's flag definitions, for its HTTP sync and its providers in process."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from wavegate.evaluation import Generation, ruleset_from_json
from wavegate_controller.delivery.asgi import (
    JSON,
    Header,
    Receive,
    Scope,
    Send,
    answer,
    header,
    holds,
    problem,
    unauthorised,
)
from wavegate_controller.delivery.hub import Hub
from wavegate_controller.delivery.keys import Grant, Keys
from wavegate_controller.documents.flagd import export

_PATH: Final = "/flagd/v1/flags.json"
_NO_CACHE: Final = (b"cache-control", b"no-cache")
#: What each parameter may be; the first is what it is when it is left out.
_PARAMETERS: Final = {"generation": ("", *Generation), "strict": ("0", "1")}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rendered:
    id: str
    body: bytes
    etag: bytes
    refused: Mapping[str, str]


class Flagd:
    """The ASGI application beneath `/flagd/`.

    Args:
        hub: what is served.
        keys: who may ask.
    """

    def __init__(self, hub: Hub, keys: Keys) -> None:
        self._hub = hub
        self._keys = keys
        #: By environment and generation; rendered when it is first asked for in a revision.
        self._rendered: dict[tuple[str, str], _Rendered] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 # ASGI's signature
        """Answer one request."""
        if scope["path"] != _PATH:
            await problem(send, 404, "Not Found", f"there is no {scope['path']}; there is {_PATH}")
        elif scope["method"] not in ("GET", "HEAD"):
            await problem(send, 405, "Method Not Allowed", "use GET, HEAD", [(b"allow", b"GET, HEAD")])
        elif (grant := self._keys.grant(header(scope, b"authorization"))) is None:
            await unauthorised(send)
        else:
            await self._flags(scope, send, grant)

    async def _flags(self, scope: Scope, send: Send, grant: Grant) -> None:
        asked = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        for name, allowed in _PARAMETERS.items():
            if asked.setdefault(name, allowed[0]) not in allowed:
                known = " or ".join(word for word in allowed if word)
                await problem(send, 400, "Bad Request", f"{name} is {asked[name]!r}; use {known}")
                return
        rendered = self._render(grant.environment, asked["generation"])
        if rendered is None:
            await problem(send, 503, "Service Unavailable", "no ruleset yet", [(b"retry-after", b"1")])
        elif asked["strict"] == "1" and rendered.refused:
            reasons = "; ".join(f"{key}: {reason}" for key, reason in rendered.refused.items())
            await problem(send, 409, "Conflict", f"flagd cannot evaluate as the SDK does {reasons}")
        else:
            await _send(scope, send, rendered)

    def _render(self, environment: str, generation: str) -> _Rendered | None:
        channel = self._hub.channel(environment)
        current = None if channel is None else channel.current
        if current is None:
            return None
        known = self._rendered.get((environment, generation))
        if known is None or known.id != current.id:
            made = export(ruleset_from_json(current.body), Generation(generation) if generation else None)
            body = json.dumps(made.document, separators=(",", ":"), ensure_ascii=False).encode()
            etag = b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode()
            known = _Rendered(id=current.id, body=body, etag=etag, refused=made.refused)
            self._rendered[environment, generation] = known
        return known


async def _send(scope: Scope, send: Send, rendered: _Rendered) -> None:
    headers: list[Header] = [(b"etag", rendered.etag), _NO_CACHE]
    if holds(scope, rendered.etag):
        await answer(send, 304, headers)
    else:
        headers += [JSON, (b"content-length", b"%d" % len(rendered.body))]
        await answer(send, 200, headers, b"" if scope["method"] == "HEAD" else rendered.body)
