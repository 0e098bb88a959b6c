"""`Idempotency-Key`: a POST that is sent again under the same key is not carried out again."""

import hashlib
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from flask import Response, make_response, request
from flask.typing import ResponseReturnValue

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.receipt import Progress, Receipt, Reply
from wavegate_controller.service.receipts import Once, answered, claim
from wavegate_controller.service.services import Services

HEADER: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
#: What of an answer is kept beside its body.
_HEADERS: Final = ("Content-Type", "Location", "ETag")


def once(
    services: Services, sender: str, act: Callable[[Services], ResponseReturnValue], *, keep: bool
) -> ResponseReturnValue:
    """Answer a POST; one that was answered before gets the same answer, marked by `Idempotent-Replayed: true`.

    Args:
        services: the world.
        sender: whose key it is.
        act: carries the request out.
        keep: False for an answer that is shown once.

    Raises:
        Invalid: the key makes no sense, or was used for another request.
        Conflict: the request is being carried out, or its answer is not known any more.
    """
    key = _key()
    if key is None:
        return act(services)
    receipt = claim(services, sender=sender, key=key, fingerprint=_fingerprint(), holder=secrets.token_hex(16))
    if receipt.progress is Progress.ANSWERED:
        return _again(receipt)
    store = Once(services.store, receipt)
    try:
        response = make_response(act(replace(services, store=store)))
    except Exception:
        # Whatever it is, what was done and what not is known; if the database is away, the claim runs out by itself.
        with suppress(Exception):
            answered(services, receipt, Reply(status=409), has_acted=store.has_acted, keep=False)
        raise
    reply = Reply(
        status=response.status_code,
        headers={name: response.headers[name] for name in _HEADERS if name in response.headers},
        body=response.get_data(),
    )
    answered(services, receipt, reply, has_acted=store.has_acted, keep=keep)
    return response


def _key() -> str | None:
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise Invalid(
            HEADER, "is no key" if len(given) == 1 else "is given more than once", "1 to 255 visible characters"
        )
    return given[0]


def _fingerprint() -> str:
    """Of all that says what is asked for."""
    digest = hashlib.sha256()
    for part in (request.method.encode(), request.full_path.encode(), request.get_data()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _again(receipt: Receipt) -> Response:
    reply = receipt.reply or Reply(status=204)
    return Response(reply.body, status=reply.status, headers={**reply.headers, "Idempotent-Replayed": "true"})
